"""Peak memory of a training step: how far the resident memory rises above what it was just before the step.

Each figure comes from a process of its own, which has run a tiny net before, so that code and pools are loaded.
The input, the weights and the upstream gradient lie in memory already; saved states, workspaces and the weights'
gradients do not. Freed blocks go straight back to the system, so that nothing freed counts.
"""

import gc
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import children, contenders
from benchmarks.contenders import OURS
from benchmarks.grid import Row, Shape
from benchmarks.problem import problem_of

# glibc's malloc keeps freed blocks below these sizes for itself, and raises the first with every larger block.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_TINY = Shape(L=1, H=8, B=2, T=3)


def possible() -> bool:
    """Whether this system tells, and resets, a process's peak (Linux)."""
    return _STATUS.exists() and _CLEAR.exists()


def measure(row: Row, kernel: str) -> dict[str, object]:
    """The row's entry in the results: bytes of ours and of torch's, each from a process of its own.

    Raises:
        children.ChildFailed: a process ended with an error.
    """
    torch_name = next(name for name in contenders.TORCH if contenders.reason_to_leave_out(name, row) is None)
    ours, torchs = (
        children.answer("benchmarks.memory", row, name, kernel, environment=_MALLOC) for name in (OURS, torch_name)
    )
    return row.to_json() | {"torch": torch_name, "bytes": ours, "torch_bytes": torchs, "ratio": ours / torchs}


def rise(row: Row, name: str) -> int:
    """Bytes by which this process's resident memory rises while the contender runs the row once."""
    module, tiny = contenders.load(name), replace(row, shape=_TINY)
    module.build(tiny, problem_of(tiny)).run()
    contender = module.build(row, problem_of(row))
    gc.collect()
    before = _kilobytes("VmRSS")
    _CLEAR.write_text("5", encoding="ascii")  # the peak becomes what is resident now: man 5 proc_pid_clear_refs
    result = contender.run()
    rise = _kilobytes("VmHWM") - before
    del result
    return rise * 1024


def _kilobytes(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None
    return int(found[1])


def main(arguments: Sequence[str]) -> None:
    """Prints the rise for the contender and the kernel that the arguments name, and the row that the input holds."""
    import torch

    from benchmarks.session import forced

    name, kernel = arguments
    row = Row.from_json(json.load(sys.stdin))
    torch.set_num_threads(row.threads)
    with forced(kernel):
        print(json.dumps(rise(row, name)))


if __name__ == "__main__":
    main(sys.argv[1:])
