"""How far a training is, told a few times a second."""

import math
import time
from collections.abc import Callable
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
        bits_per_character: of the training text, mean since the report before.
        characters_per_second: likewise.
        learning_rate: of the last step.
        seconds: time spent on the steps so far.
        seconds_left: what remains at this speed.
    """

    step: int
    steps: int | None
    bits_per_character: float
    characters_per_second: float
    learning_rate: float
    seconds: float
    seconds_left: float


Progress: TypeAlias = Callable[[Report], None]


class Reporter:
    """Gathers steps between two reports."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._rates: list[float] = []  # characters a second, smoothed
        self._began = time.perf_counter()
        self._losses: list[float] = []
        self._rate = self._seconds = 0.0

    def add(self, loss: float, rate: float, seconds: float) -> None:
        self._losses.append(loss)
        self._rate, self._seconds = rate, seconds

    @property
    def is_due(self) -> bool:
        return time.perf_counter() - self._began >= _SECONDS

    def report(self) -> Report:
        now, trainer = time.perf_counter(), self._trainer
        per_second = len(self._losses) * trainer.characters / max(now - self._began, 1e-9)
        self._rates = [*self._rates[-19:], per_second]
        smooth = sum(self._rates) / len(self._rates)
        bits = sum(self._losses) / len(self._losses) / math.log(2)
        self._losses, self._began = [], now
        left = (trainer.steps - trainer.step) * trainer.characters / smooth
        return Report(trainer.step, trainer.steps, bits, smooth, self._rate, self._seconds, left)
