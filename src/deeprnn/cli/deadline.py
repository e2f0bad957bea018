"""The time of `deeprnn train --minutes`, divided between training and what follows it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deeprnn.tasks.text import EvaluationSpeed

LEAST_EVALUATED = 100_000
"""Held-out characters that are evaluated at the end, if there are so many;"""
EVALUATED_SHARE = 4
"""and more only up to this part of the characters trained on, so that it takes little of the time."""
_FEWEST = 10_000
"""Held-out characters that are evaluated however little time there is."""
_EVALUATION = 1 / 16
"""About the share of the time that it takes to evaluate a quarter as many characters as were trained on."""
_AFTERWARDS = 3.0
"""Seconds kept for what follows the evaluation: a sample, and the end of the program."""


@dataclass(frozen=True)
class Deadline:
    """When a command that was given a time is to end.

    Attributes:
        began: when it began, by time.monotonic().
        seconds: the time that it was given.
        speed: how fast the network is evaluated.
        lengths: of the held-out documents, in symbols.
    """

    began: float
    seconds: float
    speed: "EvaluationSpeed"
    lengths: Sequence[int]

    def training_seconds(self) -> float:
        """The seconds for the training: what is left, less the evaluation and the end; a third of all at least."""
        left = self._left()
        least, whole = (self.speed.seconds(self.lengths, at_most) for at_most in (LEAST_EVALUATED, None))
        return max(left - min(max(least, left * _EVALUATION), left / 2, whole), self.seconds / 3)

    def at_most(self, characters: int) -> int:
        """So many held-out characters, or as many as can be evaluated in time."""
        left = self._left()
        while characters > _FEWEST and self.speed.seconds(self.lengths, characters) > left:
            characters = max(characters // 2, _FEWEST)
        return characters

    def _left(self) -> float:
        return self.began + self.seconds - _AFTERWARDS - time.monotonic()
