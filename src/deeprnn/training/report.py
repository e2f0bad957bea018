"""The progress of a training, reported a few times a second."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from deeprnn.training.trainer import Trainer

_SECONDS = 0.2
"""Between two reports, at least."""


@dataclass(frozen=True)
class Report:
    """How far a training is; given to its `progress`.

    Attributes:
        step: steps that are done.
        steps: all steps; None while the speed is being measured, before the first one.
        metrics: the loss's metrics, means since the report before; empty while the speed is being measured.
        throughput: the batches' units per second, since the report before.
        unit: the unit, such as "samples".
        learning_rate: of the last step.
        seconds: time spent on the steps so far.
        seconds_left: what remains at this speed.
    """

    step: int
    steps: int | None
    metrics: Mapping[str, float]
    throughput: float
    unit: str
    learning_rate: float
    seconds: float
    seconds_left: float


Progress: TypeAlias = Callable[[Report], None]


class Reporter:
    """Gathers steps between two reports."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._rates: list[float] = []  # units per second, smoothed
        self._began = time.perf_counter()
        self._metrics: list[Mapping[str, float]] = []
        self._rate = self._seconds = 0.0

    def add(self, metrics: Mapping[str, float], rate: float, seconds: float) -> None:
        self._metrics.append(metrics)
        self._rate, self._seconds = rate, seconds

    @property
    def is_due(self) -> bool:
        return time.perf_counter() - self._began >= _SECONDS

    def report(self) -> Report:
        now, trainer, count = time.perf_counter(), self._trainer, len(self._metrics)
        units = trainer.batches.units_per_batch
        self._rates = [*self._rates[-19:], count * units / max(now - self._began, 1e-9)]
        throughput = sum(self._rates) / len(self._rates)
        means = {name: sum(step[name] for step in self._metrics) / count for name in self._metrics[0]}
        self._metrics, self._began = [], now
        return Report(
            step=trainer.step,
            steps=trainer.steps,
            metrics=means,
            throughput=throughput,
            unit=trainer.batches.unit,
            learning_rate=self._rate,
            seconds=self._seconds,
            seconds_left=(trainer.steps - trainer.step) * units / throughput,
        )
