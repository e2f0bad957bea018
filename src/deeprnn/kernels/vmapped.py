"""The compiled kernels under vmap: samples become rows of the batch where they share the weights.

Where they don't, and for one gradient of a shared weight per sample, the kernels run once a sample.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from deeprnn.kernels.native.fields import DIFFERENTIABLE, READ, Given, Kept, Read, backward_arguments
from deeprnn.kernels.native.operators import outputs_by_name

Dims: TypeAlias = Sequence[int | None]

_WEIGHTS = tuple(READ.index(name) for name in ("weight_xh", "weight_hh", "bias", "bias_hn"))
_AXES = Read(
    x=1,
    weight_xh=None,
    weight_hh=None,
    bias=None,
    bias_hn=None,
    h0=0,
    c0=0,
    initial_h=0,
    initial_c=0,
    lengths=0,
    restarts=1,
    mask=0,
    keep_h=1,
    keep_c=1,
)
"""Where each tensor has its batch axis."""
_OUTPUT_AXES = Given(of_hidden=1, of_last_h=0, of_last_c=0, of_cells=1)
"""The same for the outputs and their gradients."""


def forward(function: Any, size: int, in_dims: Dims, arguments: Sequence[Any]) -> tuple[Any, Any]:
    """`_Forward` over `size` samples, as `Function.vmap` wants it: the outputs, and where their samples lie."""
    read, dims, rest = arguments[: len(READ)], in_dims[: len(READ)], arguments[len(READ) :]
    if _any_weight_batched(dims):
        samples = [function.apply(*_sample(read, dims, n), *rest) for n in range(size)]
        return _stacked(samples)
    outputs = function.apply(*_fold(read, dims, _AXES, size), *rest)
    training = rest[-1]
    axes = _OUTPUT_AXES[: len(outputs) - int(training)]
    unfolded = [_unfold(output, axis, size) for output, axis in zip(outputs, axes, strict=False)]
    # What is saved has an order of its own and can't be unfolded; `backward` computes it anew.
    saved = (outputs[-1],) if training else ()
    return (*unfolded, *saved), (*axes, *(None for _ in saved))


def backward(
    forward_function: Any, function: Any, size: int, in_dims: Dims, arguments: Sequence[Any]
) -> tuple[Any, Any]:
    """`_Backward` over `size` samples."""
    call, dims = backward_arguments(arguments), backward_arguments(in_dims)
    return_cell_states = call.kept.cells is not None

    def run(read: Sequence[Any], given: Sequence[Any]) -> tuple[Tensor, ...]:
        outputs = forward_function.apply(*read, *call.kind, return_cell_states, True)
        again = outputs_by_name(outputs, call.kind.cell, return_cell_states, training=True)
        kept = Kept(again.hidden, again.cells, again.saved)
        return function.apply(*read, *kept, *given, *call.kind, call.wanted)

    if _any_weight_batched(dims.read) or any(call.wanted[place] for place in _WEIGHTS):
        samples = range(size)
        return _stacked([run(_sample(call.read, dims.read, n), _sample(call.given, dims.given, n)) for n in samples])
    gradients = run(_fold(call.read, dims.read, _AXES, size), _fold(call.given, dims.given, _OUTPUT_AXES, size))
    differentiable = zip(_AXES[: len(DIFFERENTIABLE)], call.wanted, strict=True)
    axes = [axis for axis, want in differentiable if want and axis is not None]
    return tuple(_unfold(gradient, axis, size) for gradient, axis in zip(gradients, axes, strict=True)), tuple(axes)


def _any_weight_batched(dims: Dims) -> bool:
    return any(dims[place] is not None for place in _WEIGHTS)


def _sample(tensors: Sequence[Any], dims: Dims, n: int) -> list[Any]:
    return [
        tensor if tensor is None or dim is None else tensor.select(dim, n)
        for tensor, dim in zip(tensors, dims, strict=True)
    ]


def _stacked(samples: list[tuple[Tensor, ...]]) -> tuple[Any, Any]:
    stacked = tuple(torch.stack(parts) for parts in zip(*samples, strict=True))
    return stacked, (0,) * len(stacked)


def _fold(tensors: Sequence[Any], dims: Dims, axes: Dims, size: int) -> list[Any]:
    """Samples and rows as one batch axis."""
    folded: list[Any] = []
    for tensor, dim, axis in zip(tensors, dims, axes, strict=True):
        if tensor is None or axis is None:
            folded.append(tensor)
            continue
        if dim is None:
            shape = list(tensor.shape)
            shape.insert(axis, size)
            spread = tensor.unsqueeze(axis).expand(shape)
        else:
            spread = tensor.movedim(dim, axis)
        folded.append(spread.flatten(axis, axis + 1))
    return folded


def _unfold(tensor: Tensor, axis: int, size: int) -> Tensor:
    return tensor.unflatten(axis, (size, tensor.shape[axis] // size))
