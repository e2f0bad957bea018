"""A net as the page runs it: its configuration, and its weights as one base64 text."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from deeprnn.activations import ACTIVATIONS, name_of
from deeprnn.cells import GRU, LSTM, Cell, Elman
from deeprnn.deep import DeepRNN
from deeprnn.saving import cells_to_json

Index: TypeAlias = dict[str, tuple[int, int]]
"""Where each tensor lies among all numbers: its first, and how many."""


@dataclass(frozen=True)
class Packed:
    """Tensors as one text.

    Attributes:
        text: float32, little-endian, one tensor after the other, in base64.
        index: by name.
    """

    text: str
    index: Index


def why_not(net: DeepRNN) -> str | None:
    """Why the page can't run this net itself; None where it can. All named activations can be had."""
    if net.output is None or net.output_size != net.input_size:
        return "The net has no output layer over the symbols that it reads, so there is no next character to show."
    for index, cell in enumerate(net.cells):
        reason = _why_not_cell(cell)
        if reason is not None:
            return f"Layer {index + 1} (layers.{index}, {cell.describe()}) {reason}."
    return None


def config_of(net: DeepRNN) -> dict[str, Any]:
    """What the page builds the net from: the part of `config.json` that its arithmetic depends on."""
    return {
        "input_size": net.input_size,
        "output_size": net.output_size,
        "layers": cells_to_json(net.cells),
        "residual": net.residual,
        "input_to_all": net.input_to_all,
        "output_from_all": net.output_from_all,
    }


def pack(tensors: Mapping[str, Tensor]) -> Packed:
    """Tensors of any dtype as float32 in one base64 text, 16 characters for 3 numbers.

    >>> import torch
    >>> packed = pack({"a": torch.tensor([1.0]), "b": torch.zeros(2, 2)})
    >>> packed.index, len(packed.text)
    ({'a': (0, 1), 'b': (1, 4)}, 28)
    """
    index: Index = {}
    parts: list[bytes] = []
    first = 0
    for name, tensor in tensors.items():
        index[name] = (first, tensor.numel())
        first += tensor.numel()
        parts.append(tensor.detach().float().cpu().contiguous().numpy().astype(np.dtype("<f4")).tobytes())
    return Packed(base64.b64encode(b"".join(parts)).decode("ascii"), index)


def _why_not_cell(cell: Cell) -> str | None:
    if type(cell) not in (Elman, GRU, LSTM):
        return f"is a cell of its own kind, {type(cell).__name__}; the page knows Elman, GRU and LSTM"
    if cell.direction != "forward":
        return "reads the text backward too; text that is typed has no end to begin from"
    for phi in cell.activations.values():
        if not isinstance(phi, str) or phi not in ACTIVATIONS:
            return f"has the activation {name_of(phi)}; the page knows {', '.join(ACTIVATIONS)}"
    return None
