"""The number of steps, the learning rate at each, and the watch over their time."""

from dataclasses import dataclass, replace
from statistics import median


@dataclass(frozen=True)
class Schedule:
    """How many steps a training takes; planned before the first one, and changed only to keep to its time.

    Attributes:
        planned: the steps that were planned at first.
        changes: pairs (at, end): before step `at` was taken, the end was moved to `end`.
    """

    planned: int
    changes: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        first, end = 0, self.planned
        for at, moved in self.changes:
            if not (first <= at < end and at < moved):
                raise ValueError(f"a schedule of {self.planned} steps has no changes {self.changes}")
            first, end = at, moved
        if end < 1:
            raise ValueError(f"a schedule has at least one step, not {end}")

    @property
    def steps(self) -> int:
        """All steps."""
        return self.changes[-1][1] if self.changes else self.planned

    def change(self, at: int, end: int) -> "Schedule":
        """The schedule with its end moved, decided before step `at`.

        Raises:
            ValueError: the end is not after `at`, or `at` is not a step that is still to be taken.
        """
        return replace(self, changes=(*self.changes, (at, end)))

    def progress(self, step: int) -> float:
        """The share of the schedule that is done before `step`, 0 to 1: what is left goes by faster or slower."""
        behind, first, end = 0.0, 0, self.planned
        for at, moved in self.changes:
            if step < at:
                break
            behind += (1 - behind) * (at - first) / (end - first)
            first, end = at, moved
        return behind + (1 - behind) * (step - first) / (end - first)

    def learning_rate(self, step: int, *, peak: float, warm_up: int) -> float:
        """A straight rise over the first steps, then a straight fall to 0 (Defazio et al. 2023).

        Args:
            step: 0 to steps - 1.
            peak: the rate at the end of the rise.
            warm_up: steps of the rise, a tenth of those planned at most; where the end moves before it is over, they
                shrink or stretch with all that is left.

        >>> [round(Schedule(40).learning_rate(step, peak=1.0, warm_up=4), 2) for step in (0, 1, 3, 4, 22, 39)]
        [0.25, 0.5, 1.0, 1.0, 0.5, 0.03]
        """
        rise = min(warm_up, self.planned // 10) / self.planned
        progress = self.progress(step)
        if progress < rise:
            return peak * min((progress + 1 / self.planned) / rise, 1.0)
        return peak * (1 - progress) / (1 - rise)


class TimeBudget:
    """The time that the steps are to fit in: where they plainly need more of it, or less, it moves the end.

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
        """Counts a step's time."""
        self._spent += seconds
        self._recent.append(seconds)

    def revised_end(self, step: int, schedule: Schedule) -> int | None:
        """An end for the schedule, decided before `step`, that keeps the time; None where the present one does."""
        if step >= schedule.steps or sum(self._recent) < _WATCHED * self._seconds:
            return None
        now, before = median(self._recent), self._before
        self._recent, self._before = [], now
        if before is None:
            return None
        if schedule.changes and step <= schedule.changes[-1][0]:
            return None  # these steps were taken before, in a process that was killed
        # Two looks must agree: a disturbance that is over by the next one moves nothing.
        slow, fast = max(now, before), min(now, before)
        left, time = schedule.steps - step, self._seconds - self._spent
        tolerated = max(_TOLERATED * self._seconds, _TOLERATED_SECONDS)
        if left * fast - time > tolerated:
            end = step + max(int(time / fast), schedule.planned // 50, 1)
            return end if end < schedule.steps else None
        if time - left * slow > tolerated:
            end = step + int(time / slow)
            return end if end > schedule.steps else None
        return None


_WATCHED = 0.05
"""The share of the time over which the speed is watched before it is judged."""
_TOLERATED = 0.02
"""The share of the time that a training may end early or late by,"""
_TOLERATED_SECONDS = 1.0
"""and what it may be off by in any case."""
