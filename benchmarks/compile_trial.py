"""Which loops torch.compile compiles within a minute, each tried in a process of its own that can be stopped."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from benchmarks import children
from benchmarks.grid import Row
from benchmarks.problem import problem_of

LIMIT = 60.0
"""Seconds that the first call, which compiles, may take."""
_START = 20.0
"""Seconds that the process may take to come to that call."""

Outcomes: TypeAlias = dict[str, float | str]
"""By row: seconds, or why there are none."""


def key(row: Row) -> str:
    """The row's name in outcomes: the number of threads makes no difference worth another trial."""
    return f"{row.bench_cell.name} {row.shape} {row.task}"


def try_all(rows: Sequence[Row], known: Outcomes, cache: Path, tried: Callable[[], None]) -> Outcomes:
    """The outcomes of rows of one task, the shortest loop first; those that are known are not tried again.

    A row is not tried when one with no more steps already took too long.

    Args:
        cache: where torch.compile keeps what it compiled; timing then finds it there.
        tried: called after each row.
    """
    outcomes: Outcomes = {}
    stopped: Row | None = None
    for row in sorted(rows, key=lambda row: row.shape.L * row.shape.T):
        if stopped is not None:
            outcome = f"not tried: {stopped.shape}, with no more steps, took more than {LIMIT:.0f} s to compile"
        else:
            outcome = known[key(row)] if key(row) in known else _try(row, environment(cache))
            stopped = row if isinstance(outcome, str) else None
        outcomes[key(row)] = outcome
        tried()
    return outcomes


def environment(cache: Path) -> Mapping[str, str]:
    """What a process needs in its environment to find what was compiled."""
    # One compile thread: no pool of helper processes may live on beside what is timed.
    return {"TORCHINDUCTOR_CACHE_DIR": str(cache.absolute()), "TORCHINDUCTOR_COMPILE_THREADS": "1"}


def _try(row: Row, environment: Mapping[str, str]) -> float | str:
    try:
        seconds = children.answer("benchmarks.compile_trial", row, environment=environment, limit=LIMIT + _START)
    except subprocess.TimeoutExpired:
        return f"more than {LIMIT:.0f} s to compile"
    except children.ChildFailed as error:
        return f"does not compile: {error}"
    return seconds if seconds <= LIMIT else f"{seconds:.0f} s to compile"


def main() -> None:
    """Prints the seconds that the row of the input took to compile."""
    from benchmarks import contenders

    row = Row.from_json(json.load(sys.stdin))
    contender = contenders.load("torch.compile").build(row, problem_of(row))
    begun = time.perf_counter()
    contender.run()
    print(json.dumps(time.perf_counter() - begun))


if __name__ == "__main__":
    main()
