"""How right a classifier was, file by file, so that every figure can be bootstrapped over files."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A figure with its spread.

    Attributes:
        value: measured on all files.
        low, high: the 2.5 % and 97.5 % points of the bootstrap.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Surprise:
    """How many nats F files cost.

    Attributes:
        count: (F,) characters scored.
        nats: (F,) the sum of -ln p(what came).
    """

    count: Floats
    nats: Floats

    def bits(self, weights: Floats | None = None) -> Floats:
        """Cross-entropy in bits a scored character; `weights` (R, F) says how often each file counts."""
        return _ratio(_weigh(self.nats, weights), _weigh(self.count, weights)) / math.log(2)


@dataclass(frozen=True)
class Score:
    """Sums over each of F files; what is not scored (label -1) is in none of them.

    Attributes:
        surprise: characters scored, and what they cost.
        hits: (F,) of the characters scored, those classified right.
        right, named, true: (F, K) for each class, how often it was given rightly, given, and true.
    """

    surprise: Surprise
    hits: Floats
    right: Floats
    named: Floats
    true: Floats

    @staticmethod
    def of(log_probabilities: Tensor, labels: Tensor, groups: Ints, files: int) -> "Score":
        """Scores N predictions.

        Args:
            log_probabilities: (N, K). labels: (N,), -1 = not scored.
            groups: (N,) the file of each row, 0 to files - 1.
            files: F.
        """
        keep = (labels >= 0).numpy()
        log_p = log_probabilities.double().numpy()[keep]
        truth, file = labels.numpy()[keep], groups[keep]
        guess = log_p.argmax(1)
        classes = log_p.shape[1]
        right = guess == truth

        def per_file(weights: NDArray[np.float64] | NDArray[np.bool_]) -> Floats:
            return np.bincount(file, weights=weights, minlength=files).astype(np.float64)

        def per_class(which: Ints, chosen: NDArray[np.bool_] | slice) -> Floats:
            flat = np.bincount(file[chosen] * classes + which[chosen], minlength=files * classes)
            return flat.reshape(files, classes).astype(np.float64)

        return Score(
            surprise=Surprise(per_file(np.ones(len(file))), per_file(-log_p[np.arange(len(truth)), truth])),
            hits=per_file(right),
            right=per_class(truth, right),
            named=per_class(guess, slice(None)),
            true=per_class(truth, slice(None)),
        )

    def accuracy(self, weights: Floats | None = None) -> Floats:
        """The share classified right; `weights` (R, F) says how often each file counts, one figure a row."""
        return _ratio(_weigh(self.hits, weights), _weigh(self.surprise.count, weights))

    def bits(self, weights: Floats | None = None) -> Floats:
        """Cross-entropy in bits a scored character: an upper bound of H(y | features)."""
        return self.surprise.bits(weights)

    def macro_f1(self, weights: Floats | None = None) -> Floats:
        """The plain mean of F1 over the classes that occur: rare classes count as much as common ones."""
        right, named, true = (_weigh(part, weights) for part in (self.right, self.named, self.true))
        f1 = _ratio(2 * right, named + true, empty=0.0)
        occurs = true > 0
        return _ratio((f1 * occurs).sum(-1), occurs.sum(-1))


def resamples(files: int, count: int, seed: int) -> Floats:
    """(count, files) how often each file is drawn in each of `count` draws with replacement."""
    random = np.random.default_rng(seed)
    return random.multinomial(files, np.full(files, 1 / files), size=count).astype(np.float64)


def interval(figure: Callable[[Floats | None], Floats], weights: Floats) -> Interval:
    """The figure on all files, and its 95 % bootstrap interval (percentiles) over resampled ones.

    Files are drawn, not characters: neighbouring characters are no independent observations. With few files the
    interval is too narrow.

    Args:
        figure: a Score's method, or a function of several Scores' methods with the same weights (then paired).
        weights: as `resamples` gives them.

    Source: Efron & Tibshirani 1993, chapter 13 (percentiles) and 8.6 (blocks as units).
    """
    drawn = figure(weights)
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (math.nan, math.nan)
    return Interval(float(figure(None)), float(low), float(high))


def _weigh(sums: Floats, weights: Floats | None) -> Floats:
    return sums.sum(0) if weights is None else weights @ sums


def _ratio(above: Floats, below: Floats, empty: float = math.nan) -> Floats:
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, empty), where=below > 0)
