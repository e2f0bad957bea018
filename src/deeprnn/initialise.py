"""How a layer's weights start."""

import math

import torch
from torch import Tensor, nn

from deeprnn.cells import Cell


@torch.no_grad()
def initialise(name: str, weight: Tensor, cell: Cell) -> None:
    """Fills one weight of a layer as `cell.init` says (see `Cell`).

    Args:
        name: "weight_xh" (G*H, I), "weight_hh" (G*H, H), "bias" (G*H,), or another of the layer's weights.
        weight: filled in place.
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
            nn.init.xavier_uniform_(gate)
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
