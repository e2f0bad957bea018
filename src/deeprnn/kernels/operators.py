"""The compiled kernels as torch operators, `deeprnn::forward` and `deeprnn::backward`: schema, shapes, the call.

They know no gradient (`native.py` has it), return no views, and are given every tensor of one layer over one sequence
in one direction, under the names of `Scan`. Integers go to csrc/bind.cpp in the order that it states.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from deeprnn.kernels import extension
from deeprnn.kernels.packed import packed_weights

READ = (
    "x", "weight_xh", "weight_hh", "bias", "bias_hn", "h0", "c0", "initial_h", "initial_c",
    "lengths", "restarts", "mask", "keep_h", "keep_c",
)  # fmt: skip
"""The tensors that both operators read, in order. The first `DIFFERENTIABLE` of them have gradients."""

DIFFERENTIABLE = 9

CALLS: Counter[str] = Counter()
"""How often each operator ran in this process."""

_OPTIONAL = ("bias", "bias_hn", *READ[6:])
_TENSORS = ", ".join(f"Tensor{'?' if name in _OPTIONAL else ''} {name}" for name in READ)
_KIND = "int cell, bool reset_after, int phi, int isa, bool reverse"
_LSTM = 2

_library = torch.library.Library("deeprnn", "DEF")
_library.define(f"forward({_TENSORS}, {_KIND}, bool wants_cells, bool training) -> Tensor[]")
_library.define(
    f"backward({_TENSORS}, Tensor hidden, Tensor? cells, Tensor saved, "
    "Tensor? of_hidden, Tensor? of_last_h, Tensor? of_last_c, Tensor? of_cells, "
    f"{_KIND}, bool[] wanted) -> Tensor[]"
)

forward: Callable[..., list[Tensor]] = torch.ops.deeprnn.forward.default
"""(READ..., kind..., wants_cells, training) -> [hidden, last_h, an LSTM's last_c, cells if wanted, saved if training].

`kind` is cell, reset_after, phi, isa, reverse: the integers of csrc/deeprnn.h, and whether steps run from T-1 to 0.
`saved` is what the backward pass needs beside the inputs and `hidden`, in an order of its own.
"""

backward: Callable[..., list[Tensor]] = torch.ops.deeprnn.backward.default
"""(READ..., hidden, cells, saved, gradients of hidden, last_h, last_c, cells, kind..., wanted) -> [wanted gradients].

`wanted` says for each of the first `DIFFERENTIABLE` inputs whether its gradient is returned.
"""


def _forward(*arguments: Any) -> list[Tensor]:
    *given, cell, reset_after, phi, isa, reverse, wants_cells, training = arguments
    CALLS["forward"] += 1
    tensors = _contiguous_where_needed(given)
    sizes = _sizes(tensors, cell, reset_after, phi, training)
    outputs = _new_outputs(tensors, isa, sizes, wants_cells)
    addresses = _addresses(tensors)
    packed = packed_weights(isa, sizes, addresses, given[1:5], keep=not training)
    named = _by_name(outputs, cell, wants_cells, training)
    extension.native().forward(isa, sizes, addresses, _strides(tensors), reverse, packed.data_ptr(), _addresses(named))
    return outputs


def _backward(*arguments: Any) -> list[Tensor]:
    *given, cell, reset_after, phi, isa, reverse, wanted = arguments
    CALLS["backward"] += 1
    tensors = _contiguous_where_needed(given[: len(READ)])
    hidden, cells, saved, *gradients = given[len(READ) :]
    gradients = [None if gradient is None else gradient.contiguous() for gradient in gradients]
    results = _new_gradients(given, wanted)
    remaining = iter(results)
    into = [next(remaining) if want else None for want in wanted]
    extension.native().backward(
        isa,
        _sizes(tensors, cell, reset_after, phi, True),
        _addresses(tensors),
        _strides(tensors),
        reverse,
        _addresses((hidden, None, None, cells, saved)),
        _addresses(gradients),
        _addresses(into),
    )
    return results


def _forward_shapes(*arguments: Any) -> list[Tensor]:
    *given, cell, reset_after, phi, isa, _reverse, wants_cells, training = arguments
    return _new_outputs(given, isa, _sizes(given, cell, reset_after, phi, training), wants_cells)


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


def _contiguous_where_needed(given: Sequence[Any]) -> Sequence[Any]:
    """The kernels take x, states and masks by their strides, and want the rest in rows."""
    x = given[0] if given[0].is_floating_point() else given[0].contiguous()
    rows = [None if tensor is None else tensor.contiguous() for tensor in (*given[1:5], *given[9:11])]
    return (x, *rows[:4], *given[5:9], *rows[4:], *given[11:14])


def _sizes(tensors: Sequence[Any], cell: int, reset_after: bool, phi: int, training: bool) -> tuple[int, ...]:
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


_library.impl("forward", _forward, "CPU")
_library.impl("backward", _backward, "CPU")
torch.library.register_fake("deeprnn::forward", _forward_shapes, lib=_library)
torch.library.register_fake("deeprnn::backward", _backward_shapes, lib=_library)
