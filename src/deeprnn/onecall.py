"""A net's whole stack in one call of the compiled kernels, where nothing stands between its layers."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.modules import module

from deeprnn.kernels import offered_first
from deeprnn.kernels.interface import is_recorded
from deeprnn.kernels.native import stack
from deeprnn.layer import RecurrentLayer
from deeprnn.state import State


class _Plan(NamedTuple):
    """A stack's layers, and each as the kernel takes it; None where a layer must be run by itself."""

    layers: tuple[nn.Module, ...]
    cells: tuple[Any, ...]
    stacked: tuple[stack.StackedLayer, ...] | None


_plans: "WeakKeyDictionary[nn.Module, _Plan]" = WeakKeyDictionary()
"""By the module list that holds the layers."""


def run(layers: nn.ModuleList, x: Tensor, states: Sequence[State | None] | None) -> stack.Results | None:
    """Each layer's hidden (T, B, H), and its state after; None where the layers must be run one by one.

    That is where a gradient is recorded or a transform, a trace, a mode or autocast is on; where a layer has hooks,
    dropout, two directions or a weight that is computed; where other kernels come first; for all but short calls; and
    where an argument does not fit, which is left to others to say.

    Args:
        layers: the stack, bottom layer first; each reads what the one below writes and nothing else.
        x: (T, B, I), or (T, B) int64 indices below I.
        states: the state before the first step; None for the layer's initial one.
    """
    # A trace may not look at sizes, so that comes first.
    if not _undisturbed() or not 0 < x.shape[0] * x.shape[1] <= stack.most_steps() or not offered_first(stack.KERNEL):
        return None
    plan = _plans.get(layers)
    modules = layers._modules.values()
    if plan is None or len(plan.layers) != len(modules):
        plan = _plans[layers] = _plan(tuple(modules))
    weights: list[dict[str, Any]] = []
    for layer, planned, cell in zip(modules, plan.layers, plan.cells, strict=True):
        own = layer.__dict__
        if layer is not planned or own.get("_cell") is not cell:
            del _plans[layers]  # the next call makes another
            return None
        if (
            type(layer) is not RecurrentLayer
            or own["_forward_hooks"]
            or own["_forward_pre_hooks"]
            or own["_backward_hooks"]
            or own["_backward_pre_hooks"]
            or "forward" in own
            or (own["training"] and cell.recurrent_dropout)
        ):
            return None
        weights.append(own["_parameters"])
    if plan.stacked is None:
        return None
    if states is None or None in states:
        states = [
            cast("RecurrentLayer", layer).initial_state(x.shape[1]) if state is None and cell.learn_initial else state
            for layer, cell, state in zip(modules, plan.cells, states or [None] * len(weights), strict=True)
        ]
    elif len(states) != len(weights):
        return None
    return stack.run(plan.stacked, weights, x, states)


def _undisturbed() -> bool:
    """Whether nothing watches or changes what torch does, and no gradient is recorded."""
    return not (
        torch.compiler.is_compiling()
        or torch.is_grad_enabled()
        or is_recorded()
        or torch._C._functorch.peek_interpreter_stack() is not None  # pyright: ignore  # no public way to ask
        or torch._C._len_torch_dispatch_stack()
        or torch._C._len_torch_function_stack()
        or torch.is_autocast_enabled("cpu")
        or module._has_any_global_hook()
    )


def _plan(layers: tuple[Any, ...]) -> _Plan:
    # A net may hold anything in a layer's place.
    cells = tuple(getattr(layer, "_cell", None) for layer in layers)
    if any(type(layer) is not RecurrentLayer or layer._modules for layer in layers):
        return _Plan(layers, cells, None)
    stacked = [stack.stacked_layer(layer.cell, layer.input_size) for layer in layers]
    known = tuple(layer for layer in stacked if layer is not None)
    fits = len(known) == len(layers) and all(above.input_size == below.width for below, above in pairwise(known))
    return _Plan(layers, cells, known if fits else None)
