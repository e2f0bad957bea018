"""The compiled kernels as torch operators, `deeprnn::forward` and `deeprnn::backward`: schema, shapes, the call.

They return no views, and are given every tensor of one layer over one sequence in one direction, under the names of
`Scan`. Which instruction set runs is decided at each call, by the machine that runs it. Gradients are `native.py`'s; it
gives the forward operator its autograd kernel. Integers go to csrc/bind.cpp in the order that it states.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from deeprnn.kernels.interface import is_recorded
from deeprnn.kernels.native import extension
from deeprnn.kernels.native.gate import admit
from deeprnn.kernels.native.packed import packed_weights

READ = (
    "x", "weight_xh", "weight_hh", "bias", "bias_hn", "h0", "c0", "initial_h", "initial_c",
    "lengths", "restarts", "mask", "keep_h", "keep_c",
)  # fmt: skip
"""The tensors that both operators read, in order. The first `DIFFERENTIABLE` of them have gradients."""

DIFFERENTIABLE = 9

_IN_ROWS = tuple(name.startswith(("weight", "bias")) or name in ("lengths", "restarts") for name in READ)
"""What the kernels want contiguous; of the rest they know the strides."""

_DTYPES = tuple({"lengths": torch.int64, "restarts": torch.bool}.get(name, torch.float32) for name in READ)
_DTYPES_INDICES, _IN_ROWS_INDICES = (torch.int64, *_DTYPES[1:]), (True, *_IN_ROWS[1:])
"""The same where x holds indices."""

_GATES = (1, 3, 4)
"""G by the number of the cell."""

CALLS: Counter[str] = Counter()
"""How often each operator ran in this process."""

_OPTIONAL = ("bias", "bias_hn", *READ[6:])
_TENSORS = ", ".join(f"Tensor{'?' if name in _OPTIONAL else ''} {name}" for name in READ)
_KIND = "int cell, bool reset_after, int phi, int gate_phi, bool reverse"
_LSTM = 2

library = torch.library.Library("deeprnn", "DEF")
library.define(f"forward({_TENSORS}, {_KIND}, bool wants_cells, bool training) -> Tensor[]")
library.define(
    f"backward({_TENSORS}, Tensor hidden, Tensor? cells, Tensor saved, "
    "Tensor? of_hidden, Tensor? of_last_h, Tensor? of_last_c, Tensor? of_cells, "
    f"{_KIND}, bool[] wanted) -> Tensor[]"
)


def forward(*arguments: Any) -> list[Tensor]:
    """(READ..., kind..., wants_cells, training) -> [hidden, last_h, last_c, cells, saved], where there are such.

    An LSTM has last_c, and cells if they are wanted; saved is there in training: what the backward pass needs beside
    the inputs and `hidden`, in an order of its own. `kind` is cell, reset_after, phi, gate_phi, reverse: the integers
    of csrc/deeprnn.h, and whether steps run from T-1 to 0.
    """
    if _is_direct(arguments[: len(READ)]):
        return _forward(*arguments)
    return torch.ops.deeprnn.forward.default(*arguments)


def backward(*arguments: Any) -> list[Tensor]:
    """(READ..., hidden, cells, saved, gradients of hidden, last_h, last_c, cells, kind..., wanted) -> wanted gradients.

    `wanted` says for each of the first `DIFFERENTIABLE` inputs whether its gradient is returned.
    """
    if _is_direct(arguments[: len(READ) + 7]):
        return _backward(*arguments)
    return torch.ops.deeprnn.backward.default(*arguments)


def _is_direct(tensors: Sequence[Tensor | None]) -> bool:
    """Whether torch's dispatcher has nothing to do here but call the operator, which takes it 10 us."""
    if torch.compiler.is_compiling() or is_recorded():
        return False
    if torch._C._functorch.peek_interpreter_stack() is not None or torch._C._len_torch_dispatch_stack() > 0:  # pyright: ignore
        return False
    return all([t is None or type(t) is Parameter or (type(t) is Tensor and not t.is_neg()) for t in tensors])  # noqa: C419  # a generator takes twice the time


