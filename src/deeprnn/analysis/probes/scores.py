"""How right a classifier was, file by file, so that every figure can be bootstrapped over files."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from deeprnn.analysis.statistics import Floats, Ints


@dataclass(frozen=True)
class NegativeLogLikelihood:
    """The negative log-likelihood of what was predicted, file by file.

    Attributes:
        count: (F,) characters scored.
        nats: (F,) the sum of -ln p(target) over them.
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
        nll: the negative log-likelihood of the labels.
        hits: (F,) of the characters scored, those classified right.
        right, named, true: (F, K) for each class, how often it was given rightly, given, and true.
    """

    nll: NegativeLogLikelihood
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
            nll=NegativeLogLikelihood(per_file(np.ones(len(file))), per_file(-log_p[np.arange(len(truth)), truth])),
            hits=per_file(right),
            right=per_class(truth, right),
            named=per_class(guess, slice(None)),
            true=per_class(truth, slice(None)),
        )

    def accuracy(self, weights: Floats | None = None) -> Floats:
        """The share classified right; `weights` (R, F) says how often each file counts, one figure a row."""
        return _ratio(_weigh(self.hits, weights), _weigh(self.nll.count, weights))

    def bits(self, weights: Floats | None = None) -> Floats:
        """Cross-entropy in bits a scored character: an upper bound of H(y | features)."""
        return self.nll.bits(weights)

    def macro_f1(self, weights: Floats | None = None) -> Floats:
        """The plain mean of F1 over the classes that occur: rare classes count as much as common ones."""
        right, named, true = (_weigh(part, weights) for part in (self.right, self.named, self.true))
        f1 = _ratio(2 * right, named + true, empty=0.0)
        occurs = true > 0
        return _ratio((f1 * occurs).sum(-1), occurs.sum(-1))


def _weigh(sums: Floats, weights: Floats | None) -> Floats:
    return sums.sum(0) if weights is None else weights @ sums


def _ratio(above: Floats, below: Floats, empty: float = math.nan) -> Floats:
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, empty), where=below > 0)
