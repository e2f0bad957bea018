"""A call by name: the operators' tensors, and the records of integers that C++ takes.

csrc/fields.h declares the records' fields in the same order; `compare` refuses an extension where they differ. A record
of tensors also holds what goes with each of them: its shape, its batch axis.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from deeprnn.kernels.autograd import Kept


class Read(NamedTuple):
    """The tensors that both operators read, in the operators' order."""

    x: Any
    weight_xh: Any
    weight_hh: Any
    bias: Any
    bias_hn: Any
    weight_ch: Any
    h0: Any
    c0: Any
    initial_h: Any
    initial_c: Any
    lengths: Any
    restarts: Any
    mask: Any
    keep_h: Any
    keep_c: Any


READ = Read._fields

WEIGHTS = ("weight_xh", "weight_hh", "bias", "bias_hn", "weight_ch")
"""Those of them that are the layer's weights."""

DIFFERENTIABLE = READ[: READ.index("initial_c") + 1]
"""Those of them that have gradients."""

STRIDED_STEPS, STRIDED_ROWS = ("x", "keep_h", "keep_c"), ("h0", "c0", "initial_h", "initial_c", "mask")
"""Of these the kernels know the strides, (T, B, F) and (B, F). Everything else is contiguous."""


class Outputs(NamedTuple):
    """What the forward kernel writes; None for what a call does not have."""

    hidden: Any
    last_h: Any = None
    last_c: Any = None
    cells: Any = None
    saved: Any = None


class Given(NamedTuple):
    """The gradients of the outputs; None for zero."""

    of_hidden: Any
    of_last_h: Any
    of_last_c: Any
    of_cells: Any


class Kind(NamedTuple):
    """What is computed, by the numbers of csrc/deeprnn.h."""

    cell: int
    reset_after: bool
    phi: int
    gate_phi: int
    reverse: bool


class Sizes(NamedTuple):
    """`Kind`, the sizes of a call, and what it has."""

    cell: int
    reset_after: int
    phi: int
    gate_phi: int
    T: int
    B: int
    I: int  # noqa: E741
    H: int
    indices: int
    masked: int
    zoneout: int
    peephole: int
    training: int
    reverse: int


class Stack(NamedTuple):
    """What a stack of layers reads: x's address and strides (of indices none), and the sizes of all layers."""

    x: int
    x_t: int
    x_b: int
    x_f: int
    T: int
    B: int
    indices: int


class Stacked(NamedTuple):
    """A layer of a stack: what it is, and the addresses of what it reads and writes, all contiguous."""

    cell: int
    reset_after: int
    phi: int
    gate_phi: int
    reverse: int
    I: int  # noqa: E741
    H: int
    weight_xh: int
    weight_hh: int
    bias: int
    bias_hn: int
    h0: int
    c0: int
    hidden: int
    last_h: int
    last_c: int


class ForwardArguments(NamedTuple):
    """The forward operator's arguments."""

    read: Read
    kind: Kind
    return_cell_states: bool
    training: bool


class BackwardArguments(NamedTuple):
    """The backward operator's arguments."""

    read: Read
    kept: Kept
    given: Given
    kind: Kind
    wanted: Sequence[bool]


def forward_arguments(arguments: Sequence[Any]) -> ForwardArguments:
    """The forward operator's arguments by name."""
    *kind, return_cell_states, training = arguments[len(READ) :]
    return ForwardArguments(Read(*arguments[: len(READ)]), Kind(*kind), return_cell_states, training)


def backward_arguments(arguments: Sequence[Any]) -> BackwardArguments:
    """The backward operator's arguments by name."""
    rest = iter(arguments)
    parts = [kind(*(next(rest) for _ in kind._fields)) for kind in (Read, Kept, Given, Kind)]
    return BackwardArguments(*parts, *rest)  # pyright: ignore[reportArgumentType]


def compare(exported: Mapping[str, tuple[str, ...]]) -> None:
    """Compares the fields that the extension exports with those declared here.

    Raises:
        ImportError: it was built from other sources.
    """
    for record, declared in _RECORDS.items():
        if (found := exported.get(record, ())) != declared:
            differing = ", ".join(sorted({*found} ^ {*declared})) or "their order"
            raise ImportError(
                f"deeprnn.kernels._native was built from another version of deeprnn: the fields of {record!r} differ "
                f"({differing}).\n  Install both anew: pip install --force-reinstall deeprnn, or pip install . in a "
                f"checkout."
            )


_RECORDS = {
    "sizes": Sizes._fields,
    "inputs": (
        *READ,
        *(f"{name}_{axis}" for name in STRIDED_STEPS for axis in "tbf"),
        *(f"{name}_{axis}" for name in STRIDED_ROWS for axis in "bf"),
    ),
    "outputs": Outputs._fields,
    "given": Given._fields,
    "wanted": DIFFERENTIABLE,
    "stack": Stack._fields,
    "stacked": Stacked._fields,
}
