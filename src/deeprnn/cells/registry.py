"""The cells that have a name: what a saved net and the notation of layers find again."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from deeprnn.cells.base import Cell

_cells: dict[str, type[Cell]] = {}

CELLS: Mapping[str, type[Cell]] = MappingProxyType(_cells)
"""Every registered cell by its class's name."""

_CellType = TypeVar("_CellType", bound=type[Cell])


def register(cell: _CellType) -> _CellType:
    """Makes a cell known by its class's name, so that nets that hold it can be saved; usable as a decorator.

    A class that is defined anew in the same place, as a notebook does when a block runs again, replaces itself.

    Raises:
        ValueError: another cell has that name.

    >>> from dataclasses import dataclass
    >>> import torch
    >>> from deeprnn import Cell, DeepRNN, State
    >>> from deeprnn.cells import register
    >>> @register
    ... @dataclass(frozen=True, repr=False)
    ... class SlowTanh(Cell):
    ...     hidden_size: int
    ...     gates = ("h",)
    ...     norm_groups = (("h",),)
    ...
    ...     def step(self, x_part, state, recur):
    ...         return State(h=0.9 * state.h + 0.1 * torch.tanh(x_part + recur(state.h)))
    >>> DeepRNN(3, [SlowTanh(8)])(torch.zeros(5, 2, 3)).hidden[0].shape
    torch.Size([5, 2, 8])
    """
    name = cell.__name__
    known = _cells.get(name)
    if known is not None and (known.__module__, known.__qualname__) != (cell.__module__, cell.__qualname__):
        raise ValueError(
            f"register({name}): {known.__module__}.{known.__qualname__} is registered under that name, "
            f"by which saved nets find it.\n  Give your class another name."
        )
    _cells[name] = cell
    return cell
