"""A function of torch tensors as a contender: its inference call, its training step, its answer."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.contenders.interface import Answer, Contender
from benchmarks.grid import Row
from benchmarks.problem import Array, Problem

ReadGradients = Callable[[Mapping[str, Array]], Mapping[str, Array]]


def contender(
    row: Row,
    problem: Problem,
    top_hidden: Callable[[Tensor], Tensor],
    parameters: Mapping[str, Tensor],
    *,
    read_gradients: ReadGradients = dict,
    kernel: str | None = None,
) -> Contender:
    """The row computed by `top_hidden`.

    Args:
        top_hidden: from x (T, B, I) to the top layer's hidden states (T, B, H).
        parameters: every weight by the function's own name for it.
        read_gradients: from gradients by those names to gradients by deeprnn's.
    """
    x, upstream = torch.from_numpy(problem.x), torch.from_numpy(problem.upstream)
    weights = list(parameters.values())

    def infer() -> tuple[Tensor]:
        with torch.inference_mode():
            return (top_hidden(x),)

    def train() -> tuple[Tensor, ...]:
        hidden = top_hidden(x)
        return hidden, *torch.autograd.grad(hidden, weights, upstream)

    def read(result: tuple[Tensor, ...]) -> Answer:
        hidden, *gradients = (as_array(tensor) for tensor in result)
        named = dict(zip(parameters, gradients, strict=True)) if gradients else {}
        return {"hidden": hidden, **read_gradients(named)}

    run: Callable[[], Any] = infer if row.task == "inference" else train
    return Contender(run, read, kernel)


def as_array(tensor: Tensor) -> Array:
    """A tensor's values."""
    array: Array = tensor.detach().numpy()
    return np.ascontiguousarray(array)
