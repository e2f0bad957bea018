"""The independently recurrent network's layer."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from deeprnn.activations import Activation, function_of
from deeprnn.cells.base import Cell, Gate, Recur
from deeprnn.cells.registry import register
from deeprnn.quantities import whole
from deeprnn.state import State

_GROWTH = 2.0
"""The paper's gamma: how much larger a state may become over a sequence."""


@register
@dataclass(frozen=True, repr=False)
class IndRNN(Cell):
    """The independently recurrent neural network (Li et al. 2018): each unit reads its own past alone.

        h = phi(W_xh x + u * h + b)

    u is `weight_hh`, (H,). With relu the paper keeps |u| within 2^(1/T), so that no state grows by more than 2 over the
    T steps of a sequence, and u starts uniform in 0..2^(1/T), so that units remember for different times. That is
    `init="orthogonal"` here; "identity" starts with u = 1, as the authors do in the last layer where only the last
    step is read. Nothing bounds u in training.

    Args:
        hidden_size: H.
        activation: phi, a name or any function of a tensor.
        longest: T, the steps of the longest sequence; 0 for any number, which starts u in 0..1.

    The layer's options (direction, layer_norm, zoneout, ...) are those of `Cell`.

    >>> IndRNN(64, longest=784).recurrent_weights()
    {'weight_hh': (64,)}
    """

    hidden_size: int
    activation: Activation = "relu"
    longest: int = 0

    gates: ClassVar = ("h",)
    norm_groups: ClassVar = (("h",),)
    activation_fields: ClassVar = ("activation",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.longest != 0:
            object.__setattr__(self, "longest", whole("IndRNN(longest)", self.longest))

    def recurrent_weights(self) -> dict[str, tuple[int, ...]]:
        return {"weight_hh": (self.hidden_size,)}

    def recurrent_product(self, h: Tensor, weight_hh: Tensor) -> Tensor:
        return h * weight_hh

    @torch.no_grad()
    def initialise(self, name: str, weight: Tensor, *, one_hot: int = 0) -> None:
        if name != "weight_hh" or self.init == "uniform":
            super().initialise(name, weight, one_hot=one_hot)
        elif self.init == "identity":
            weight.fill_(1)
        else:
            weight.uniform_(0, _GROWTH ** (1 / self.longest) if self.longest else 1)

    def gate_values(self, x_part: Tensor, state: State, recur: Recur) -> dict[str, Gate]:
        pre = x_part + recur(state.h)
        return {"h": Gate(pre, function_of(self.activation)(pre))}

    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:
        return State(h=self.gate_values(x_part, state, recur)["h"].value)
