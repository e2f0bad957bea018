"""What a function reads without being given it: what it closes over, its globals, its defaults, its object."""

import dis
from collections.abc import Iterator
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any

from torch import Tensor, nn


def parameter_in_reach(function: Any) -> str | None:
    """The name under which a function reads a parameter, a leaf that requires a gradient, or a module with such.

    What a module reads as the function itself is its own, and not meant.

    >>> import torch
    >>> slope = torch.nn.Parameter(torch.ones(()))
    >>> parameter_in_reach(lambda a: a * slope)
    'slope'
    >>> parameter_in_reach(torch.tanh) is None
    True
    """
    pending, seen = list(_read_by(function)), {id(function)}
    while pending:
        name, value = pending.pop()
        if _is_learned(value):
            return name
        if id(value) not in seen:
            seen.add(id(value))
            pending += _read_by(value)
    return None


def _is_learned(value: Any) -> bool:
    if isinstance(value, nn.Module):
        return next(value.parameters(), None) is not None
    return isinstance(value, Tensor) and value.is_leaf and (value.requires_grad or isinstance(value, nn.Parameter))


def _read_by(value: Any) -> Iterator[tuple[str, Any]]:
    """What a function, or an object that is called like one, reads, by name."""
    if isinstance(value, partial):
        yield from ((_name(part), part) for part in (value.func, *value.args))
        yield from value.keywords.items()
    elif isinstance(value, MethodType):
        yield _name(value.__self__), value.__self__
        yield from () if isinstance(value.__self__, nn.Module) else _read_by(value.__func__)
    elif isinstance(value, FunctionType):
        yield from _read_by_code(value)
    elif callable(value) and not isinstance(value, type | nn.Module):
        yield from getattr(value, "__dict__", {}).items()


def _read_by_code(function: FunctionType) -> Iterator[tuple[str, Any]]:
    yield from ((_name(value), value) for value in function.__defaults__ or ())
    yield from (function.__kwdefaults__ or {}).items()
    attributes = {name for code in _codes(function.__code__) for name in code.co_names}
    for name, value in {**_closed_over(function), **_globals(function)}.items():
        # Of a module, a function may read some parts alone, as `lambda a: a * self.scale` does.
        parts = {part: of for part, of in _parts(value).items() if part in attributes}
        yield from ((f"{name}.{part}", of) for part, of in parts.items()) if parts else [(name, value)]


def _closed_over(function: FunctionType) -> dict[str, Any]:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: cell.cell_contents for name, cell in cells if _is_filled(cell)}


def _is_filled(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _globals(function: FunctionType) -> dict[str, Any]:
    """The globals that a function reads; of other functions only those of its own module, not a library's."""
    names = {name for code in _codes(function.__code__) for name in _global_names(code)}
    found = {name: function.__globals__[name] for name in names if name in function.__globals__}
    own = function.__module__
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, Tensor | nn.Module | partial) or getattr(value, "__module__", None) == own
    }


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _global_names(code: CodeType) -> set[str]:
    return {instruction.argval for instruction in dis.get_instructions(code) if instruction.opname == "LOAD_GLOBAL"}


def _parts(value: Any) -> dict[str, Any]:
    return {**vars(value), **value._parameters, **value._modules} if isinstance(value, nn.Module) else {}


def _name(value: Any) -> str:
    return getattr(value, "__name__", type(value).__name__)
