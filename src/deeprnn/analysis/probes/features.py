"""What a linear classifier reads, given by its matrix products alone: states, and windows of characters."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

CURVATURE = 0.1
"""What p (1 - p) is taken to be where the curvature is guessed before it is measured."""
_LEAST = 1e-6
"""Added to every guessed curvature: a feature that never varies has none."""

Precondition: TypeAlias = Callable[[Tensor], Tensor]
"""Multiplies (D, C) with a guess of the objective's inverse second derivative."""


class Features(Protocol):
    """N rows of D numbers, given by their products alone: their columns are centred and of comparable size.

    Attributes:
        rows: N. width: D.
    """

    @property
    def rows(self) -> int: ...
    @property
    def width(self) -> int: ...
    def times(self, weight: Tensor) -> Tensor:
        """(N, C) = X (N, D) weight (D, C)."""
        ...

    def transposed_times(self, values: Tensor) -> Tensor:
        """(D, C) = X' values (N, C)."""
        ...

    def take(self, rows: Tensor) -> "Features":
        """Some of the rows, by index."""
        ...

    def precondition(self, ridge: Tensor) -> Precondition:
        """The guess for a penalty of ridge_c/2 |W_c|^2, ridge (C,), on each column beside its mean loss."""
        ...


@dataclass(frozen=True)
class Dense:
    """Features as a matrix."""

    matrix: Tensor

    @property
    def rows(self) -> int:
        return self.matrix.shape[0]

    @property
    def width(self) -> int:
        return self.matrix.shape[1]

    def times(self, weight: Tensor) -> Tensor:
        return (weight.T @ self.matrix.T).T  # the faster way around for few columns

    def transposed_times(self, values: Tensor) -> Tensor:
        return self.matrix.T @ values

    def take(self, rows: Tensor) -> "Dense":
        return Dense(self.matrix[rows])

    def precondition(self, ridge: Tensor) -> Precondition:
        gram = self.matrix.T @ self.matrix / max(1, self.rows)
        sizes, axes = torch.linalg.eigh(gram.double())
        axes = axes.float()
        inverse = 1 / (CURVATURE * sizes.clamp(min=0).float()[:, None] + ridge + _LEAST)

        def multiply(gradient: Tensor) -> Tensor:
            return axes @ (inverse * (axes.T @ gradient))

        return multiply


@dataclass(frozen=True)
class OneHot:
    """k symbols a row, each as one-hot: what a window of characters says to a linear classifier.

    Args:
        symbols: (N, k) int64, 0 <= symbol < size; -1 for no symbol (before a text's beginning).
        size: symbols in all.
        scale: what stands in place of the 1: the larger, the less a penalty weighs.
    """

    symbols: Tensor
    size: int
    scale: float = 1.0
    _columns: Tensor = field(init=False, repr=False)
    _members: Tensor = field(init=False, repr=False)
    _starts: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        places = self.symbols.shape[1]
        # A column of its own for "no symbol" at each place keeps the rows equally long.
        columns = self.symbols + 1 + torch.arange(places) * (self.size + 1)
        counts = torch.bincount(columns.flatten(), minlength=self.width)
        object.__setattr__(self, "_columns", columns)
        # The rows in which each column is on, column after column, and where each column's begin.
        object.__setattr__(self, "_members", torch.argsort(columns.flatten(), stable=True) // places)
        object.__setattr__(self, "_starts", counts.cumsum(0) - counts)

    @property
    def rows(self) -> int:
        return self.symbols.shape[0]

    @property
    def width(self) -> int:
        return self.symbols.shape[1] * (self.size + 1)

    def times(self, weight: Tensor) -> Tensor:
        return F.embedding_bag(self._columns, self.scale * weight, mode="sum")

    def transposed_times(self, values: Tensor) -> Tensor:
        return self.scale * F.embedding_bag(self._members, values.contiguous(), self._starts, mode="sum")

    def take(self, rows: Tensor) -> "OneHot":
        return OneHot(self.symbols[rows], self.size, self.scale)

    def precondition(self, ridge: Tensor) -> Precondition:
        share = self.scale * self.transposed_times(torch.ones(self.rows, 1)) / max(1, self.rows)
        inverse = 1 / (CURVATURE * share + ridge + _LEAST)

        def multiply(gradient: Tensor) -> Tensor:
            return inverse * gradient

        return multiply


@dataclass(frozen=True)
class Concatenated:
    """Two kinds of features side by side."""

    first: Features
    second: Features

    @property
    def rows(self) -> int:
        return self.first.rows

    @property
    def width(self) -> int:
        return self.first.width + self.second.width

    def times(self, weight: Tensor) -> Tensor:
        return self.first.times(weight[: self.first.width]) + self.second.times(weight[self.first.width :])

    def transposed_times(self, values: Tensor) -> Tensor:
        return torch.cat([self.first.transposed_times(values), self.second.transposed_times(values)])

    def take(self, rows: Tensor) -> "Concatenated":
        return Concatenated(self.first.take(rows), self.second.take(rows))

    def precondition(self, ridge: Tensor) -> Precondition:
        first, second, cut = self.first.precondition(ridge), self.second.precondition(ridge), self.first.width
        return lambda gradient: torch.cat([first(gradient[:cut]), second(gradient[cut:])])
