"""Numbers that a person gives, as Python's own: whatever can be built from them can be written down and read again."""

from numbers import Real
from operator import index
from typing import Any


def whole(name: str, value: Any, *, least: int = 1) -> int:
    """A whole number, of NumPy or Python.

    Raises:
        ValueError: it is none, or too small.

    >>> whole("input_size", 4)
    4
    """
    try:
        number = index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")
    return number


def probability(name: str, value: Any) -> float:
    """A number in [0, 1).

    Raises:
        ValueError: it is none.
    """
    number = float(value) if isinstance(value, Real) else float("nan")
    if not 0 <= number < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value!r}.")
    return number


def flag(name: str, value: Any) -> bool:
    """True or False, or 1 or 0 in their place.

    Raises:
        ValueError: it is neither.
    """
    if value not in (0, 1):
        raise ValueError(f"{name} must be True or False, got {value!r}.")
    return bool(value)
