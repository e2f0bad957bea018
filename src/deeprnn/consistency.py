"""That a net's parts fit together: when it is built, and after what a person may have done to them since."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from deeprnn.cells import Cell

_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def check_layer(index: int, layer: Any, device: torch.device) -> None:
    """Raises TypeError or ValueError unless `layers[index]` is a layer, beside what it reads."""
    if not isinstance(getattr(layer, "cell", None), Cell):
        raise TypeError(
            f"layers.{index} is a {type(layer).__name__}; build a DeepRNN with the cells that it is to have."
        )
    if layer.device != device:
        raise ValueError(
            f"layers.{index} is on {layer.device}, but what it reads is on {device}; "
            f"bring the net to one device: net.to({str(device)!r})."
        )


def check_output(output: nn.Module, read: Tensor) -> None:
    """Raises ValueError unless a linear output layer fits what it reads, (T, B, features)."""
    weight = output._parameters.get("weight") if isinstance(output, nn.Linear) else None
    if weight is None:  # parametrised, or another module in its place
        return
    autocast = read.device.type != "meta" and torch.is_autocast_enabled(read.device.type)
    if weight.device != read.device or (weight.dtype != read.dtype and not autocast):
        raise ValueError(
            f"the output layer's weight is {weight.dtype} on {weight.device}, but what it reads is {read.dtype} on "
            f"{read.device}; bring the net to one: net.to({str(weight.device)!r}, {weight.dtype})."
        )
    if weight.shape[1] != read.shape[-1]:
        raise ValueError(
            f"the output layer reads {weight.shape[1]} features, but the layers below pass up {read.shape[-1]}; "
            f"build a DeepRNN with the layers that it is to have."
        )


def cells_of(layers: Any) -> tuple[Cell, ...]:
    """The cells that `DeepRNN` was given; raises TypeError or ValueError where they are none."""
    if isinstance(layers, Cell | str) or not isinstance(layers, Iterable):
        raise TypeError(f"DeepRNN(layers={layers!r}): give a list of cells, such as [GRU(64)].")
    cells = tuple(layers)
    if not cells:
        raise ValueError("DeepRNN(layers=[]): give at least one cell, such as [GRU(64)].")
    for index, cell in enumerate(cells):
        if not isinstance(cell, Cell):
            raise TypeError(f"DeepRNN(layers=[...]): layers[{index}] is {cell!r}, expected a cell such as GRU(64).")
    return cells


def check_build(cells: Sequence[Cell], dtype: torch.dtype | None, *, residual: bool) -> None:
    """Raises ValueError unless a net can be built so; the arguments are those of `DeepRNN`."""
    widths = [cell.output_width for cell in cells]
    if residual and len(set(widths)) > 1:
        raise ValueError(
            f"DeepRNN(residual=True): the layers write {', '.join(map(str, widths))} features,\n"
            f"  and a residual connection adds equal widths only; make them equal, or leave residual out."
        )
    if (torch.get_default_dtype() if dtype is None else dtype) not in _DTYPES:
        raise ValueError(f"DeepRNN(dtype={dtype}): a net computes in one of {', '.join(map(str, _DTYPES))}.")
