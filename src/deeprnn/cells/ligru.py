"""The light gated recurrent unit."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from torch import Tensor

from deeprnn.activations import Activation, function_of
from deeprnn.cells.base import Cell, Gate, Recur
from deeprnn.cells.registry import register
from deeprnn.state import State


@register
@dataclass(frozen=True, repr=False)
class LiGRU(Cell):
    """The light gated recurrent unit (Ravanelli et al. 2018): a GRU without a reset gate, its candidate through relu.

        z = sigma(W_xz x + W_hz h + b_z)
        n = phi(W_xn x + W_hn h + b_n)
        h = z * h + (1 - z) * n

    The paper normalises W_xz x and W_xn x over the batch, which keeps the unbounded relu in hand. Here a row's result
    never depends on the other rows, so there is no batch normalisation; `layer_norm=True` normalises the same products
    (and W_hz h and W_hn h) within each row.

    Args:
        hidden_size: H.
        activation: phi, of the candidate n.
        gate_activation: sigma, of z.

    The layer's options (direction, layer_norm, zoneout, ...) are those of `Cell`.

    >>> LiGRU(64).describe()
    'LiGRU 64 relu, sigmoid'
    """

    hidden_size: int
    activation: Activation = "relu"
    gate_activation: Activation = "sigmoid"

    gates: ClassVar = ("z", "n")
    gate_meanings: ClassVar = MappingProxyType({"z": "update"})
    norm_groups: ClassVar = (("z",), ("n",))
    activation_fields: ClassVar = ("activation", "gate_activation")

    def gate_values(self, x_part: Tensor, state: State, recur: Recur) -> dict[str, Gate]:
        z, n = (x_part + recur(state.h)).chunk(2, dim=-1)
        return {"z": Gate(z, function_of(self.gate_activation)(z)), "n": Gate(n, function_of(self.activation)(n))}

    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:
        gates = self.gate_values(x_part, state, recur)
        z, n = gates["z"].value, gates["n"].value
        return State(h=z * state.h + (1 - z) * n)
