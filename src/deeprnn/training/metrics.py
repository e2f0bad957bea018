"""The metrics of a training over its steps, `metrics.csv`."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from deeprnn.disk import atomic, marks
from deeprnn.training.errors import RunError, warn, writing


def columns_of(unit: str, metrics: Sequence[str]) -> tuple[str, ...]:
    """The columns of a table.

    Of all steps so far: their number, the units read, the seconds spent. Of the steps since the row before: the means
    of the loss's metrics and of the gradient's norm before clipping.

    Args:
        unit: what is counted (see `Batches.unit`).
        metrics: the names of the loss's metrics.

    >>> columns_of("samples", ["accuracy"])
    ('step', 'samples', 'seconds', 'accuracy', 'learning_rate', 'gradient_norm')
    """
    return ("step", unit, "seconds", *metrics, "learning_rate", "gradient_norm")


class MetricsTable:
    """Gathers steps into rows. What it has gathered is part of a checkpoint, so that a resumed table has no seam."""

    def __init__(self, path: Path, unit: str, metrics: Sequence[str]) -> None:
        self.path = path
        self.columns = columns_of(unit, metrics)
        self.seconds = 0.0
        self._sums = dict.fromkeys(metrics, 0.0)
        self._norms = 0.0
        self._count = 0.0
        self._rows: list[str] = []

    def start(self) -> None:
        """Writes a new table with nothing but its header."""
        self._write()

    def resume(self, step: int, tensors: Mapping[str, Tensor], digest: str | None) -> None:
        """Returns to the table as it was at `step`: rows that were written later, or cut short, are dropped.

        Args:
            digest: `digest` of the table at that step; None where it is not known.

        Raises:
            RunError: the table is not what it was.

        Warns:
            FileWarning: the table is gone; a new one is started.
        """
        self.seconds, *sums, self._norms, self._count = tensors["metrics"].tolist()
        self._sums = dict(zip(self._sums, sums, strict=True))
        if self.path.exists():
            self._rows = read_rows(self.path, self.columns, step, digest)
        elif step > 0:
            warn(f"{self.path} is gone: the metrics before step {step:,} are missing from the new one.")
        self._write()

    def add(self, metrics: Mapping[str, float], gradient_norm: float, seconds: float) -> None:
        """Adds one step: its metrics, the gradient's norm, its time."""
        self._sums = {name: total + metrics[name] for name, total in self._sums.items()}
        self._norms += gradient_norm
        self._count += 1
        self.seconds += seconds

    def write_row(self, step: int, units: int, learning_rate: float) -> None:
        """Appends the row of the steps since the last one."""
        means = "".join(f",{total / self._count:.5f}" for total in self._sums.values())
        norm = self._norms / self._count
        self._rows.append(f"{step},{units},{self.seconds:.3f}{means},{learning_rate:.6g},{norm:.4g}")
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(self._rows[-1] + "\n")
        self._sums = dict.fromkeys(self._sums, 0.0)
        self._norms = self._count = 0.0

    @property
    def digest(self) -> str:
        """SHA-256 of the table as it is, for the checkpoint of this step."""
        return _digest(self.columns, self._rows)

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps: the seconds, the sums since the last row, and how many steps these are of."""
        kept = [self.seconds, *self._sums.values(), self._norms, self._count]
        return {"metrics": torch.tensor(kept, dtype=torch.float64)}

    def _write(self) -> None:
        with writing(self.path):
            atomic.write_text(self.path, _text(self.columns, self._rows), marks.METRICS)


def read_rows(path: Path, columns: Sequence[str], step: int | None = None, digest: str | None = None) -> list[str]:
    """The rows of a table, as text; one that was cut short is left out.

    Args:
        columns: the table's.
        step: the last step whose row is wanted; None for all.
        digest: `MetricsTable.digest` at that step; None where it is not known.

    Raises:
        RunError: they are not what they were then, or can't be read.
    """
    remedy = "Restore it from a copy; or delete it, and the training continues without its earlier rows."
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise RunError(f"{path} can't be read ({error}).\n  {remedy}") from error
    whole = [row for row in lines[1:] if row.count(",") == len(columns) - 1]
    rows = whole if step is None else [row for row in whole if _step_of(row) <= step]
    if digest is not None and (lines[:1] != [",".join(columns)] or digest != _digest(columns, rows)):
        raise RunError(f"{path} is damaged: its rows up to step {step:,} are not those that were written.\n  {remedy}")
    return rows


def _text(columns: Sequence[str], rows: Sequence[str]) -> str:
    return "\n".join([",".join(columns), *rows]) + "\n"


def _digest(columns: Sequence[str], rows: Sequence[str]) -> str:
    return hashlib.sha256(_text(columns, rows).encode()).hexdigest()


def _step_of(row: str) -> float:
    step = row.partition(",")[0]
    return int(step) if step.isascii() and step.isdecimal() else math.inf
