"""How a layer's weights start, by their names and shapes."""

import math

import torch
from torch import Tensor, nn

_ONE_HOT_DEVIATION = 0.5
"""Of the weights that read symbols: one of them is the whole sum, where Xavier's many add up to a deviation near 1."""


@torch.no_grad()
def fill(name: str, weight: Tensor, init: str, width: int, one_hot: int = 0) -> None:
    """Fills one weight of a layer as `Cell(init=...)` says.

    Args:
        name: "weight_xh" (G*H, I), "weight_hh" (G*H, H), "bias" (G*H,), "gain_..." , "initial_...", or another name:
            such a matrix is Xavier uniform, such a vector 0.
        weight: filled in place.
        init: the option of `Cell`.
        width: H, the rows of one gate.
        one_hot: how many features of the layer's input, its last ones, are one symbol, one-hot.
    """
    if name.startswith("gain_"):
        nn.init.ones_(weight)
    elif name.startswith("initial_"):
        nn.init.zeros_(weight)
    elif init == "uniform":
        bound = 1 / math.sqrt(width)
        nn.init.uniform_(weight, -bound, bound)
    elif name == "weight_xh":
        for gate in weight.split(width):
            features, symbols = gate.split([gate.shape[1] - one_hot, one_hot], dim=1)
            if features.numel():
                nn.init.xavier_uniform_(features)
            bound = math.sqrt(3) * _ONE_HOT_DEVIATION
            nn.init.uniform_(symbols, -bound, bound)
    elif name == "weight_hh":
        for gate in weight.split(width):
            if init == "identity":
                nn.init.eye_(gate)
            else:
                _orthogonal(gate)
    elif weight.dim() > 1:
        nn.init.xavier_uniform_(weight)
    else:
        nn.init.zeros_(weight)


def _orthogonal(weight: Tensor) -> None:
    # The decomposition behind it exists in float32 and float64 only.
    start = torch.empty_like(weight, dtype=torch.float64 if weight.dtype == torch.float64 else torch.float32)
    nn.init.orthogonal_(start)
    weight.copy_(start)
