"""A net as the page runs it: its layers' steps, and its weights as one base64 text."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from deeprnn.deep import DeepRNN
from deeprnn.explorer.program import UntraceableStepError, program_of
from deeprnn.layer import RecurrentLayer

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
    """Why the page can't run this net itself; None where it can. See `program` for what a cell's step may do."""
    if net.output is None or net.output_size != net.input_size:
        return "The net has no output layer over the symbols that it reads, so there is no next character to show."
    for index, (cell, layer) in enumerate(zip(net.cells, net.recurrent_layers, strict=True)):
        reason = _why_not_layer(layer)
        if reason is not None:
            return f"Layer {index + 1} (layers.{index}, {cell.describe()}) {reason}."
    return None


def config_of(net: DeepRNN) -> dict[str, Any]:
    """What the page builds the net from: sizes, how layers are joined, and each cell's step.

    Raises:
        UntraceableStepError: see `why_not`.
    """
    return {
        "input_size": net.input_size,
        "output_size": net.output_size,
        "layers": [_layer_of(layer) for layer in net.recurrent_layers],
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


def _layer_of(layer: RecurrentLayer) -> dict[str, Any]:
    cell = layer.cell
    return {
        "states": cell.state_sizes,
        "rows": len(cell.gates) * cell.width,
        "zoneout": cell.zoneout_rates,
        "program": program_of(cell, layer.input_size),
    }


def _why_not_layer(layer: RecurrentLayer) -> str | None:
    if layer.cell.direction != "forward":
        return "reads the text backward too; text that is typed has no end to begin from"
    try:
        program_of(layer.cell, layer.input_size)
    except UntraceableStepError as error:
        return str(error)
    return None
