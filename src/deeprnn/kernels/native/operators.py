"""The compiled kernels as torch operators, `deeprnn::forward` and `deeprnn::backward`: schema, shapes, the call.

They return no views, and are given every tensor of one layer over one sequence in one direction, under the names of
`fields.py`. Which instruction set runs is decided at each call, by the machine that runs it. Gradients are
`kernel.py`'s; it gives the forward operator its autograd kernel.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from deeprnn.kernels.autograd import Kept
from deeprnn.kernels.interface import is_recorded
from deeprnn.kernels.native import extension
from deeprnn.kernels.native.fields import (
    DIFFERENTIABLE,
    READ,
    STRIDED_ROWS,
    STRIDED_STEPS,
    WEIGHTS,
    Given,
    Kind,
    Outputs,
    Read,
    Sizes,
    backward_arguments,
    forward_arguments,
)
from deeprnn.kernels.native.gate import address_of, admit
from deeprnn.kernels.native.packed import packed_weights

_IN_ROWS = tuple(name in (*WEIGHTS, "lengths", "restarts") for name in READ)
"""What the kernels want contiguous; of the rest they know the strides."""

_DTYPES = tuple({"lengths": torch.int64, "restarts": torch.bool}.get(name, torch.float32) for name in READ)
_DTYPES_INDICES, _IN_ROWS_INDICES = (torch.int64, *_DTYPES[1:]), (True, *_IN_ROWS[1:])
"""The same where x holds indices."""

_GATES = (1, 3, 4)
"""G by the number of the cell."""

CALLS: Counter[str] = Counter()
"""How often each operator ran in this process."""

_REQUIRED = ("x", "weight_xh", "weight_hh", "h0")
_TENSORS = ", ".join(f"Tensor{'' if name in _REQUIRED else '?'} {name}" for name in READ)
_KIND = "int cell, bool reset_after, int phi, int gate_phi, bool reverse"
_GIVEN = ", ".join(f"Tensor? {name}" for name in Given._fields)
_LSTM = 2

library = torch.library.Library("deeprnn", "DEF")
library.define(f"forward({_TENSORS}, {_KIND}, bool return_cell_states, bool training) -> Tensor[]")
library.define(
    f"backward({_TENSORS}, Tensor hidden, Tensor? cells, Tensor saved, {_GIVEN}, {_KIND}, bool[] wanted) -> Tensor[]"
)


def forward(*arguments: Any) -> list[Tensor]:
    """(READ..., kind..., return_cell_states, training) -> [hidden, last_h, last_c, cells, saved], where there are such.

    An LSTM has last_c, and cells if they are wanted; saved is there in training: what the backward pass needs beside
    the inputs and `hidden`, in an order of its own. `outputs_by_name` names them.
    """
    if _is_direct(arguments[: len(READ)]):
        return _forward(*arguments)
    return torch.ops.deeprnn.forward.default(*arguments)


def backward(*arguments: Any) -> list[Tensor]:
    """(READ..., kept..., given..., kind..., wanted) -> wanted gradients.

    `wanted` says for each of the inputs of `DIFFERENTIABLE` whether its gradient is returned.
    """
    if _is_direct(arguments[: len(READ) + len(Kept._fields) + len(Given._fields)]):
        return _backward(*arguments)
    return torch.ops.deeprnn.backward.default(*arguments)


def _is_direct(tensors: Sequence[Tensor | None]) -> bool:
    """Whether torch's dispatcher has nothing to do here but call the operator, which takes it 10 us."""
    if torch.compiler.is_compiling() or is_recorded():
        return False
    if torch._C._functorch.peek_interpreter_stack() is not None or torch._C._len_torch_dispatch_stack() > 0:  # pyright: ignore
        return False
    return all([t is None or type(t) is Parameter or (type(t) is Tensor and not t.is_neg()) for t in tensors])  # noqa: C419  # a generator takes twice the time


def outputs_by_name(outputs: Sequence[Tensor], cell: int, return_cell_states: bool, training: bool) -> Outputs:
    """What the forward operator returned."""
    parts = iter(outputs)
    lstm = cell == _LSTM
    return Outputs(
        hidden=next(parts),
        last_h=next(parts),
        last_c=next(parts) if lstm else None,
        cells=next(parts) if lstm and return_cell_states else None,
        saved=next(parts) if training else None,
    )


