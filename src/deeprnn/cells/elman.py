"""The plain recurrent layer."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from deeprnn.activations import Activation, function_of
from deeprnn.cells.base import Cell, Gate, Recur
from deeprnn.cells.registry import register
from deeprnn.state import State


@register
@dataclass(frozen=True, repr=False)
class Elman(Cell):
    """H_t = phi(W_xh x_t + W_hh h_{t-1} + b)   (Elman 1990)

    Args:
        hidden_size: H.
        activation: phi, a name or any function of a tensor; a module's parameters are trained with the net.

    The layer's options (direction, layer_norm, zoneout, ...) are those of `Cell`.

    >>> Elman(64, "relu", zoneout=0.1).describe()
    'Elman 64 relu'
    """

    hidden_size: int
    activation: Activation = "tanh"

    gates: ClassVar = ("h",)
    norm_groups: ClassVar = (("h",),)
    activation_fields: ClassVar = ("activation",)

    def gate_values(self, x_part: Tensor, state: State, recur: Recur) -> dict[str, Gate]:
        pre = x_part + recur(state.h)
        return {"h": Gate(pre, function_of(self.activation)(pre))}

    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:
        return State(h=self.gate_values(x_part, state, recur)["h"].value)
