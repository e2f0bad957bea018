"""Long short-term memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from deeprnn.activations import Activation, function_of
from deeprnn.cells.base import Cell, Gate, Recur, normalise
from deeprnn.cells.registry import register
from deeprnn.quantities import whole
from deeprnn.state import State


@register
@dataclass(frozen=True, repr=False)
class LSTM(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000).

        i, f, o = sigma(W_x. x + W_h. h + b_.)
        g = phi(W_xg x + W_hg h + b_g)
        c = f * c + i * g
        h = o * phi(c)

    Args:
        hidden_size: H.
        activation: phi, of the candidate g and of c on its way out.
        gate_activation: sigma, of i, f and o.
        zoneout_cell: as `zoneout`, for c.
        peephole: let the gates see c, each unit its own (Gers & Schmidhuber 2000): w_i * c_{t-1} is added to the
            argument of i, w_f * c_{t-1} to that of f, w_o * c_t to that of o. `weight_ch` (3H,) holds w_i, w_f, w_o;
            it starts at 0, with init="uniform" as the other weights.
        proj_size: P, 0 for none: h = W_hr (o * phi(c)) has P units instead of H (Sak et al. 2014), as torch.nn.LSTM's.
            `weight_hr` is (P, H), `weight_hh` (4H, P), the layer writes (T, B, P), and its state is h (B, P), c (B, H).

    The layer's options (direction, layer_norm, zoneout, ...) are those of `Cell`.

    >>> LSTM(64).describe()
    'LSTM 64 tanh, sigmoid'
    >>> LSTM(64, peephole=True, proj_size=16).output_width
    16
    """

    hidden_size: int
    activation: Activation = "tanh"
    gate_activation: Activation = "sigmoid"
    zoneout_cell: float = 0.0
    peephole: bool = False
    proj_size: int = 0

    gates: ClassVar = ("i", "f", "g", "o")
    states: ClassVar = ("h", "c")
    cell_state: ClassVar = "c"
    gate_meanings: ClassVar = MappingProxyType({"i": "input", "f": "forget", "o": "output"})
    norm_groups: ClassVar = (("i", "f", "g", "o"),)
    activation_fields: ClassVar = ("activation", "gate_activation")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "proj_size", whole("LSTM(proj_size)", self.proj_size, least=0))
        if self.proj_size >= self.hidden_size:
            raise ValueError(
                f"LSTM(proj_size) must be less than hidden_size={self.hidden_size}, or 0 for no projection, "
                f"got {self.proj_size}."
            )
        if self.peephole:
            object.__setattr__(self, "gates_read", self.states)

    @property
    def state_sizes(self) -> dict[str, int]:
        return {"h": self.proj_size or self.hidden_size, "c": self.hidden_size}

    @property
    def zoneout_rates(self) -> dict[str, float]:
        return {"h": self.zoneout, "c": self.zoneout_cell}

    def extra_weights(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        if self.layer_norm:
            shapes |= {"gain_c": (self.hidden_size,), "bias_c": (self.hidden_size,)}
        if self.peephole:
            shapes["weight_ch"] = (3 * self.hidden_size,)
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        return shapes

    def initialise(self, name: str, weight: Tensor, *, one_hot: int = 0) -> None:
        if name == "bias_c":
            torch.nn.init.zeros_(weight)
            return
        super().initialise(name, weight, one_hot=one_hot)
        if name == "bias" and self.init != "uniform":
            forget = self.gates.index("f") * self.hidden_size
            with torch.no_grad():
                weight[forget : forget + self.hidden_size] = 1

    def gate_values(self, x_part: Tensor, state: State, recur: Recur) -> dict[str, Gate]:
        phi, sigma = function_of(self.activation), function_of(self.gate_activation)
        i, f, g, o = (x_part + recur(state.h)).chunk(4, dim=-1)
        peepholes = recur.weights["weight_ch"].chunk(3) if self.peephole else None
        if peepholes is not None:
            i, f = i + peepholes[0] * state.c, f + peepholes[1] * state.c
        gates = {"i": Gate(i, sigma(i)), "f": Gate(f, sigma(f)), "g": Gate(g, phi(g))}
        if peepholes is not None:
            o = o + peepholes[2] * self.next_c(gates, state.c)
        return {**gates, "o": Gate(o, sigma(o))}

    def next_c(self, gates: Mapping[str, Gate], c: Tensor) -> Tensor:
        """c_t from a step's gates and c_{t-1}."""
        return gates["f"].value * c + gates["i"].value * gates["g"].value

    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:
        gates, weights = self.gate_values(x_part, state, recur), recur.weights
        c = self.next_c(gates, state.c)
        read = c if "gain_c" not in weights else normalise(c, weights["gain_c"]) + weights["bias_c"]
        h = gates["o"].value * function_of(self.activation)(read)
        return State(h=F.linear(h, weights["weight_hr"]) if self.proj_size else h, c=c)