def kept(outputs: Sequence[Tensor], kind: Kind, return_cell_states: bool) -> Kept:
    """Of what the forward operator returned in training, what the backward operator reads."""
    named = outputs_by_name(outputs, kind.cell, return_cell_states, training=True)
    return Kept(named.hidden, named.cells, named.saved)


def _forward(*arguments: Any) -> list[Tensor]:
    CALLS["forward"] += 1
    isa = extension.isa()
    given, kind, return_cell_states, training = forward_arguments(arguments)
    read = _admitted(given, kind)
    sizes = _sizes(read, kind, training)
    outputs = _new_outputs(read, isa, sizes, return_cell_states)
    returned = [output for output in outputs if output is not None]
    if 0 in (sizes.T, sizes.B, sizes.H):
        return _unchanged(returned, outputs, read)
    inputs = _inputs(read)
    packed = packed_weights(isa, sizes, inputs, given.weight_hh, keep=not training)
    into = _addresses(outputs)
    extension.native().forward(isa, sizes, inputs, 0 if packed is None else packed.data_ptr(), into)
    return returned


def _backward(*arguments: Any) -> list[Tensor]:
    CALLS["backward"] += 1
    isa = extension.isa()
    given_read, given_kept, reaching, kind, wanted = backward_arguments(arguments)
    read = _admitted(given_read, kind)
    sizes = _sizes(read, kind, True)
    admitted, reaching = _admitted_outputs(given_kept, reaching, isa, sizes)
    results = _new_gradients(read, wanted)
    remaining = iter(results)
    into = {name: next(remaining) if want else None for name, want in zip(DIFFERENTIABLE, wanted, strict=True)}
    if 0 in (sizes.T, sizes.B, sizes.H):
        return _passed_through(results, into, reaching)
    outputs = Outputs(hidden=admitted.hidden, cells=admitted.cell_states, saved=admitted.saved)
    extension.native().backward(
        isa, sizes, _inputs(read), _addresses(outputs), _addresses(reaching), _addresses(into.values())
    )
    return results


def _unchanged(returned: list[Tensor], outputs: Outputs, read: Read) -> list[Tensor]:
    """No step, or no row: the state after is the one before."""
    for last, first in ((outputs.last_h, read.h0), (outputs.last_c, read.c0)):
        if last is not None and first is not None:
            last.copy_(first)
    return returned


def _passed_through(results: list[Tensor], into: Mapping[str, Tensor | None], reaching: Given) -> list[Tensor]:
    """The same for the gradients: what reaches the last state reaches the first."""
    for result in results:
        result.zero_()
    for state, gradient in ((into["h0"], reaching.of_last_h), (into["c0"], reaching.of_last_c)):
        if state is not None and gradient is not None:
            state.copy_(gradient)
    return results


def _admitted(given: Read, kind: Kind) -> Read:
    """The tensors as the kernels may read them."""
    x, weight_xh, weight_hh = given.x, given.weight_xh, given.weight_hh
    if x.dim() not in (2, 3) or weight_xh.dim() != 2 or weight_hh.dim() != 2:
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in zip(READ[:3], given, strict=False))
        raise ValueError(f"{shapes}: expected x (T, B, I) or (T, B), weight_xh (G*H, I) and weight_hh (G*H, H).")
    steps, batch = x.shape[:2]
    indices = x.dim() == 2
    shapes = _shapes(steps, batch, weight_xh.shape[-1], weight_hh.shape[-1], _GATES[kind.cell], indices)
    dtypes, in_rows = (_DTYPES_INDICES, _IN_ROWS_INDICES) if indices else (_DTYPES, _IN_ROWS)
    return Read(
        *[
            tensor
            if tensor is None or address_of(tensor, shape, dtype, rows)
            else admit(name, tensor, shape, dtype, rows)
            for name, tensor, shape, dtype, rows in zip(READ, given, shapes, dtypes, in_rows, strict=True)
        ]
    )


@lru_cache(maxsize=256)
def _shapes(steps: int, batch: int, features: int, width: int, gates: int, indices: bool) -> Read:
    """What each tensor's shape must be."""
    height, state, marks, masks = gates * width, (batch, width), (steps, batch), (steps, batch, width)
    return Read(
        x=marks if indices else (steps, batch, features),
        weight_xh=(height, features),
        weight_hh=(height, width),
        bias=(height,),
        bias_hn=(width,),
        weight_ch=(3 * width,),
        h0=state,
        c0=state,
        initial_h=state,
        initial_c=state,
        lengths=(batch,),
        restarts=marks,
        mask=state,
        keep_h=masks,
        keep_c=masks,
    )


