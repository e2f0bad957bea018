"""torch.nn.RNN, GRU and LSTM, eager."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from benchmarks.contenders import torch_call
from benchmarks.contenders.interface import Contender
from benchmarks.grid import Row
from benchmarks.problem import Array, Problem, second_bias


def why_not(row: Row) -> str | None:
    """torch.nn.RNN has two activations."""
    if row.bench_cell.phi in (None, "tanh", "relu"):
        return None
    return f"torch.nn.RNN has no {row.bench_cell.phi}"


def build(row: Row, problem: Problem) -> Contender:
    """One module for the whole stack, as torch.nn offers it."""
    net = _module(row)
    net.load_state_dict({name: torch.from_numpy(value) for name, value in _torch_weights(problem).items()})

    def read_gradients(gradients: Mapping[str, Array]) -> Mapping[str, Array]:
        return _deeprnn_names(row, gradients) if gradients else {}

    return torch_call.contender(
        row, problem, lambda x: net(x)[0], dict(net.named_parameters()), read_gradients=read_gradients
    )


def _module(row: Row) -> nn.RNNBase:
    sizes: tuple[int, int, int] = (row.shape.H, row.shape.H, row.shape.L)
    if row.cell == "gru":
        return nn.GRU(*sizes)
    if row.cell == "lstm":
        return nn.LSTM(*sizes)
    nonlinearity: Any = row.bench_cell.phi
    return nn.RNN(*sizes, nonlinearity=nonlinearity)


def _torch_weights(problem: Problem) -> dict[str, Array]:
    flat: dict[str, Array] = {}
    for index, layer in enumerate(problem.weights):
        flat[f"weight_ih_l{index}"] = layer["weight_xh"]
        flat[f"weight_hh_l{index}"] = layer["weight_hh"]
        flat[f"bias_ih_l{index}"] = layer["bias"]
        flat[f"bias_hh_l{index}"] = second_bias(layer)
    return flat


def _deeprnn_names(row: Row, gradients: Mapping[str, Array]) -> dict[str, Array]:
    named: dict[str, Array] = {}
    for index in range(row.shape.L):
        named[f"layers.{index}.weight_xh"] = gradients[f"weight_ih_l{index}"]
        named[f"layers.{index}.weight_hh"] = gradients[f"weight_hh_l{index}"]
        named[f"layers.{index}.bias"] = gradients[f"bias_ih_l{index}"]
        if row.cell == "gru":
            named[f"layers.{index}.bias_hn"] = gradients[f"bias_hh_l{index}"][-row.shape.H :]
    return named
