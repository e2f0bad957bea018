"""The one operation: a recurrent layer over a sequence, as a pure function of its weights and inputs."""

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor

from deeprnn.cells import Cell
from deeprnn.kernels import LayerCall, LayerOutput, choose
from deeprnn.masks import ones_with
from deeprnn.state import State


def recurrent_layer(
    cell: Cell,
    weights: Mapping[str, Tensor],
    x: Tensor,
    state: State | None = None,
    *,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    training: bool = False,
    return_cell_states: bool = False,
) -> LayerOutput:
    """One recurrent layer over a sequence, in the cell's direction or in both, by the fastest kernel that can run it.

    `DeepRNN`'s layers are this with weights of their own.

    Args:
        cell: the equations and the layer's options.
        weights: by name, as `cell.weight_shapes(I)` tells their shapes: weight_xh (G*H, I), weight_hh (G*H, H), bias
            (G*H,), and what the cell adds; for a second direction the same with `_reverse` at the end.
        x: (T, B, I), or (T, B) int64 indices below I, read as one-hot.
        state: (B, H) each, the state before the first step; None for the layer's initial one, zeros or learned.
        lengths: (B,) int64, 0..T. Beyond its length a row's hidden is zero and its state stays.
        resets: (T, B) bool, marks the first step of each document: there the state returns to the initial one.
        training: whether recurrent dropout is on and zoneout draws; else zoneout takes its expectation.
        return_cell_states: also return the cell's `cell_state` at every step, such as an LSTM's c_t.

    Returns:
        hidden (T, B, H), or (T, B, 2H) for both directions; the state after each row's last step; the cell states.
        All have the weights' dtype, or autocast's where that is on.

    Raises:
        RuntimeError: a kernel is forced that cannot run the call.

    >>> from deeprnn import GRU
    >>> cell = GRU(4)
    >>> weights = {name: torch.randn(shape) for name, shape in cell.weight_shapes(3).items()}
    >>> recurrent_layer(cell, weights, torch.randn(5, 2, 3)).hidden.shape
    torch.Size([5, 2, 4])
    """
    device = x.device.type
    if device != "meta" and torch.is_autocast_enabled(device):
        # One rule for every kernel: under autocast a layer computes, and returns, in autocast's dtype.
        weights = _cast(weights, torch.get_autocast_dtype(device))
        without = torch.autocast(device, enabled=False)
    else:
        without = nullcontext()
    with without:
        calls = layer_calls(
            cell,
            weights,
            x,
            state,
            lengths=lengths,
            resets=resets,
            training=training,
            return_cell_states=return_cell_states,
        )
        outputs = [choose(call.spec()).kernel.run(call) for call in calls]
    return outputs[0] if len(outputs) == 1 else _joined(*outputs)


def layer_calls(
    cell: Cell,
    weights: Mapping[str, Tensor],
    x: Tensor,
    state: State | None = None,
    *,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    training: bool = False,
    return_cell_states: bool = False,
) -> list[LayerCall]:
    """What `recurrent_layer` gives to the kernels: one call for each direction. The arguments are the same."""
    if any([name not in weights for name in cell.weight_names]):  # noqa: C419  # a generator takes twice the time
        missing = ", ".join(name for name in cell.weight_names if name not in weights)
        raise ValueError(
            f"weights lacks {missing}; {cell!r} has {', '.join(cell.weight_names)}, of the shapes that "
            f"cell.weight_shapes(input_size) tells."
        )
    dtype = weights["weight_xh"].dtype
    weights = _cast(weights, dtype)
    if x.is_floating_point() and x.dtype != dtype:
        x = x.to(dtype)
    calls: list[LayerCall] = []
    for second in range(cell.directions):
        own = weights if cell.directions == 1 else _of_direction(weights, reverse=second == 1)
        reverse = cell.direction == "reverse" or second == 1
        given = None if state is None else state.reverse if second else state
        batch = x.shape[1]
        initial = _initial(cell, own, batch) if given is None or resets is not None else None
        before = initial if given is None else _one_way(given, dtype)
        assert before is not None
        calls.append(
            LayerCall(
                cell=cell,
                weights=own,
                x=x,
                state=before,
                initial=initial if resets is not None else None,
                reverse=reverse,
                lengths=lengths,
                restarts=_restarts(resets, lengths, reverse),
                recurrent_mask=_recurrent_mask(cell, before) if training else None,
                zoneout=_zoneout(cell, before, x.shape[0], training=training),
                return_cell_states=return_cell_states,
            )
        )
    return calls


