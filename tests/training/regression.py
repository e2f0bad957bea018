"""A task that is not text: sums of random inputs, from one sequence to the next."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from deeprnn import GRU, DeepRNN
from deeprnn.training import Batch, Run, rows_of_rank


class Sums:
    """Sequences of random numbers, of random lengths; the targets are their running sums."""

    unit = "samples"
    batch_size = 6
    units_per_batch = 6

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        random = torch.Generator().manual_seed(step)
        inputs = torch.randn(5, 6, 2, generator=random)
        lengths = torch.randint(1, 6, (6,), generator=random)
        resets = torch.zeros(5, 6, dtype=torch.bool)
        resets[0] = True
        targets = inputs.sum(dim=2, keepdim=True).cumsum(dim=0)
        targets[torch.arange(5)[:, None] >= lengths] = 0.0
        rows = rows_of_rank(self.batch_size, rank, ranks)
        return Batch(inputs[:, rows], targets[:, rows], resets[:, rows], lengths[rows])


class SquaredError(torch.nn.Module):
    """A loss that is a module, and names two metrics."""

    metrics = ("squared_error", "largest_error")

    def forward(self, result: object, targets: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        error = (result.output - targets).square()  # type: ignore[attr-defined]
        return error.mean(), {"squared_error": error.mean(), "largest_error": error.max()}


class SumsRun(Run):
    """A run whose task keeps no files of its own."""


def net() -> DeepRNN:
    torch.manual_seed(0)
    return DeepRNN(2, [GRU(8), GRU(7, zoneout=0.1)], 1, dropout=0.1)


def run_in(path: Path) -> SumsRun:
    return SumsRun(path)
