"""The number of steps, and the learning rate at each."""

import math
from dataclasses import dataclass, replace
from statistics import median


@dataclass(frozen=True)
class Course:
    """How many steps a training takes; fixed before the first one, and cut short only where time runs out.

    Attributes:
        planned: the steps that were fixed at first.
        cuts: pairs (at, end): before step `at` was taken, the end was brought forward to `end`.
    """

    planned: int
    cuts: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        first, end = 0, self.planned
        for at, shorter in self.cuts:
            if not first <= at < shorter < end:
                raise ValueError(f"a course of {self.planned} steps has no cuts {self.cuts}")
            first, end = at, shorter
        if end < 1:
            raise ValueError(f"a course has at least one step, not {end}")

    @property
    def steps(self) -> int:
        """All steps."""
        return self.cuts[-1][1] if self.cuts else self.planned

    def cut(self, at: int, end: int) -> "Course":
        """The course with its end brought forward, decided before step `at`."""
        return replace(self, cuts=(*self.cuts, (at, end)))

    def part(self, step: int) -> float:
        """The part of the course that lies behind before `step`, 0 to 1: a cut makes what is left go by faster."""
        behind, first, end = 0.0, 0, self.planned
        for at, shorter in self.cuts:
            if step < at:
                break
            behind += (1 - behind) * (at - first) / (end - first)
            first, end = at, shorter
        return behind + (1 - behind) * (step - first) / (end - first)

    def learning_rate(self, step: int, *, highest: float, warm_up: int) -> float:
        """A straight rise over the first steps, then half a cosine that ends at 0 (Loshchilov & Hutter 2017).

        Args:
            step: 0 to steps - 1.
            highest: the rate at the end of the rise.
            warm_up: steps of the rise, a tenth of those planned at most.

        >>> [round(Course(40).learning_rate(step, highest=1.0, warm_up=4), 2) for step in (0, 1, 3, 4, 22, 39)]
        [0.25, 0.5, 1.0, 1.0, 0.5, 0.0]
        """
        warm_up = min(warm_up, self.planned // 10)
        if step < warm_up:
            return highest * (step + 1) / warm_up
        risen = self.part(warm_up)
        return highest * 0.5 * (1 + math.cos(math.pi * (self.part(step) - risen) / (1 - risen)))


class TimeKeeper:
    """Watches whether the steps fit in their time, and brings the end forward where they plainly will not.

    Args:
        seconds: the time for all steps.
        spent: what they have taken so far.
    """

    def __init__(self, seconds: float, spent: float) -> None:
        self._seconds = seconds
        self._spent = spent
        self._recent: list[float] = []
        self._before: float | None = None

    def add(self, seconds: float) -> None:
        """Takes note of a step's time."""
        self._spent += seconds
        self._recent.append(seconds)

    def shorter_end(self, step: int, course: Course) -> int | None:
        """An end for the course, decided before `step`, that keeps the time; None where the present one does."""
        if sum(self._recent) < _WATCHED * self._seconds:
            return None
        now, before = median(self._recent), self._before
        self._recent, self._before = [], now
        if before is None:
            return None
        # What is cut does not come back: a disturbance that is over by the next look cuts nothing.
        step_seconds = min(now, before)
        if course.cuts and step <= course.cuts[-1][0]:
            return None  # these steps were taken before, in a process that was killed
        left = course.steps - step
        late = self._spent + left * step_seconds - self._seconds
        if late <= max(_LATE * self._seconds, _LATE_SECONDS):
            return None
        fitting = int((self._seconds - self._spent) / step_seconds)
        end = step + max(fitting, course.planned // 50, 1)
        return end if end < course.steps else None


_WATCHED = 0.05
"""The share of the time over which the speed is watched before it is judged."""
_LATE = 0.02
"""The share of the time that a training may be late by,"""
_LATE_SECONDS = 1.0
"""and what it may be late by in any case."""
