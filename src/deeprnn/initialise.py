"""How a layer's weights start."""

import math

import torch
from torch import Tensor, nn

from deeprnn.cells import Cell

_ONE_HOT_DEVIATION = 0.5
"""Of the weights that read symbols: one of them is the whole sum, where Xavier's many add up to a deviation near 1."""


@torch.no_grad()
def initialise(name: str, weight: Tensor, cell: Cell, one_hot: int = 0) -> None:
    """Fills one weight of a layer as `cell.init` says (see `Cell`).

    Args:
        name: "weight_xh" (G*H, I), "weight_hh" (G*H, H), "bias" (G*H,), or another of the layer's weights.
        weight: filled in place.
        one_hot: how many features of the layer's input, its last ones, are one symbol, one-hot.
    """
    kind = name.removesuffix("_reverse")
    if kind.startswith("gain_"):
        nn.init.ones_(weight)
    elif kind.startswith("initial_") or kind == "bias_c":
        nn.init.zeros_(weight)
    elif cell.init == "uniform":
        bound = 1 / math.sqrt(cell.width)
        nn.init.uniform_(weight, -bound, bound)
    elif kind == "weight_xh":
        for gate in weight.split(cell.width):
            features, symbols = gate.split([gate.shape[1] - one_hot, one_hot], dim=1)
            if features.numel():
                nn.init.xavier_uniform_(features)
            bound = math.sqrt(3) * _ONE_HOT_DEVIATION
            nn.init.uniform_(symbols, -bound, bound)
    elif kind == "weight_hh":
        for gate in weight.split(cell.width):
            if cell.init == "identity":
                nn.init.eye_(gate)
            else:
                _orthogonal(gate)
    elif weight.dim() > 1:
        nn.init.xavier_uniform_(weight)
    else:
        nn.init.zeros_(weight)
        if kind == "bias" and "f" in cell.gates:
            forget = cell.gates.index("f")
            nn.init.ones_(weight[forget * cell.width : (forget + 1) * cell.width])


def _orthogonal(weight: Tensor) -> None:
    # The decomposition behind it exists in float32 and float64 only.
    start = torch.empty_like(weight, dtype=torch.float64 if weight.dtype == torch.float64 else torch.float32)
    nn.init.orthogonal_(start)
    weight.copy_(start)
