"""The compiled extension: whether it is there, the instruction set it runs, and the threads it works with."""

import ctypes
import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from deeprnn.kernels.native import fields

try:
    from deeprnn.kernels import _native as _loaded  # pyright: ignore
except ImportError as error:
    _loaded, _missing = None, str(error)
else:
    _missing = None

INSTRUCTION_SETS = ("baseline", "avx2", "avx512")
"""In the order of `Isa` in csrc/deeprnn.h."""

ENVIRONMENT = "DEEPRNN_ISA"

_chosen: int | None = None
_said_missing = False


class Info(NamedTuple):
    """What the compiled kernels are on this machine.

    Attributes:
        built: whether the package was installed with them.
        instruction_set: the one that runs: the best of `available`, or what DEEPRNN_ISA says; None where not built.
        available: every instruction set that this processor and operating system support.
        threads: how many threads run a layer, as `torch.set_num_threads` says; 1 after a fork.
    """

    built: bool
    instruction_set: str | None
    available: tuple[str, ...]
    threads: int


def info() -> Info:
    """What the compiled kernels are on this machine.

    Raises:
        ValueError: DEEPRNN_ISA names no instruction set, or one that this machine lacks.
    """
    if _loaded is None:
        return Info(built=False, instruction_set=None, available=(), threads=1)
    return Info(built=True, instruction_set=INSTRUCTION_SETS[isa()], available=available(), threads=native().threads())


def built() -> bool:
    """Whether the package was installed with its compiled kernels."""
    return _loaded is not None


def native() -> Any:
    """The extension module.

    Raises:
        RuntimeError: it was not built.
    """
    if _loaded is None:
        raise RuntimeError(f"deeprnn was installed without its compiled kernels: {_missing}")
    return _loaded


def available() -> tuple[str, ...]:
    """The instruction sets that this processor and operating system support."""
    return _available


def isa() -> int:
    """The instruction set in use, as an index of `INSTRUCTION_SETS`."""
    global _chosen
    if _chosen is None:
        name = os.environ.get(ENVIRONMENT)
        _chosen = _best if not name else _index(name, f"{ENVIRONMENT}={name}")
    return _chosen


@contextmanager
def instruction_set(name: str) -> Generator[None]:
    """Within the block, the kernels run that instruction set; for tests and comparisons.

    Raises:
        ValueError: there is none of that name, or this machine lacks it.
    """
    global _chosen
    before, _chosen = _chosen, _index(name, f"instruction_set({name!r})")
    try:
        yield
    finally:
        _chosen = before


def say_missing_once() -> None:
    """Tells the log, the first time, that layers run without compiled kernels."""
    global _said_missing
    if not _said_missing:
        _said_missing = True
        logging.getLogger("deeprnn").warning(
            "deeprnn was installed without its compiled CPU kernels: layers run on torch's operators or step by step, "
            "which is slower. docs/kernels.md says how to build them."
        )


def _index(name: str, given: str) -> int:
    if name not in INSTRUCTION_SETS:
        raise ValueError(f"{given}: no such instruction set; there are {', '.join(INSTRUCTION_SETS)}.")
    if name not in _available:
        raise ValueError(f"{given}: this machine has only {', '.join(_available)}.")
    return INSTRUCTION_SETS.index(name)


def _use_torch_threads() -> None:
    """Hands torch's own thread pool to the kernels, so that no second one is loaded."""
    directory = Path(torch.__file__).parent / "lib"
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib", "torch_cpu.dll"):
        if (directory / name).exists():
            library = ctypes.CDLL(str(directory / name))
            break
    else:
        return
    symbols = [getattr(library, name, None) for name in ("torch_parallel_for", "torch_get_num_threads")]
    addresses = [ctypes.cast(symbol, ctypes.c_void_p).value for symbol in symbols if symbol is not None]
    if len(addresses) == len(symbols):
        native().use_threads(*addresses)


def _run_serially() -> None:
    native().use_threads(0, 0)


# Asked here, so that torch.compile can read `isa`.
_best: int = 0 if _loaded is None else _loaded.best_isa()
_available = tuple(
    name for index, name in enumerate(INSTRUCTION_SETS) if _loaded is not None and _loaded.supported(index)
)

if _loaded is not None:
    fields.compare(getattr(_loaded, "fields", dict)())
    _use_torch_threads()
    if hasattr(os, "register_at_fork"):
        # A forked child has the parent's pool in name only: waiting for its threads would never end.
        os.register_at_fork(after_in_child=_run_serially)
