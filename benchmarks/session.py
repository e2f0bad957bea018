"""One process that measures rows of one number of threads, all contenders side by side.

Reads a job (JSON) from its input and writes an event (JSON) a line to the descriptor that it is given: what a row
measured, or, for a row that went wrong, the error.
"""

import json
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from typing import Any

import numpy as np

import deeprnn.kernels
from benchmarks import agreement, bound, contenders, measure
from benchmarks.contenders import Contender
from benchmarks.grid import Row
from benchmarks.measure import Effort, Spread
from benchmarks.problem import problem_of


def measure_row(row: Row, left_out: dict[str, str], effort: Effort) -> dict[str, Any]:
    """The row's entry in the results: what each contender took, and how it compares.

    Args:
        left_out: contenders that shall not run, with the reason; those that can't are added.

    Raises:
        ValueError: a contender's answer is not ours.
    """
    left_out = left_out | {
        name: reason
        for name in contenders.NAMES
        if name not in left_out and (reason := contenders.reason_to_leave_out(name, row)) is not None
    }
    problem = problem_of(row)
    built: dict[str, Contender] = {}
    distances: dict[str, float] = {}
    ours = None
    for name in contenders.NAMES:
        if name in left_out:
            continue
        built[name] = contenders.load(name).build(row, problem)
        answer = built[name].read(built[name].run())
        ours = answer if ours is None else ours
        jumps = row.bench_cell.phi == "relu"
        distances[name] = agreement.furthest(ours, answer, of=f"{row}: {name}", jumps=jumps)[1]
    seconds, limits = _timed(row, {name: contender.run for name, contender in built.items()}, effort)
    taken = seconds[contenders.OURS]
    flops = bound.flops(row)
    return row.to_json() | {
        "kernel": built[contenders.OURS].kernel,
        "rounds": len(taken),
        "contenders": {
            name: {
                "seconds": asdict(Spread.of(seconds[name])),
                "ratio": asdict(Spread.of(seconds[name] / taken)),
                "distance": distances[name],
            }
            for name in built
        },
        "left_out": left_out,
        "flops": flops,
        "weight_bytes": bound.weight_bytes(row),
        "gflops": flops / float(np.median(taken)) / 1e9,
        "limits": limits,
    }


def _timed(
    row: Row, runs: dict[str, Callable[[], Any]], effort: Effort
) -> tuple[dict[str, np.ndarray], dict[str, float] | None]:
    """Seconds by contender, and the probe's limits: the better of what it found before and after."""
    probe = bound.probe()
    measure.rest()
    before = probe and probe.limits(row)
    seconds = measure.interleaved(runs, effort)
    measure.rest()
    after = probe and probe.limits(row)
    if before is None or after is None:
        return seconds, None
    best = bound.Limits(max(before.fma_gflops, after.fma_gflops), max(before.read_gbps, after.read_gbps))
    return seconds, best.of(row)


@contextmanager
def forced(kernel: str) -> Generator[None]:
    """Within the block, that kernel runs every layer of ours, or the call raises.

    Args:
        kernel: a kernel's name, or "auto": the compiled kernels where they are built, else whichever comes first.
    """
    if kernel == "auto":
        kernel = "native" if getattr(_info(), "built", False) else ""
    with deeprnn.kernels.force(kernel) if kernel else nullcontext():
        yield


def instruction_set() -> str:
    """The one that the compiled kernels run, or torch's where there are none."""
    import torch

    return getattr(_info(), "instruction_set", None) or torch.backends.cpu.get_cpu_capability().lower()


def _info() -> object | None:
    """What `deeprnn.kernels.info` says; None in a version without compiled kernels."""
    info: Callable[[], object] | None = getattr(deeprnn.kernels, "info", None)
    return None if info is None else info()


def main(arguments: Sequence[str]) -> None:
    """Measures the job's rows. Its one argument is the number of the descriptor that takes the events."""
    import torch  # threads are set before anything runs

    job = json.load(sys.stdin)
    torch.set_num_threads(job["threads"])
    deeprnn.kernels.keep_memory()
    effort = Effort(job["seconds"], job["rounds"])
    with os.fdopen(int(arguments[0]), "w", encoding="utf-8") as events, forced(job["kernel"]):
        events.write(json.dumps({"machine": {"instruction_set": instruction_set()}}) + "\n")
        for entry in job["rows"]:
            measured = measure_row(Row.from_json(entry), entry["left_out"], effort)
            events.write(json.dumps(measured) + "\n")
            events.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
