"""Which kernel runs a call, and how to force one."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from deeprnn.cells import Cell
from deeprnn.kernels import aten, native, reference
from deeprnn.kernels.interface import Facts, Kernel

KERNELS: tuple[Kernel, ...] = (native, aten, reference)
"""Every kernel, the fastest first; the first that can run a call runs it."""

_forced: Kernel | None = None

_choices: "WeakKeyDictionary[Cell, dict[tuple[Any, ...], Choice]]" = WeakKeyDictionary()
"""What was chosen before, for as long as the cell lives: a cell may hold a function, a module, or a whole layer."""


class Choice(NamedTuple):
    """The kernel that runs a call, and why each faster one does not, by its name."""

    kernel: Kernel
    passed_over: dict[str, str]


def choose(facts: Facts) -> Choice:
    """The first kernel of `KERNELS` that can run such a call.

    Raises:
        RuntimeError: `force` is on, and the forced kernel cannot run the call.
    """
    if facts.tracing:
        return _choose(facts)
    key = (*facts[1:], _forced)  # all but the cell
    known = _choices.get(facts.cell)
    if known is None:
        known = _choices.setdefault(facts.cell, {})
    choice = known.get(key)
    if choice is None:
        choice = known[key] = _choose(facts)
    return choice


def _choose(facts: Facts) -> Choice:
    passed_over: dict[str, str] = {}
    for kernel in KERNELS:
        if _forced is not None and kernel is not _forced:
            continue
        reason = kernel.why_not(facts)
        if reason is None:
            return Choice(kernel, passed_over)
        if kernel is _forced:
            raise RuntimeError(
                f"deeprnn.kernels.force({kernel.NAME!r}) cannot run {facts.cell.describe()}: {reason}.\n"
                f"  leave out the force, or force 'reference', which runs everything."
            )
        passed_over[kernel.NAME] = reason
    raise AssertionError("the reference kernel runs everything")


@contextmanager
def force(name: str) -> Generator[None]:
    """Within the block, the kernel of that name runs every layer, or the call raises; for tests and comparisons.

    Args:
        name: "native", "aten" or "reference".

    >>> import torch
    >>> from deeprnn import DeepRNN, Elman
    >>> net = DeepRNN(3, [Elman(4)])
    >>> with force("reference"):
    ...     net(torch.zeros(5, 2, 3)).hidden[0].shape
    torch.Size([5, 2, 4])
    """
    global _forced
    by_name = {kernel.NAME: kernel for kernel in KERNELS}
    if name not in by_name:
        raise ValueError(f"force({name!r}): no such kernel; there are {', '.join(by_name)}.")
    before, _forced = _forced, by_name[name]
    try:
        yield
    finally:
        _forced = before
