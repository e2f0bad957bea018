"""Which kernel runs a call: the kernels there are, in order, how to add one, and how to force one."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple
from weakref import ref

from deeprnn.cells import Cell
from deeprnn.kernels import aten, native, reference
from deeprnn.kernels.interface import CallSpec, Kernel

_kernels: list[Kernel] = [native, aten, reference]
"""The fastest first; the first that can run a call runs it."""

_forced: Kernel | None = None

_choices: "dict[int, _Known]" = {}
"""What was chosen before for a cell, by its id (its hash takes longer than all the rest), for as long as it lives: it
may hold a function, a module, or a whole layer."""
_MOST_REMEMBERED = 256
"""Choices for one cell; sequences come in many lengths."""


class Choice(NamedTuple):
    """The kernel that runs a call, and why each faster one does not, by its name."""

    kernel: Kernel
    passed_over: dict[str, str]


class _Known(NamedTuple):
    """The choices for one cell so far."""

    cell: "ref[Cell]"
    choices: dict[tuple[Any, ...], Choice]


def registered() -> tuple[Kernel, ...]:
    """Every kernel, in the order in which they are asked."""
    return tuple(_kernels)


def register(kernel: Kernel, *, before: str) -> None:
    """Adds a way to run a layer. From now on it runs every call that it can, unless a kernel before it does.

    Args:
        kernel: a module or an object with `NAME`, `why_not` and `run`; see `Kernel`. Where it computes by a pair of
            forward and backward operators, `kernels.autograd` makes them differentiable to any order.
        before: the name of the kernel that it is asked before; "reference" runs everything, so nothing comes after it.

    Raises:
        TypeError: it is not a kernel. ValueError: a kernel has that name already, or none has the name `before`.

    >>> from deeprnn import kernels
    >>> class Slow:
    ...     NAME = "slow"
    ...
    ...     def why_not(self, spec):
    ...         return None if spec.steps == 3 else "it counts to three"
    ...
    ...     def run(self, call):
    ...         return kernels.reference.run(call)
    >>> kernels.register(Slow(), before="native")
    >>> [kernel.NAME for kernel in kernels.registered()]
    ['slow', 'native', 'aten', 'scan', 'reference']
    >>> kernels.unregister("slow")
    """
    missing = [name for name in ("NAME", "why_not", "run") if not hasattr(kernel, name)]
    if missing:
        raise TypeError(f"register({kernel!r}): a kernel has {', '.join(missing)}; see deeprnn.kernels.Kernel.")
    names = [known.NAME for known in _kernels]
    if kernel.NAME in names:
        raise ValueError(f"register(): there is a kernel of the name {kernel.NAME!r} already; give it another.")
    if before not in names:
        raise ValueError(f"register(before={before!r}): no such kernel; there are {', '.join(names)}.")
    _kernels.insert(names.index(before), kernel)
    _choices.clear()


def unregister(name: str) -> None:
    """Takes out a kernel that `register` added.

    Raises:
        ValueError: there is none of that name, or it is the reference, which must stay.
    """
    names = [known.NAME for known in _kernels]
    if name not in names or name == reference.NAME:
        raise ValueError(f"unregister({name!r}): one of {', '.join(names[:-1])} can be taken out.")
    del _kernels[names.index(name)]
    _choices.clear()


def offered_first(name: str) -> bool:
    """Whether the kernel of that name is asked before all others, by its place or because it is forced."""
    return name == (_kernels[0] if _forced is None else _forced).NAME


def choose(spec: CallSpec) -> Choice:
    """The first kernel that can run such a call.

    Raises:
        RuntimeError: `force` is on, and the forced kernel cannot run the call.
    """
    if spec.tracing:
        return _choose(spec)
    key = (*spec[1:], _forced)  # all but the cell
    place = id(spec.cell)
    known = _choices.get(place)
    if known is None or known.cell() is not spec.cell:
        known = _choices[place] = _Known(ref(spec.cell, lambda _: _choices.pop(place, None) and None), {})
    choice = known.choices.get(key)
    if choice is None:
        if len(known.choices) >= _MOST_REMEMBERED:
            known.choices.clear()
        choice = known.choices[key] = _choose(spec)
    return choice


def _choose(spec: CallSpec) -> Choice:
    passed_over: dict[str, str] = {}
    for kernel in _kernels:
        if _forced is not None and kernel is not _forced:
            continue
        reason = kernel.why_not(spec)
        if reason is None:
            return Choice(kernel, passed_over)
        if kernel is _forced:
            raise RuntimeError(
                f"deeprnn.kernels.force({kernel.NAME!r}) cannot run {spec.cell.describe()}: {reason}.\n"
                f"  leave out the force, or force 'reference', which runs everything."
            )
        passed_over[kernel.NAME] = reason
    raise AssertionError("the reference kernel runs everything")


@contextmanager
def force(name: str) -> Generator[None]:
    """Within the block, the kernel of that name runs every layer, or the call raises; for tests and comparisons.

    Args:
        name: "native", "aten", "reference", or one that was registered.

    >>> import torch
    >>> from deeprnn import DeepRNN, Elman
    >>> net = DeepRNN(3, [Elman(4)])
    >>> with force("reference"):
    ...     net(torch.zeros(5, 2, 3)).hidden[0].shape
    torch.Size([5, 2, 4])
    """
    global _forced
    by_name = {kernel.NAME: kernel for kernel in _kernels}
    if name not in by_name:
        raise ValueError(f"force({name!r}): no such kernel; there are {', '.join(by_name)}.")
    before, _forced = _forced, by_name[name]
    try:
        yield
    finally:
        _forced = before
