"""The course of a training as a table, `metrics.csv`."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from deeprnn import atomic
from deeprnn.training.errors import writing

COLUMNS = ("step", "characters", "seconds", "bits_per_character", "learning_rate", "gradient_norm")
"""Of the steps since the row before: their mean bits per character of training text and gradient norm (before
clipping). Of all steps: their number, the characters read, the seconds spent."""


class Metrics:
    """Gathers steps into rows. What it has gathered is part of a checkpoint, so that a resumed table has no seam."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds = 0.0
        self._nats = 0.0
        self._norms = 0.0
        self._count = 0.0

    def start(self) -> None:
        """Writes a new table with nothing but its header."""
        with writing(self.path):
            atomic.write_text(self.path, ",".join(COLUMNS) + "\n")

    @classmethod
    def go_on(cls, path: Path, step: int, tensors: Mapping[str, Tensor]) -> "Metrics":
        """The table as it was at `step`: rows that were written later, or cut short, are dropped."""
        metrics = cls(path)
        metrics.seconds, metrics._nats, metrics._norms, metrics._count = tensors["metrics"].tolist()
        rows = path.read_text(encoding="utf-8").splitlines()[1:] if path.is_file() else []
        kept = [row for row in rows if row.count(",") == len(COLUMNS) - 1 and _step_of(row) <= step]
        with writing(path):
            atomic.write_text(path, "\n".join([",".join(COLUMNS), *kept]) + "\n")
        return metrics

    def add(self, loss: float, gradient_norm: float, seconds: float) -> None:
        """Takes in one step: nats per character, the gradient's norm, its time."""
        self._nats += loss
        self._norms += gradient_norm
        self._count += 1
        self.seconds += seconds

    def write_row(self, step: int, characters: int, learning_rate: float) -> None:
        """Appends the row of the steps since the last one."""
        bits = self._nats / self._count / math.log(2)
        norm = self._norms / self._count
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(f"{step},{characters},{self.seconds:.3f},{bits:.5f},{learning_rate:.6g},{norm:.4g}\n")
        self._nats = self._norms = self._count = 0.0

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"metrics": torch.tensor([self.seconds, self._nats, self._norms, self._count], dtype=torch.float64)}

    @staticmethod
    def expected() -> dict[str, Tensor]:
        """Tensors like those of `tensors`."""
        return {"metrics": torch.zeros(4, dtype=torch.float64)}


def _step_of(row: str) -> float:
    step = row.partition(",")[0]
    return int(step) if step.isdecimal() else math.inf
