"""The loss of a network that predicts the next symbol."""

import math
from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from deeprnn.deep import Result


class NextSymbolLoss:
    """The negative log-likelihood of the targets in nats, the mean over a batch."""

    metrics: tuple[str, ...] = ("bits_per_character",)
    """The same in bits; per byte where the vocabulary is one of bytes."""

    def __call__(self, result: Result, targets: Tensor, /) -> tuple[Tensor, Mapping[str, Tensor]]:
        assert result.output is not None
        nats = F.cross_entropy(result.output.flatten(0, 1).float(), targets.flatten())
        return nats, {"bits_per_character": nats / math.log(2)}
