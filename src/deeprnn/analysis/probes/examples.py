"""What probes are fitted and measured on: labels of characters, rows apart by file, states and windows as features."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from deeprnn.analysis.probes.features import Dense, OneHot
from deeprnn.analysis.probes.scores import Score
from deeprnn.analysis.probes.softmax import Linear
from deeprnn.analysis.statistics import Ints

WINDOW_SCALE = 4.0
"""What stands for a 1 in a window's one-hot features, so that the penalties suit them beside standardised states."""


@dataclass(frozen=True)
class Labels:
    """M labels of N characters.

    Attributes:
        names: M names.
        sizes: M numbers of classes.
        values: (M, N) int64, 0 <= class < sizes[m]; -1 = not scored.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    values: Tensor

    def __post_init__(self) -> None:
        if self.values.dim() != 2 or not len(self.names) == len(self.sizes) == len(self.values):
            raise ValueError(
                f"{len(self.names)} names and {len(self.sizes)} sizes of labels, but values "
                f"{tuple(self.values.shape)}; values is (labels, characters)."
            )
        for name, size, value in zip(self.names, self.sizes, self.values, strict=True):
            if value.numel() and not -1 <= int(value.min()) <= int(value.max()) < size:
                raise ValueError(f"label {name!r} has classes {int(value.min())} to {int(value.max())}, of {size}.")

    def shuffled(self, seed: int) -> "Labels":
        """Each label's values in another order, those not scored in place: what a probe finds where nothing is."""
        random = torch.Generator().manual_seed(seed)
        values = self.values.clone()
        for value in values:
            scored = (value >= 0).nonzero()[:, 0]
            value[scored] = value[scored[torch.randperm(len(scored), generator=random)]]
        return Labels(self.names, self.sizes, values)

    def hashed(self, window: Tensor, seed: int) -> "Labels":
        """Control labels: a class for each distinct window, drawn at random with the label's own frequencies.

        A probe gets these right only by memorising the window's characters, whatever they mean.

        Args:
            window: (N, k) the last k symbols, whose combination is the type.

        Source: the control tasks of Hewitt & Liang 2019, section 2; their types are words.
        """
        types, kind = np.unique(window.numpy(), axis=0, return_inverse=True)
        random = np.random.default_rng(seed)
        values = torch.full_like(self.values, -1)
        for row, size, value in zip(values, self.sizes, self.values, strict=True):
            scored = value >= 0
            shares = torch.bincount(value[scored], minlength=size).double().numpy()
            drawn = random.choice(size, size=len(types), p=shares / max(shares.sum(), 1))
            row[scored] = torch.from_numpy(drawn[kind.reshape(-1)])[scored]
        return Labels(self.names, self.sizes, values)


@dataclass(frozen=True)
class Split:
    """Rows apart by file, so that no probe is measured on a file that it was fitted on.

    Attributes:
        fit, validate, measure: row indices: to fit on, to choose the penalty by, to measure on.
        groups: (N,) every row's file.
        files: how many files there are.
    """

    fit: Tensor
    validate: Tensor
    measure: Tensor
    groups: Ints
    files: int

    @staticmethod
    def of(groups: Ints, seed: int, *, measured: float = 0.4, validated: float = 0.12) -> "Split":
        """Files are dealt out at random, at least one to each part.

        Args:
            groups: (N,) the file of each row, 0 and up. measured, validated: shares of the files.

        Raises:
            ValueError: fewer than three files.
        """
        names = np.unique(groups)
        if len(names) < 3:
            raise ValueError(
                f"the characters come from {len(names)} files; to fit, to validate and to measure takes three at least."
            )
        order = np.random.default_rng(seed).permutation(names)
        to_measure = min(max(1, round(measured * len(names))), len(names) - 2)
        to_validate = max(1, min(round(validated * len(names)), len(names) - to_measure - 1))
        parts = np.split(order, [to_measure, to_measure + to_validate])
        measure, validate, fitted = (torch.from_numpy(np.flatnonzero(np.isin(groups, part))) for part in parts)
        return Split(fitted, validate, measure, groups, int(names.max()) + 1)

    def score(self, log_probabilities: Tensor, values: Tensor) -> Score:
        """The score of a label's predictions for the measured rows."""
        return Score.of(log_probabilities, values[self.measure], self.groups[self.measure.numpy()], self.files)


@dataclass(frozen=True)
class Scaling:
    """What makes features of a layer's states: each unit with mean 0 and deviation 1; one that is still stays 0.

    Attributes:
        mean, deviation: (H,), of the rows that a probe is fitted on.
    """

    mean: Tensor
    deviation: Tensor

    @staticmethod
    def of(states: Tensor, rows: Tensor) -> "Scaling":
        """The scaling of states (N, H) by some of their rows."""
        deviation = states[rows].std(0)
        return Scaling(states[rows].mean(0), torch.where(deviation > 1e-6, deviation, torch.inf))

    def features(self, states: Tensor) -> Dense:
        """States (N, H) as features."""
        return Dense((states - self.mean) / self.deviation)

    def unscaled(self, linear: Linear) -> Linear:
        """The same classifiers for the states themselves: what colours a text, or predicts, from a raw state."""
        weight = linear.weight / self.deviation[:, None]
        return replace(linear, weight=weight, bias=linear.bias - self.mean @ weight)


def standardise(states: Tensor, rows: Tensor) -> Dense:
    """States (N, H) as features, scaled by the rows that a probe is fitted on."""
    return Scaling.of(states, rows).features(states)


def window_features(window: Tensor, symbols: int) -> OneHot:
    """A window (N, k) of symbols as features, each one-hot; -1 before a text's beginning."""
    return OneHot(window, symbols, WINDOW_SCALE)
