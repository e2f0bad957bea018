"""This library."""

import torch

from benchmarks.contenders import torch_call
from benchmarks.contenders.interface import Contender
from benchmarks.grid import Row
from benchmarks.problem import Problem
from deeprnn import GRU, LSTM, Cell, DeepRNN, Elman
from deeprnn.kernels import choose


def why_not(row: Row) -> str | None:  # noqa: ARG001  # every contender is asked alike
    """It computes every row."""
    return None


def build(row: Row, problem: Problem) -> Contender:
    """A `DeepRNN` without an output layer."""
    net = net_of(row)
    net.load_state_dict(
        {
            f"layers.{index}.{name}": torch.from_numpy(value)
            for index, layer in enumerate(problem.weights)
            for name, value in layer.items()
        }
    )
    parameters = dict(net.named_parameters())

    kernels = {choose(layer.spec()).kernel.NAME for layer in net.recurrent_layers}
    return torch_call.contender(
        row, problem, lambda x: net(x).hidden[-1], parameters, kernel=" and ".join(sorted(kernels))
    )


def net_of(row: Row) -> DeepRNN:
    """The row's net, with weights of its own."""
    cells: dict[str, Cell] = {"gru": GRU(row.shape.H), "lstm": LSTM(row.shape.H)}
    phi = row.bench_cell.phi
    cell = cells[row.cell] if phi is None else Elman(row.shape.H, phi)
    return DeepRNN(row.shape.H, [cell] * row.shape.L)
