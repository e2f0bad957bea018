"""What a contender gives: a call to time, and its answer in names and shapes that all share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from benchmarks.problem import Array

Answer: TypeAlias = Mapping[str, Array]
"""hidden (T, B, H), the top layer's; in training also every gradient by its weight's name, layers.{l}.weight_xh ..."""


@dataclass(frozen=True)
class Contender:
    """A row's computation in one library.

    Attributes:
        run: computes the row once, returns when it is done; this is what is timed.
        read: what `run` returned, as an `Answer`; not timed.
        kernel: for deeprnn, the kernel that runs every layer.
    """

    run: Callable[[], Any]
    read: Callable[[Any], Answer]
    kernel: str | None = None
