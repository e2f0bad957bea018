"""The compiled kernels under vmap: samples become rows of the batch where they share the weights.

Where they don't, and for one gradient of a shared weight per sample, the kernels run once a sample.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from deeprnn.kernels.native.operators import DIFFERENTIABLE, READ

Dims: TypeAlias = Sequence[int | None]

_WEIGHTS = slice(1, 5)
_AXES: tuple[int | None, ...] = (1, None, None, None, None, 0, 0, 0, 0, 0, 1, 0, 1, 1)
"""Where each tensor of `READ` has its batch axis."""
_OUTPUT_AXES = (1, 0, 0, 1)
"""The same for hidden, last_h, last_c, cells."""


def forward(function: Any, size: int, in_dims: Dims, arguments: Sequence[Any]) -> tuple[Any, Any]:
    """`_Forward` over `size` samples, as `Function.vmap` wants it: the outputs, and where their samples lie."""
    read, dims, rest = arguments[: len(READ)], in_dims[: len(READ)], arguments[len(READ) :]
    if _any_batched(dims[_WEIGHTS]):
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
    first, last = len(READ) + 3, len(READ) + 7
    read, read_dims = arguments[: len(READ)], in_dims[: len(READ)]
    cells, given, given_dims = arguments[len(READ) + 1], arguments[first:last], in_dims[first:last]
    *kind, wanted = arguments[last:]

    def run(read: Sequence[Any], given: Sequence[Any]) -> tuple[Tensor, ...]:
        outputs = forward_function.apply(*read, *kind, cells is not None, True)
        again = (outputs[0], outputs[3] if cells is not None else None, outputs[-1])
        return function.apply(*read, *again, *given, *kind, wanted)

    if _any_batched(read_dims[_WEIGHTS]) or any(wanted[_WEIGHTS]):
        return _stacked([run(_sample(read, read_dims, n), _sample(given, given_dims, n)) for n in range(size)])
    gradients = run(_fold(read, read_dims, _AXES, size), _fold(given, given_dims, _OUTPUT_AXES, size))
    axes = [axis for axis, want in zip(_AXES[:DIFFERENTIABLE], wanted, strict=True) if want and axis is not None]
    return tuple(_unfold(gradient, axis, size) for gradient, axis in zip(gradients, axes, strict=True)), tuple(axes)


def _any_batched(dims: Dims) -> bool:
    return any(dim is not None for dim in dims)


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