def initial_states(cell: Cell, weights: Mapping[str, Tensor], batch: int) -> State:
    """(B, H) each: the state before the first step when none is given, zeros or the learned one."""
    if cell.directions == 1:
        return _initial(cell, weights, batch)
    first, second = (_initial(cell, _of_direction(weights, reverse=reverse), batch) for reverse in (False, True))
    return State.of(first.parts, second)


def _initial(cell: Cell, weights: Mapping[str, Tensor], batch: int) -> State:
    if cell.learn_initial:
        return State.of({name: weights[f"initial_{name}"].expand(batch, -1) for name in cell.states})
    like = weights["weight_xh"]
    return State.of({name: like.new_zeros((batch, size)) for name, size in cell.state_sizes.items()})


def _joined(first: LayerOutput, second: LayerOutput) -> LayerOutput:
    cell_states = None
    if first.cell_states is not None and second.cell_states is not None:
        cell_states = torch.cat([first.cell_states, second.cell_states], dim=-1)
    return LayerOutput(
        torch.cat([first.hidden, second.hidden], dim=-1),
        State.of(first.state.parts, second.state),
        cell_states,
    )


def _cast(weights: Mapping[str, Tensor], dtype: torch.dtype) -> Mapping[str, Tensor]:
    if all([weight.dtype is dtype for weight in weights.values()]):  # noqa: C419  # a generator takes twice the time
        return weights
    return {name: weight.to(dtype) for name, weight in weights.items()}


def _of_direction(weights: Mapping[str, Tensor], *, reverse: bool) -> dict[str, Tensor]:
    """One direction's weights, by their names without `_reverse`."""
    return {
        name.removesuffix("_reverse"): weight
        for name, weight in weights.items()
        if name.endswith("_reverse") == reverse
    }


def _one_way(state: State, dtype: torch.dtype) -> State:
    if state.reverse is None and all([part.dtype is dtype for part in state.parts.values()]):  # noqa: C419  # as above
        return state
    return state.one_way().to(dtype)


def _restarts(resets: Tensor | None, lengths: Tensor | None, reverse: bool) -> Tensor | None:
    """(T, B): where a pass restarts before step t, in its own direction."""
    if resets is None or not reverse:
        return resets
    # Going back, the step before (in time: after) a document's first step belongs to the next document.
    last = torch.zeros_like(resets[:1])
    restarts = torch.cat([resets[1:], last])
    if lengths is None:
        return restarts
    beyond = torch.arange(1, resets.shape[0] + 1, device=resets.device)[:, None] >= lengths
    return restarts & ~beyond


def _recurrent_mask(cell: Cell, state: State) -> Tensor | None:
    rate = cell.recurrent_dropout
    return None if rate == 0 else ones_with(1 - rate, state.h) / (1 - rate)


def _zoneout(cell: Cell, state: State, steps: int, *, training: bool) -> State | None:
    """(T, B, H) for each state: how much of its previous value each unit keeps."""
    rates = cell.zoneout_rates
    if not any(rates.values()):
        return None
    keep: dict[str, Tensor] = {}
    for name, rate in rates.items():
        like = state.parts[name]
        shape = (steps, *like.shape)
        keep[name] = ones_with(rate, like, *shape) if training else like.new_full((), rate).expand(shape)
    return State.of(keep)