def _forward(*arguments: Any) -> list[Tensor]:
    *given, cell, reset_after, phi, gate_phi, reverse, wants_cells, training = arguments
    CALLS["forward"] += 1
    isa = extension.isa()
    tensors = _admitted(given, cell)
    sizes = _sizes(tensors, cell, reset_after, phi, gate_phi, training)
    addresses = _addresses(tensors)
    outputs = _new_outputs(tensors, isa, sizes, wants_cells)
    if 0 in outputs[0].shape:
        return _unchanged(outputs, tensors, cell)
    packed = packed_weights(isa, sizes, addresses, given[2], keep=not training)
    into = _addresses(_by_name(outputs, cell, wants_cells, training))
    extension.native().forward(isa, sizes, addresses, _strides(tensors), reverse, packed.data_ptr(), into)
    return outputs


def _backward(*arguments: Any) -> list[Tensor]:
    *given, cell, reset_after, phi, gate_phi, reverse, wanted = arguments
    CALLS["backward"] += 1
    isa = extension.isa()
    tensors = _admitted(given[: len(READ)], cell)
    sizes = _sizes(tensors, cell, reset_after, phi, gate_phi, True)
    kept, gradients = _admitted_outputs(given[len(READ) :], isa, sizes)
    results = _new_gradients(tensors, wanted)
    remaining = iter(results)
    into = [next(remaining) if want else None for want in wanted]
    if kept[0] is not None and 0 in kept[0].shape:
        return _passed_through(results, into, gradients)
    extension.native().backward(
        isa,
        sizes,
        _addresses(tensors),
        _strides(tensors),
        reverse,
        _addresses(kept),
        _addresses(gradients),
        _addresses(into),
    )
    return results


def _unchanged(outputs: list[Tensor], tensors: Sequence[Any], cell: int) -> list[Tensor]:
    """No step, or no row: the state after is the one before."""
    h0, c0 = tensors[5:7]
    outputs[1].copy_(h0)
    if cell == _LSTM:
        outputs[2].copy_(c0)
    return outputs


def _passed_through(
    results: list[Tensor], into: Sequence[Tensor | None], gradients: Sequence[Tensor | None]
) -> list[Tensor]:
    """The same for the gradients: what reaches the last state reaches the first."""
    for result in results:
        result.zero_()
    for state, gradient in zip(into[5:7], gradients[1:3], strict=True):
        if state is not None and gradient is not None:
            state.copy_(gradient)
    return results


def _admitted(given: Sequence[Any], cell: int) -> list[Any]:
    """`READ` as the kernels may read it."""
    x = given[0]
    if x.dim() not in (2, 3) or given[1].dim() != 2 or given[2].dim() != 2:
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in zip(READ[:3], given, strict=False))
        raise ValueError(f"{shapes}: expected x (T, B, I) or (T, B), weight_xh (G*H, I) and weight_hh (G*H, H).")
    steps, batch = x.shape[:2]
    indices = x.dim() == 2
    features, width = given[1].shape[-1], given[2].shape[-1]
    height, state, marks, masks = _GATES[cell] * width, (batch, width), (steps, batch), (steps, batch, width)
    shapes = (
        marks if indices else (steps, batch, features), (height, features), (height, width), (height,), (width,),
        state, state, state, state, (batch,), marks, state, masks, masks,
    )  # fmt: skip
    dtypes, in_rows = (_DTYPES_INDICES, _IN_ROWS_INDICES) if indices else (_DTYPES, _IN_ROWS)
    return [
        tensor if tensor is None else admit(name, tensor, shape, dtype, rows)
        for name, tensor, shape, dtype, rows in zip(READ, given, shapes, dtypes, in_rows, strict=True)
    ]


def _admitted_outputs(
    given: Sequence[Any], isa: int, sizes: tuple[int, ...]
) -> tuple[tuple[Tensor | None, ...], list[Tensor | None]]:
    """hidden, last_h, last_c, cells, saved as forward left them, where they are read; and the outputs' gradients."""
    steps, batch, width = sizes[3], sizes[4], sizes[6]
    sequence, state = (steps, batch, width), (batch, width)
    shapes = {
        "hidden": sequence,
        "cells": sequence,
        "saved": (steps, batch, _saved_per_step(isa, sizes)),
        "the gradient of hidden": sequence,
        "the gradient of last_h": state,
        "the gradient of last_c": state,
        "the gradient of cells": sequence,
    }
    hidden, cells, saved, *gradients = (
        None if tensor is None else admit(name, tensor, shape, torch.float32)
        for tensor, (name, shape) in zip(given, shapes.items(), strict=True)
    )
    return (hidden, None, None, cells, saved), gradients


