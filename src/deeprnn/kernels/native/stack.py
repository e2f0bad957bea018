"""A stack of layers in one call of the compiled kernels, for a few steps of a few rows.

It runs what needs no asking: plain one-way layers in inference, on tensors that lie ready. Everything else, and the
wording of every error, is left to the layers themselves: then `run` returns None.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import Parameter

from deeprnn.cells import Cell
from deeprnn.kernels.interface import CallSpec
from deeprnn.kernels.native import extension, kernel
from deeprnn.kernels.native.fields import Stack, Stacked
from deeprnn.kernels.native.gate import address_of
from deeprnn.kernels.native.operators import CALLS
from deeprnn.state import State

KERNEL = kernel.NAME

Results: TypeAlias = tuple[tuple[Tensor, ...], tuple[State, ...]]
_WEIGHTS = ("weight_xh", "weight_hh", "bias", "bias_hn")
_FLOAT, _INTEGER = torch.float32, torch.int64


class StackedLayer(NamedTuple):
    """What of a layer stays the same from call to call.

    Attributes:
        constants: the fields of `Stacked` before the addresses.
        weights: names and shapes of its weights, in the order of `Stacked`; None for one that it does not have.
        states: names of its states.
    """

    constants: tuple[int, ...]
    input_size: int
    width: int
    weights: tuple[tuple[str, tuple[int, ...] | None], ...]
    states: tuple[str, ...]


def stacked_layer(cell: Cell, input_size: int) -> StackedLayer | None:
    """A layer as a part of a stack; None if it must be run by itself.

    Args:
        cell: the layer's equations and options.
        input_size: I.
    """
    shapes = cell.weight_shapes(input_size)
    read = {name for name in shapes if not name.startswith("initial_")}
    plain = cell.directions == 1 and not any(cell.zoneout_rates.values()) and read <= {*_WEIGHTS}
    if not plain or kernel.why_not(CallSpec(cell, _FLOAT, "cpu", input_size=input_size)) is not None:
        return None
    code, reset_after, phi, gate_phi = kernel.codes(cell)
    return StackedLayer(
        constants=(code, int(reset_after), phi, gate_phi, int(cell.direction == "reverse"), input_size, cell.width),
        input_size=input_size,
        width=cell.width,
        weights=tuple((name, shapes.get(name)) for name in _WEIGHTS),
        states=cell.states,
    )


def most_steps() -> int:
    """Steps times rows that a call has at most; 0 where the kernels were not built."""
    return extension.native().FEW_STEPS if extension.built() else 0


def run(
    layers: Sequence[StackedLayer],
    weights: Sequence[Mapping[str, Tensor | None]],
    x: Tensor,
    states: Sequence[State | None],
) -> Results | None:
    """Each layer's hidden (T, B, H), and its state after; None where the layers must be run one by one.

    No gradient is recorded: it is for calls under torch.no_grad().

    Args:
        layers: bottom layer first; each reads what the one below writes.
        weights: each layer's parameters by name, as they are now.
        x: (T, B, I), or (T, B) int64 indices.
        states: (B, H) each, before the first step; None for zeros.
    """
    if type(x) is not Tensor or x.is_nested or x.dim() not in (2, 3):
        return None
    T, B = x.shape[:2]
    if not 0 < T * B <= most_steps():
        return None
    if x.dim() == 3:
        x_address, x_strides = address_of(x, (T, B, layers[0].input_size), _FLOAT, in_rows=False), x.stride()
    else:
        x_address, x_strides = address_of(x, (T, B), _INTEGER), (0, 0, 0)
    if not x_address:
        return None
    records: list[Stacked] = []
    every_hidden: list[Tensor] = []
    states_after: list[State] = []
    kept: list[Tensor] = []  # until the call is over
    like = x if x.dim() == 3 else x.new_empty((), dtype=_FLOAT)
    for layer, own, state in zip(layers, weights, states, strict=True):
        shape = (B, layer.width)
        before: list[int] = []
        for name, expected in layer.weights:
            address = 0
            if expected is not None:
                weight = own.get(name)
                if type(weight) is not Parameter and type(weight) is not Tensor:  # a subclass has a say of its own
                    return None
                address = address_of(weight, expected, _FLOAT)
                if not address:
                    return None
            before.append(address)
        if state is None:
            zeros = like.new_zeros(shape)
            kept.append(zeros)
            before += [zeros.data_ptr()] * len(layer.states)
        elif len(state.parts) != len(layer.states) or state.reverse is not None:
            return None
        else:
            for name in layer.states:
                part = state.parts.get(name)
                if type(part) is not Tensor or part.is_nested:
                    return None
                address = address_of(part, shape, _FLOAT)
                if not address:
                    return None
                before.append(address)
        hidden = like.new_empty(T, B, layer.width)
        after = {name: like.new_empty(B, layer.width) for name in layer.states}
        ends = [tensor.data_ptr() for tensor in after.values()]
        if len(layer.states) == 1:
            before.append(0)
            ends.append(0)
        records.append(Stacked._make((*layer.constants, *before, hidden.data_ptr(), *ends)))
        every_hidden.append(hidden)
        states_after.append(State.of(after))
    CALLS["forward"] += len(records)
    x_t, x_b, x_f = x_strides
    stack = Stack(x=x_address, x_t=x_t, x_b=x_b, x_f=x_f, T=T, B=B, indices=int(x.dim() == 2))
    extension.native().forward_stack(extension.isa(), stack, records)
    return tuple(every_hidden), tuple(states_after)