def _admitted_outputs(kept: Kept, reaching: Given, isa: int, sizes: Sizes) -> tuple[Kept, Given]:
    """What forward left and what reaches its outputs, as the kernels may read them."""
    sequence, state = (sizes.T, sizes.B, sizes.H), (sizes.B, sizes.H)
    saved = (sizes.T, sizes.B, _saved_per_step(isa, sizes))
    of = "the gradient of {}".format

    def admitted(name: str, tensor: Tensor | None, shape: tuple[int, ...]) -> Tensor | None:
        return None if tensor is None else admit(name, tensor, shape, torch.float32)

    return (
        Kept(
            hidden=admitted("hidden", kept.hidden, sequence),
            cell_states=admitted("cells", kept.cell_states, sequence),
            saved=admitted("saved", kept.saved, saved),
        ),
        Given(
            of_hidden=admitted(of("hidden"), reaching.of_hidden, sequence),
            of_last_h=admitted(of("last_h"), reaching.of_last_h, state),
            of_last_c=admitted(of("last_c"), reaching.of_last_c, state),
            of_cells=admitted(of("cells"), reaching.of_cells, sequence),
        ),
    )


def _forward_shapes(*arguments: Any) -> list[Tensor]:
    read, kind, return_cell_states, training = forward_arguments(arguments)
    outputs = _new_outputs(read, extension.isa(), _sizes(read, kind, training), return_cell_states)
    return [output for output in outputs if output is not None]


def _backward_shapes(*arguments: Any) -> list[Tensor]:
    given = backward_arguments(arguments)
    return _new_gradients(given.read, given.wanted)


def _new_outputs(read: Read, isa: int, sizes: Sizes, return_cell_states: bool) -> Outputs:
    new_empty, lstm = read.weight_xh.new_empty, sizes.cell == _LSTM
    sequence, state = (sizes.T, sizes.B, sizes.H), (sizes.B, sizes.H)
    return Outputs(
        hidden=new_empty(sequence),
        last_h=new_empty(state),
        last_c=new_empty(state) if lstm else None,
        cells=new_empty(sequence) if lstm and return_cell_states else None,
        saved=new_empty((sizes.T, sizes.B, _saved_per_step(isa, sizes))) if sizes.training else None,
    )


def _saved_per_step(isa: int, sizes: Sizes) -> int:
    """Floats that a step of a row leaves for the backward pass; T and B may be symbols, and don't matter."""
    return extension.native().saved_floats(isa, sizes._replace(T=1, B=1))


def _new_gradients(read: Read, wanted: Sequence[bool]) -> list[Tensor]:
    differentiable = zip(read, wanted, strict=False)
    return [tensor.new_empty(tensor.shape) for tensor, want in differentiable if want and tensor is not None]


def _sizes(read: Read, kind: Kind, training: bool) -> Sizes:
    steps, batch = read.x.shape[:2]
    return Sizes(
        cell=kind.cell,
        reset_after=int(kind.reset_after),
        phi=kind.phi,
        gate_phi=kind.gate_phi,
        T=steps,
        B=batch,
        I=read.weight_xh.shape[1],
        H=read.weight_hh.shape[1],
        indices=int(read.x.dim() == 2),
        masked=int(read.mask is not None),
        zoneout=int(read.keep_h is not None),
        peephole=int(read.weight_ch is not None),
        training=int(training),
        reverse=int(kind.reverse),
    )


def _addresses(tensors: Iterable[Tensor | None]) -> tuple[int, ...]:
    return tuple([0 if tensor is None else tensor.data_ptr() for tensor in tensors])


_STRIDED = tuple(
    [(READ.index(name), (0, 0, 0)) for name in STRIDED_STEPS] + [(READ.index(name), (0, 0)) for name in STRIDED_ROWS]
)
"""What has strides, in the order of its fields, and the strides of what is absent, or of indices."""


def _inputs(read: Read) -> tuple[int, ...]:
    """The record `inputs`: each tensor's address, then the strides of those that have any."""
    record = [0 if tensor is None else tensor.data_ptr() for tensor in read]
    for place, absent in _STRIDED:
        tensor = read[place]
        record += absent if tensor is None or tensor.dim() != len(absent) else tensor.stride()
    return tuple(record)


library.impl("forward", _forward, "CPU")
library.impl("backward", _backward, "CPU")
torch.library.register_fake("deeprnn::forward", _forward_shapes, lib=library)
torch.library.register_fake("deeprnn::backward", _backward_shapes, lib=library)
