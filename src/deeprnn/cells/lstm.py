"""Long short-term memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from deeprnn.activations import Activation, function_of
from deeprnn.cells.base import Cell, Gate, Recur, normalise
from deeprnn.cells.registry import register
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

    The layer's options (direction, layer_norm, zoneout, ...) are those of `Cell`.

    >>> LSTM(64).describe()
    'LSTM 64 tanh, sigmoid'
    """

    hidden_size: int
    activation: Activation = "tanh"
    gate_activation: Activation = "sigmoid"
    zoneout_cell: float = 0.0

    gates: ClassVar = ("i", "f", "g", "o")
    states: ClassVar = ("h", "c")
    cell_state: ClassVar = "c"
    gate_meanings: ClassVar = MappingProxyType({"i": "input", "f": "forget", "o": "output"})
    norm_groups: ClassVar = (("i", "f", "g", "o"),)
    activation_fields: ClassVar = ("activation", "gate_activation")

    @property
    def zoneout_rates(self) -> dict[str, float]:
        return {"h": self.zoneout, "c": self.zoneout_cell}

    def extra_weights(self) -> dict[str, tuple[int, ...]]:
        return {"gain_c": (self.hidden_size,), "bias_c": (self.hidden_size,)} if self.layer_norm else {}

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
        pres = zip(self.gates, (x_part + recur(state.h)).chunk(4, dim=-1), strict=True)
        return {name: Gate(pre, phi(pre) if name == "g" else sigma(pre)) for name, pre in pres}

    def next_c(self, gates: Mapping[str, Gate], c: Tensor) -> Tensor:
        """c_t from a step's gates and c_{t-1}."""
        return gates["f"].value * c + gates["i"].value * gates["g"].value

    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:
        gates = self.gate_values(x_part, state, recur)
        c = self.next_c(gates, state.c)
        read = c if "gain_c" not in recur.weights else normalise(c, recur.weights["gain_c"]) + recur.weights["bias_c"]
        return State(h=gates["o"].value * function_of(self.activation)(read), c=c)
