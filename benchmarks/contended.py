"""What a call takes beside one busy process on the same cores: ours and torch's, alone and contended.

Reads a job (JSON) from its input and writes an event (JSON) for each row to the descriptor that it is given.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import deeprnn.kernels
from benchmarks import agreement, contenders, measure
from benchmarks.grid import Row, Shape
from benchmarks.problem import problem_of
from benchmarks.session import forced, instruction_set

THREADS = 2

ROWS = tuple(
    Row(cell, Shape(*sizes), task, THREADS)
    for cell, sizes in (
        ("elman-tanh", (1, 64, 1, 1000)),
        ("lstm", (1, 64, 1, 1000)),
        ("gru", (2, 32, 32, 32)),
        ("elman-tanh", (4, 128, 16, 256)),
        ("gru", (4, 128, 16, 256)),
        ("lstm", (2, 256, 32, 100)),
        ("lstm", (2, 1024, 8, 64)),
    )
    for task in ("inference", "training")
)
"""From calls of a fifth of a millisecond to some of a fifth of a second."""

_LEAST_CALLS = 3


def measure_row(row: Row, seconds: float) -> dict[str, Any]:
    """The row's entry in the results: seconds a call by contender, alone and contended; answers compared first.

    A contended call takes one time or a much longer one, as the system deals out the cores: the mean counts.

    Args:
        seconds: for each figure, at least.

    Raises:
        ValueError: torch's answer is not ours.
    """
    names = (contenders.OURS, next(n for n in contenders.TORCH if contenders.reason_to_leave_out(n, row) is None))
    problem = problem_of(row)
    built = {name: contenders.load(name).build(row, problem) for name in names}
    ours, theirs = (built[name].read(built[name].run()) for name in names)
    agreement.furthest(ours, theirs, of=f"{row}: {names[1]}", jumps=row.bench_cell.phi == "relu")
    alone = {name: _mean(contender.run, seconds) for name, contender in built.items()}
    with busy_process():
        contended = {name: _mean(contender.run, seconds) for name, contender in built.items()}
    return row.to_json() | {"torch": names[1], "alone": alone, "contended": contended}


@contextmanager
def busy_process() -> Generator[None]:
    """Within the block, another process computes without pause on the cores that this one may use."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        measure.rest()
        yield
    finally:
        busy.kill()
        busy.wait()


def _mean(run: Callable[[], Any], seconds: float) -> float:
    measure.rest()
    run()
    calls, began = 0, perf_counter()
    while calls < _LEAST_CALLS or perf_counter() - began < seconds:
        run()
        calls += 1
    return (perf_counter() - began) / calls


def main(arguments: Sequence[str]) -> None:
    """Measures the job's rows. Its one argument is the number of the descriptor that takes the events."""
    import torch

    job = json.load(sys.stdin)
    torch.set_num_threads(THREADS)
    deeprnn.kernels.keep_memory()
    with os.fdopen(int(arguments[0]), "w", encoding="utf-8") as events, forced(job["kernel"]):
        events.write(json.dumps({"machine": {"instruction_set": instruction_set()}}) + "\n")
        for entry in job["rows"]:
            events.write(json.dumps(measure_row(Row.from_json(entry), job["seconds"])) + "\n")
            events.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
