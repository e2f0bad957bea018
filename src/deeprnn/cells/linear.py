"""Cells that are linear in their state, which a scan runs in parallel over time."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from deeprnn.cells.base import Cell, Gate, Recur
from deeprnn.state import State


class LinearForm(NamedTuple):
    """One step h_t = a * h_{t-1} + b, or many at once.

    Attributes:
        a: (..., H), what the state before is multiplied by.
        b: (..., H), what is added.
    """

    a: Tensor
    b: Tensor


@dataclass(frozen=True, kw_only=True, repr=False)
class LinearCell(Cell):
    """A cell that is linear in its state, elementwise: h_t = a_t * h_{t-1} + b_t, with a_t and b_t from x_t alone.

    A subclass has `input_gates` and `linear_form`; the step is written in them, and kernels that compose steps read
    them for a whole sequence. Such a cell has no W_hh, so two options of `Cell` say nothing and are refused:
    recurrent_dropout and init="identity".
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.recurrent_dropout > 0:
            raise ValueError(
                f"{self!r}: it has no W_hh, on whose way recurrent_dropout would drop units of h.\n"
                f"  zoneout={self.recurrent_dropout} regularises its state; dropout of DeepRNN what it passes up."
            )
        if self.init == "identity":
            raise ValueError(f"{self!r}: it has no W_hh that could start as the identity.")

    @abstractmethod
    def input_gates(self, x_part: Tensor, weights: Mapping[str, Tensor]) -> dict[str, Gate]:
        """The gates by name.

        Args:
            x_part: (..., G*H), W_xh x_t + b at one step or at many.
            weights: the layer's weights of one direction, by name.
        """

    @abstractmethod
    def linear_form(self, x_part: Tensor, weights: Mapping[str, Tensor]) -> LinearForm:
        """a_t and b_t, (..., H) each; the arguments are those of `input_gates`."""

    def recurrent_weights(self) -> dict[str, tuple[int, ...]]:
        return {}

    def gate_values(self, x_part: Tensor, state: State, recur: Recur) -> dict[str, Gate]:  # noqa: ARG002  # as every cell's
        return self.input_gates(x_part, recur.weights)

    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:
        a, b = self.linear_form(x_part, recur.weights)
        return State(h=a * state.h + b)
