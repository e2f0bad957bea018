"""Long short-term memory."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from deeprnn.activations import Activation, function_of
from deeprnn.cells.base import Cell, Recur
from deeprnn.state import State


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
    norm_groups: ClassVar = (("i", "f", "g", "o"),)
    activation_fields: ClassVar = ("activation", "gate_activation")

    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:
        assert state.c is not None
        phi, sigma = function_of(self.activation), function_of(self.gate_activation)
        i, f, g, o = (x_part + recur(state.h)).chunk(4, dim=-1)
        c = sigma(f) * state.c + sigma(i) * phi(g)
        return State(sigma(o) * phi(recur.normalise_cell(c)), c)
