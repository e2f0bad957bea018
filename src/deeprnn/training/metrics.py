"""The course of a training as a table, `metrics.csv`."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from deeprnn.disk import atomic, marks
from deeprnn.training.errors import RunError, note, writing

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
        self._rows: list[str] = []

    def start(self) -> None:
        """Writes a new table with nothing but its header."""
        self._write()

    @classmethod
    def resumed(cls, path: Path, step: int, tensors: Mapping[str, Tensor], digest: str | None) -> "Metrics":
        """The table as it was at `step`: rows that were written later, or cut short, are dropped.

        Args:
            digest: `digest` of the table at that step; None where it is not known.

        Raises:
            RunError: the table is not what it was.

        Warns:
            UserWarning: it is gone, and begins anew.
        """
        metrics = cls(path)
        metrics.seconds, metrics._nats, metrics._norms, metrics._count = tensors["metrics"].tolist()
        if path.exists():
            metrics._rows = read_rows(path, step, digest)
        elif step > 0:
            note(f"{path} is gone: the course of the training before step {step:,} is missing from the new one.")
        metrics._write()
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
        self._rows.append(f"{step},{characters},{self.seconds:.3f},{bits:.5f},{learning_rate:.6g},{norm:.4g}")
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(self._rows[-1] + "\n")
        self._nats = self._norms = self._count = 0.0

    @property
    def digest(self) -> str:
        """SHA-256 of the table as it is, for the checkpoint of this step."""
        return _digest(self._rows)

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"metrics": torch.tensor([self.seconds, self._nats, self._norms, self._count], dtype=torch.float64)}

    @staticmethod
    def expected() -> dict[str, Tensor]:
        """Tensors like those of `tensors`."""
        return {"metrics": torch.zeros(4, dtype=torch.float64)}

    def _write(self) -> None:
        with writing(self.path):
            atomic.write_text(self.path, _text(self._rows), marks.METRICS)


def read_rows(path: Path, step: int | None = None, digest: str | None = None) -> list[str]:
    """The rows of a table, as text; one that was cut short is left out.

    Args:
        step: the last step whose row is wanted; None for all.
        digest: `Metrics.digest` at that step; None where it is not known.

    Raises:
        RunError: they are not what they were then, or can't be read.
    """
    remedy = "Restore it from a copy; or delete it, and the training continues without its earlier rows."
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise RunError(f"{path} can't be read ({error}).\n  {remedy}") from error
    whole = [row for row in lines[1:] if row.count(",") == len(COLUMNS) - 1]
    rows = whole if step is None else [row for row in whole if _step_of(row) <= step]
    if digest is not None and (lines[:1] != [",".join(COLUMNS)] or digest != _digest(rows)):
        raise RunError(f"{path} is damaged: its rows up to step {step:,} are not those that were written.\n  {remedy}")
    return rows


def _text(rows: Sequence[str]) -> str:
    return "\n".join([",".join(COLUMNS), *rows]) + "\n"


def _digest(rows: Sequence[str]) -> str:
    return hashlib.sha256(_text(rows).encode()).hexdigest()


def _step_of(row: str) -> float:
    step = row.partition(",")[0]
    return int(step) if step.isascii() and step.isdecimal() else math.inf
