"""Deep recurrent neural networks: deep in time, deep in layers."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from deeprnn.afterimport import after_import

if TYPE_CHECKING:
    from deeprnn import analysis as analysis
    from deeprnn import cells as cells
    from deeprnn import functional as functional
    from deeprnn import kernels as kernels
    from deeprnn.cells import GRU as GRU
    from deeprnn.cells import LSTM as LSTM
    from deeprnn.cells import RGLRU as RGLRU
    from deeprnn.cells import SLSTM as SLSTM
    from deeprnn.cells import Cell as Cell
    from deeprnn.cells import Elman as Elman
    from deeprnn.cells import IndRNN as IndRNN
    from deeprnn.cells import LiGRU as LiGRU
    from deeprnn.cells import MinGRU as MinGRU
    from deeprnn.cells import MinLSTM as MinLSTM
    from deeprnn.deep import DeepRNN as DeepRNN
    from deeprnn.deep import Result as Result
    from deeprnn.diagram import Drawing as Drawing
    from deeprnn.diagram import draw as draw
    from deeprnn.state import DeepState as DeepState
    from deeprnn.state import State as State

__all__ = [
    "GRU",
    "LSTM",
    "RGLRU",
    "SLSTM",
    "Cell",
    "DeepRNN",
    "DeepState",
    "Drawing",
    "Elman",
    "IndRNN",
    "LiGRU",
    "MinGRU",
    "MinLSTM",
    "Result",
    "State",
    "analysis",
    "cells",
    "draw",
    "functional",
    "kernels",
]
__version__ = "0.1.0"

_HOME = {
    "Cell": "cells",
    "DeepRNN": "deep",
    "DeepState": "state",
    "Drawing": "diagram",
    "Elman": "cells",
    "GRU": "cells",
    "IndRNN": "cells",
    "LSTM": "cells",
    "LiGRU": "cells",
    "MinGRU": "cells",
    "MinLSTM": "cells",
    "RGLRU": "cells",
    "Result": "deep",
    "SLSTM": "cells",
    "State": "state",
    "analysis": "",
    "cells": "",
    "draw": "diagram",
    "functional": "",
    "kernels": "",
}
"""Where each public name lies. It is imported when it is first asked for, so that `deeprnn --help` needs no torch."""


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'deeprnn' has no attribute {name!r}")
    home = _HOME[name]
    value: Any = getattr(import_module(f"deeprnn.{home}"), name) if home else import_module(f"deeprnn.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})


_ON_THE_WAY = (
    "activations", "cells", "consistency", "functional", "inputs", "kernels", "layer", "loadable", "masks", "onecall",
    "reach", "saving", "sharing", "state", "stateforms", "summary",
)  # fmt: skip


def _register() -> None:
    """Makes known to torch what a program of torch.export names: the states' types, the compiled kernels' operators.

    torch loads such a program without knowing where they lie, so they are there wherever torch and deeprnn have been
    imported, in either order. Where the import of torch is a part of deeprnn's own, that one goes on to them.
    """
    if not any(f"deeprnn.{name}" in sys.modules for name in _ON_THE_WAY):
        import_module("deeprnn.deep")


after_import("torch", _register)
