"""Those who compute a row, a module each, all with one signature: `why_not(row)` and `build(row, problem)`."""

import importlib
from typing import Protocol

from benchmarks.contenders.interface import Contender as Contender
from benchmarks.grid import Row
from benchmarks.problem import Problem

OURS = "deeprnn"
TORCH = ("torch.nn", "torch loop")
"""torch as people run it: torch.nn, and a loop of its operations for a phi that torch.nn lacks."""

_MODULES = {
    OURS: "deeprnn_net",
    "torch.nn": "torch_nn",
    "torch loop": "torch_loop",
    "torch.compile": "torch_compile",
    "JAX": "jax_scan",
    "ONNX Runtime": "onnx_runtime",
}
NAMES = tuple(_MODULES)
"""Every contender, ours first, as tables call them."""


class ContenderModule(Protocol):
    """A module of this package."""

    def why_not(self, row: Row) -> str | None:
        """Why it is not among a row's contenders, in a few words; None if it is."""
        ...

    def build(self, row: Row, problem: Problem) -> Contender:
        """The row's call, ready to be timed."""
        ...


def load(name: str) -> ContenderModule:
    """The module of a contender.

    Raises:
        ImportError: what it needs is not installed.
    """
    return importlib.import_module(f"{__name__}.{_MODULES[name]}")  # pyright: ignore[reportReturnType]


def reason_to_leave_out(name: str, row: Row) -> str | None:
    """Why a contender does not compute a row, in a few words; None if it does."""
    try:
        return load(name).why_not(row)
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] in ("deeprnn", "benchmarks"):
            raise
        return f"{error.name} is not installed"
