"""An Elman stack of a phi that torch.nn lacks, as people write it: a Python loop of torch operations over the steps."""

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.contenders import torch_call, torch_nn
from benchmarks.contenders.interface import Contender
from benchmarks.grid import Row
from benchmarks.problem import Problem

_PHI = {"softplus": F.softplus, "tanh": torch.tanh, "relu": torch.relu}


def why_not(row: Row) -> str | None:
    """It stands in where torch.nn has nothing."""
    return "torch.nn has this cell" if torch_nn.why_not(row) is None else None


def build(row: Row, problem: Problem) -> Contender:
    """The loop, the input's projection taken out of it: one product for all steps of a layer."""
    parameters = parameters_of(problem)
    return torch_call.contender(row, problem, lambda x: loop(row, x, list(parameters.values())), parameters)


def parameters_of(problem: Problem) -> dict[str, Tensor]:
    """Every weight by deeprnn's name, in the order that `loop` reads: weight_xh, weight_hh, bias, layer by layer."""
    return {
        f"layers.{index}.{name}": torch.from_numpy(value).clone().requires_grad_()
        for index, layer in enumerate(problem.weights)
        for name, value in layer.items()
    }


def loop(row: Row, x: Tensor, weights: list[Tensor]) -> Tensor:
    """(T, B, H), the top layer's hidden states."""
    phi = _PHI[str(row.bench_cell.phi)]
    for layer in range(0, len(weights), 3):
        weight_xh, weight_hh, bias = weights[layer : layer + 3]
        projected = F.linear(x, weight_xh, bias)
        h = x.new_zeros(x.shape[1], row.shape.H)
        transposed = weight_hh.t()
        hidden: list[Tensor] = []
        for step in projected.unbind():
            h = phi(torch.addmm(step, h, transposed))
            hidden.append(h)
        x = torch.stack(hidden)
    return x
