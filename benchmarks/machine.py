"""Where a measurement was taken: the processor, the versions, and the processors that a process may use."""

import os
import platform
import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("deeprnn", "torch", "jax", "jaxlib", "onnxruntime", "onnx", "numpy")


def facts() -> dict[str, Any]:
    """The machine, the versions, the time."""
    return {
        "processor": _processor(),
        "cores": len(cores()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name)) is not None},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def cores() -> list[int]:
    """One processor number for each core that this process may use: of a core's hyperthreads only the first."""
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    first_of: dict[str, int] = {}
    for processor in usable:
        first_of.setdefault(_siblings(processor), processor)
    return list(first_of.values())


@contextmanager
def confined(threads: int) -> Generator[None]:
    """Within the block, this process and those it starts have that many cores, and no library can use more.

    Where the system has no such confinement (macOS), nothing happens: the libraries are told the number only.

    Raises:
        ValueError: there are fewer cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    there = cores()
    if threads > len(there):
        raise ValueError(f"--threads {threads}: this process may use {len(there)} cores.")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, there[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def thread_environment(threads: int) -> dict[str, str]:
    """The environment of a process whose libraries work with that many threads."""
    return os.environ | {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def _siblings(processor: int) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
    return path.read_text(encoding="utf-8").strip() if path.exists() else str(processor)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
