"""How a measurement reports its progress."""

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def ignore_progress(_what: str, _done: int, _total: int) -> None:
    """A `Progress` that reports nothing."""
