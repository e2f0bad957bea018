"""Interleaved timing: in every round each contender has one turn, so that a drifting machine is the same for all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import Any

import numpy as np
import numpy.typing as npt

_TURN = 0.03
"""Seconds that a turn of short calls lasts; a longer call is a turn by itself."""
_SHORT = 0.02
"""Seconds below which a turn begins with one call that is not timed, to bring caches and threads back."""
_REST = 0.1
"""Seconds between turns, in which the threads of the one before stop spinning: idle ones of ONNX Runtime do for 45 ms
after a call, torch's (and so ours) for 10 ms, measured as processor time while nothing was asked of them."""
_MOST_CALLS = 300
_MOST_ROUNDS = 15
_LONG_ROUND = 2.0
_LEAST_LONG_ROUNDS = 3
"""Where one call of each takes more than `_LONG_ROUND` seconds in all, so many rounds do."""


@dataclass(frozen=True)
class Effort:
    """How long a row is measured.

    Attributes:
        seconds: for each contender; rounds go on until their sum is spent,
        rounds: but at least so many (three where a round takes more than 2 s), and at most 15 or so many.
    """

    seconds: float
    rounds: int


@dataclass(frozen=True)
class Spread:
    """A median and its quartiles."""

    lower: float
    median: float
    upper: float

    @classmethod
    def of(cls, values: npt.ArrayLike) -> "Spread":
        """The spread of some values."""
        lower, median, upper = np.quantile(np.asarray(values, dtype=np.float64), (0.25, 0.5, 0.75))
        return cls(float(lower), float(median), float(upper))


def interleaved(runs: Mapping[str, Callable[[], Any]], effort: Effort) -> dict[str, npt.NDArray[np.float64]]:
    """Seconds a call, by contender: one value a round, the median of its turn's calls.

    Args:
        runs: each contender's call, which has been called before (nothing is compiled in here).

    Returns:
        Arrays of equal length; the values at one place were taken in the same round, moments apart.
    """
    begun = perf_counter() + _REST * len(runs)  # rests are not a contender's time
    first = {name: _turn(run, calls=1) for name, run in runs.items()}
    calls = {name: _calls_in_a_turn(seconds) for name, seconds in first.items()}
    rounds = [first] if set(calls.values()) == {1} else []
    names = list(runs)
    while not _enough(rounds, effort, perf_counter() - begun):
        start = len(rounds) % len(names)
        begun += _REST * len(names)
        rounds.append({name: _turn(runs[name], calls[name]) for name in names[start:] + names[:start]})
    return {name: np.array([seconds[name] for seconds in rounds]) for name in names}


def _calls_in_a_turn(seconds: float) -> int:
    return 1 if seconds > _SHORT else min(max(round(_TURN / seconds), 2), _MOST_CALLS)


def _enough(rounds: list[dict[str, float]], effort: Effort, spent: float) -> bool:
    if not rounds:
        return False
    least = effort.rounds if sum(rounds[0].values()) <= _LONG_ROUND else min(effort.rounds, _LEAST_LONG_ROUNDS)
    if len(rounds) < least:
        return False
    return len(rounds) >= max(_MOST_ROUNDS, least) or spent >= effort.seconds * len(rounds[0])


def rest() -> None:
    """Waits until whoever ran last has stopped spinning."""
    sleep(_REST)


def _turn(run: Callable[[], Any], calls: int) -> float:
    """Seconds a call, the median of the turn's."""
    rest()
    if calls > 1:
        run()
    seconds = np.empty(calls)
    for index in range(calls):
        begun = perf_counter()
        run()
        seconds[index] = perf_counter() - begun
    return float(np.median(seconds))