def _forward_shapes(*arguments: Any) -> list[Tensor]:
    *given, cell, reset_after, phi, gate_phi, _reverse, wants_cells, training = arguments
    return _new_outputs(given, extension.isa(), _sizes(given, cell, reset_after, phi, gate_phi, training), wants_cells)


def _backward_shapes(*arguments: Any) -> list[Tensor]:
    return _new_gradients(arguments, arguments[-1])


def _new_outputs(tensors: Sequence[Any], isa: int, sizes: tuple[int, ...], wants_cells: bool) -> list[Tensor]:
    cell, _, _, steps, batch, _, width = sizes[:7]
    like: Tensor = tensors[1]
    outputs = [like.new_empty((steps, batch, width)), like.new_empty((batch, width))]
    if cell == _LSTM:
        outputs.append(like.new_empty((batch, width)))
        if wants_cells:
            outputs.append(like.new_empty((steps, batch, width)))
    if sizes[-1]:
        outputs.append(like.new_empty((steps, batch, _saved_per_step(isa, sizes))))
    return outputs


def _saved_per_step(isa: int, sizes: tuple[int, ...]) -> int:
    """Floats that a step of a row leaves for the backward pass; T and B may be symbols, and don't matter."""
    return extension.native().saved_floats(isa, (*sizes[:3], 1, 1, *sizes[5:]))


def _new_gradients(tensors: Sequence[Any], wanted: Sequence[bool]) -> list[Tensor]:
    return [tensors[i].new_empty(tensors[i].shape) for i, want in enumerate(wanted) if want]


def _by_name(outputs: list[Tensor], cell: int, wants_cells: bool, training: bool) -> tuple[Tensor | None, ...]:
    """hidden, last_h, last_c, cells, saved."""
    parts = iter(outputs)
    lstm = cell == _LSTM
    return (
        next(parts),
        next(parts),
        next(parts) if lstm else None,
        next(parts) if lstm and wants_cells else None,
        next(parts) if training else None,
    )


def _sizes(
    tensors: Sequence[Any], cell: int, reset_after: bool, phi: int, gate_phi: int, training: bool
) -> tuple[int, ...]:
    """What csrc/bind.cpp calls Sizes."""
    x: Tensor = tensors[0]
    steps, batch = x.shape[:2]
    return (
        cell,
        int(reset_after),
        phi,
        steps,
        batch,
        tensors[1].shape[1],
        tensors[2].shape[1],
        int(x.dim() == 2),
        int(tensors[11] is not None),
        int(tensors[12] is not None),
        gate_phi,
        int(training),
    )


def _addresses(tensors: Sequence[Tensor | None]) -> tuple[int, ...]:
    return tuple([0 if tensor is None else tensor.data_ptr() for tensor in tensors])


_NO_ROWS, _NO_STEPS = (0, 0), (0, 0, 0)


def _strides(tensors: Sequence[Any]) -> tuple[int, ...]:
    """What csrc/bind.cpp calls Strides."""
    x, h0, c0, initial_h, initial_c, mask, keep_h, keep_c = (tensors[i] for i in (0, 5, 6, 7, 8, 11, 12, 13))
    return (
        *(x.stride() if x.dim() == 3 else _NO_STEPS),
        *h0.stride(),
        *(_NO_ROWS if c0 is None else c0.stride()),
        *(_NO_ROWS if initial_h is None else initial_h.stride()),
        *(_NO_ROWS if initial_c is None else initial_c.stride()),
        *(_NO_ROWS if mask is None else mask.stride()),
        *(_NO_STEPS if keep_h is None else keep_h.stride()),
        *(_NO_STEPS if keep_c is None else keep_c.stride()),
    )


library.impl("forward", _forward, "CPU")
library.impl("backward", _backward, "CPU")
torch.library.register_fake("deeprnn::forward", _forward_shapes, lib=library)
torch.library.register_fake("deeprnn::backward", _backward_shapes, lib=library)
