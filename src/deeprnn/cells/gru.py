"""The gated recurrent unit."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from deeprnn.activations import Activation, function_of
from deeprnn.cells.base import Cell, Recur
from deeprnn.state import State


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
    norm_groups: ClassVar = (("r", "z"), ("n",))
    activation_fields: ClassVar = ("activation", "gate_activation")

    def extra_weights(self) -> dict[str, tuple[int, ...]]:
        return {"bias_hn": (self.hidden_size,)} if self.reset_after and self.bias else {}

    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:
        phi, sigma = function_of(self.activation), function_of(self.gate_activation)
        h = state.h
        x_r, x_z, x_n = x_part.chunk(3, dim=-1)
        if self.reset_after:
            h_r, h_z, h_n = recur(h).chunk(3, dim=-1)
            if self.bias:
                h_n = h_n + recur.weights["bias_hn"]
            n = phi(x_n + sigma(x_r + h_r) * h_n)
        else:
            h_r, h_z = recur(h, "r", "z").chunk(2, dim=-1)
            n = phi(x_n + recur(sigma(x_r + h_r) * h, "n"))
        z = sigma(x_z + h_z)
        return State((1 - z) * n + z * h)
