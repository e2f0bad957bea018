"""The gated recurrent unit."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from torch import Tensor

from deeprnn.activations import Activation, Function, function_of
from deeprnn.cells.base import Cell, Gate, Recur
from deeprnn.cells.registry import register
from deeprnn.state import State


@register
@dataclass(frozen=True, repr=False)
class GRU(Cell):
    """The gated recurrent unit of Cho et al. 2014, in torch's form.

        r = sigma(W_xr x + W_hr h + b_r)
        z = sigma(W_xz x + W_hz h + b_z)
        n = phi(W_xn x + b_n + r * (W_hn h + b_hn))      with reset_after, as torch and cuDNN
        n = phi(W_xn x + b_n + W_hn (r * h))             without, as the paper
        h = (1 - z) * n + z * h

    Args:
        hidden_size: H.
        reset_after: whether r acts after the recurrent product or before it.
        activation: phi, of the candidate n.
        gate_activation: sigma, of r and z.

    The layer's options (direction, layer_norm, zoneout, ...) are those of `Cell`.

    >>> GRU(64, reset_after=False).describe()
    'GRU 64 tanh, sigmoid'
    """

    hidden_size: int
    reset_after: bool = True
    activation: Activation = "tanh"
    gate_activation: Activation = "sigmoid"

    gates: ClassVar = ("r", "z", "n")
    gate_meanings: ClassVar = MappingProxyType({"z": "update", "r": "reset"})
    norm_groups: ClassVar = (("r", "z"), ("n",))
    activation_fields: ClassVar = ("activation", "gate_activation")

    def extra_weights(self) -> dict[str, tuple[int, ...]]:
        return {"bias_hn": (self.hidden_size,)} if self.reset_after and self.bias else {}

    def gate_values(self, x_part: Tensor, state: State, recur: Recur) -> dict[str, Gate]:
        phi, sigma = function_of(self.activation), function_of(self.gate_activation)
        x_r, x_z, x_n = x_part.chunk(3, dim=-1)
        if self.reset_after:
            h_r, h_z, h_n = recur(state.h).chunk(3, dim=-1)
            if self.bias:
                h_n = h_n + recur.weights["bias_hn"]
            r = _gate(x_r + h_r, sigma)
            n = _gate(x_n + r.value * h_n, phi)
        else:
            h_r, h_z = recur(state.h, "r", "z").chunk(2, dim=-1)
            r = _gate(x_r + h_r, sigma)
            n = _gate(x_n + recur(r.value * state.h, "n"), phi)
        return {"r": r, "z": _gate(x_z + h_z, sigma), "n": n}

    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:
        gates = self.gate_values(x_part, state, recur)
        z, n = gates["z"].value, gates["n"].value
        return State(h=(1 - z) * n + z * state.h)


def _gate(pre: Tensor, nonlinearity: Function) -> Gate:
    return Gate(pre, nonlinearity(pre))
