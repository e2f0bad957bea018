"""Whether a network fits in memory, checked before it is built: a machine out of memory kills processes."""

import os
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deeprnn.cells import Cell

_ADDRESSED = 1 << 62
"""Bytes of weights beyond which torch can't even name their number."""
_IN_TRAINING = 4
"""A weight, its gradient and AdamW's two moments."""


def weights(
    cells: "Sequence[Cell]", inputs: int, outputs: int, *, input_to_all: bool = False, output_from_all: bool = False
) -> int:
    """The number of a network's weights, the output layer's bias aside."""
    count, below = 0, inputs
    for index, cell in enumerate(cells):
        reads = below + (inputs if input_to_all and index else 0)
        count += cell.directions * sum(prod(shape) for shape in cell.weight_shapes(reads).values())
        below = cell.output_width
    return count + outputs * (sum(cell.output_width for cell in cells) if output_from_all else below)


def check_drawn(count: int) -> None:
    """Raises ValueError where a network has too many weights to be described at all."""
    if 4 * count >= _ADDRESSED:
        raise ValueError(
            f"this network would have {count:.3g} weights, {_gigabytes(4 * count)} GB.\n  Use fewer units or layers."
        )


def check_trained(count: int, cells: "Sequence[Cell]", symbols: int, *, batch: int, bptt: int, width: int) -> None:
    """Raises ValueError where training a network surely needs more memory than there is.

    Args:
        count: its weights.
        symbols: of the vocabulary.
        batch, bptt: sequences in a batch, and steps of backpropagation through time.
        width: bytes of a number.
    """
    states = batch * bptt * (sum(cell.output_width for cell in cells) + symbols)
    needed, there = width * (_IN_TRAINING * count + states), memory()
    if needed <= there:
        return
    what, remedy = (
        (f"its {count:.3g} weights", "fewer units or layers need less: --layers")
        if _IN_TRAINING * count > states
        else (f"the states of {batch:,} sequences of {bptt:,} steps", "a smaller --batch or --bptt needs less")
    )
    raise ValueError(
        f"training this network needs at least {_gigabytes(needed)} GB for {what}, and this machine has "
        f"{_gigabytes(there)} GB.\n  {remedy[0].upper() + remedy[1:]}."
    )


def memory() -> int:
    """Bytes of memory that this process may use: the machine's, or less in a container."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else [1 << 62]
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        try:
            sizes.append(int(limit.read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue  # no container, or one without a limit
    return min(sizes)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f}" if size < 1e15 else f"{size / 1e9:.2g}"
