"""The scalar LSTM of xLSTM."""

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from deeprnn.cells.base import Cell, Gate, Recur
from deeprnn.cells.registry import register
from deeprnn.quantities import whole
from deeprnn.state import State

_FORGET_GATES = ("sigmoid", "exp")


@register
@dataclass(frozen=True, repr=False)
class SLSTM(Cell):
    """sLSTM (Beck et al. 2024, "xLSTM", section 2.2): an LSTM with exponential gates and a normaliser n.

        i = exp(W_xi x + W_hi h + b_i)
        f = sigma(W_xf x + W_hf h + b_f)        or exp(...)
        z = tanh(W_xz x + W_hz h + b_z)
        o = sigma(W_xo x + W_ho h + b_o)
        c = f * c + i * z
        n = f * n + i
        h = o * c / n

    Exponentials overflow, so c and n are carried divided by exp(m), with m the largest exponent so far, which changes
    no h:

        m = max(log f + m, log i)               log i where n = 0: nothing is remembered yet
        c = exp(log f + m_before - m) * c + exp(log i - m) * z
        n = exp(log f + m_before - m) * n + exp(log i - m)

    Args:
        hidden_size: H.
        heads: W_hi, W_hf, W_hz and W_ho are block-diagonal, of so many blocks; the units of a head read each other
            alone. `weight_hh` is (4H, H / heads). It divides H.
        forget_gate: "sigmoid" or "exp", the two that the paper gives.

    The layer's options (direction, layer_norm, zoneout, ...) are those of `Cell`; zoneout acts on h alone.

    >>> SLSTM(64, heads=4).states
    ('h', 'c', 'n', 'm')
    """

    hidden_size: int
    heads: int = 1
    forget_gate: Literal["sigmoid", "exp"] = "sigmoid"

    gates: ClassVar = ("i", "f", "z", "o")
    states: ClassVar = ("h", "c", "n", "m")
    cell_state: ClassVar = "c"
    gate_meanings: ClassVar = MappingProxyType({"f": "forget", "o": "output"})
    norm_groups: ClassVar = (("i", "f", "z", "o"),)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "heads", whole("SLSTM(heads)", self.heads))
        if self.hidden_size % self.heads:
            raise ValueError(f"{self!r}: heads={self.heads} does not divide hidden_size={self.hidden_size}.")
        if self.forget_gate not in _FORGET_GATES:
            raise ValueError(f"{self!r}: forget_gate is one of {', '.join(map(repr, _FORGET_GATES))}.")

    def recurrent_weights(self) -> dict[str, tuple[int, ...]]:
        return {"weight_hh": (4 * self.hidden_size, self.hidden_size // self.heads)}

    def recurrent_product(self, h: Tensor, weight_hh: Tensor) -> Tensor:
        if self.heads == 1:
            return super().recurrent_product(h, weight_hh)
        size = self.hidden_size // self.heads
        blocks = weight_hh.unflatten(0, (-1, self.heads, size))
        return torch.einsum("...kj,gkij->...gki", h.unflatten(-1, (self.heads, size)), blocks).flatten(-3)

    @torch.no_grad()
    def initialise(self, name: str, weight: Tensor, *, one_hot: int = 0) -> None:
        if name == "weight_hh":
            for block in weight.split(self.hidden_size // self.heads):
                super().initialise(name, block)
            return
        super().initialise(name, weight, one_hot=one_hot)
        if name == "bias" and self.init != "uniform":
            weight[self.hidden_size : 2 * self.hidden_size] = 1  # remember at first, as in an LSTM

    def gate_values(self, x_part: Tensor, state: State, recur: Recur) -> dict[str, Gate]:
        i, f, z, o = (x_part + recur(state.h)).chunk(4, dim=-1)
        forget = torch.exp(f) if self.forget_gate == "exp" else torch.sigmoid(f)
        return {
            "i": Gate(i, torch.exp(i)),
            "f": Gate(f, forget),
            "z": Gate(z, torch.tanh(z)),
            "o": Gate(o, torch.sigmoid(o)),
        }

    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:
        gates = self.gate_values(x_part, state, recur)
        log_i, f = gates["i"].pre, gates["f"].pre
        kept = (f if self.forget_gate == "exp" else F.logsigmoid(f)) + state.m
        m = torch.where(state.n == 0, log_i, torch.maximum(kept, log_i))
        # Where n is 0 this exponent may be large, and infinity times zero is not a number.
        keep = torch.exp((kept - m).clamp(max=math.log(torch.finfo(m.dtype).max) - 1))
        write = torch.exp(log_i - m)
        c = keep * state.c + write * gates["z"].value
        n = keep * state.n + write
        return State(h=gates["o"].value * c / n, c=c, n=n, m=m)
