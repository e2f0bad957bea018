"""The truth: the loop over `cell.step` in plain PyTorch. It runs everything, differentiably to any order."""

import torch
import torch.nn.functional as F
from torch import Tensor

from deeprnn.cells import Recur, normalise_gates
from deeprnn.kernels.interface import CallSpec, LayerCall, LayerOutput
from deeprnn.state import State, select

NAME = "reference"


def why_not(spec: CallSpec) -> str | None:  # noqa: ARG001  # every kernel has this signature
    """Never a reason: this kernel runs every call."""
    return None


def run(call: LayerCall) -> LayerOutput:
    """The layer, step by step. See `LayerCall` for the meaning of each part."""
    recur = Recur(call.cell, call.weights, call.recurrent_mask)
    x_parts = input_part(call).unbind(0)
    valid = call.valid()
    # A step beyond a row's length starts from here: a gradient of zero times NaN would be NaN.
    aside = None if valid is None else call.state.map(torch.zeros_like)
    restarts = None if call.restarts is None else call.restarts.unsqueeze(-1)
    state = call.state
    states: list[State] = [state] * call.steps
    for t in reversed(range(call.steps)) if call.reverse else range(call.steps):
        before = state
        if restarts is not None and call.initial is not None:
            before = select(restarts[t], call.initial, before)
        if valid is not None and aside is not None:
            before = select(valid[t], before, aside)
        after = call.cell.step(x_parts[t], before, recur)
        if call.zoneout is not None:
            after = _zone_out(before, after, call.zoneout, t)
        state = after if valid is None else select(valid[t], after, state)
        states[t] = state
    cell_state = call.cell.cell_state if call.return_cell_states else None
    return LayerOutput(
        _stack("h", states, call.state, valid),
        state,
        None if cell_state is None else _stack(cell_state, states, call.state, valid),
    )


def input_part(call: LayerCall) -> Tensor:
    """(T, B, G*H) = W_xh x + b at every step; an integer x gathers columns of W_xh."""
    weight = call.weights["weight_xh"]
    x = call.readable_x()
    part = F.linear(x, weight) if x.is_floating_point() else F.embedding(x, weight.t())
    if "gain_xh" in call.weights:
        part = normalise_gates(call.cell, part, call.weights["gain_xh"], call.cell.gates)
    return part + call.weights["bias"] if "bias" in call.weights else part


def _zone_out(before: State, after: State, keep: State, t: int) -> State:
    mixed = {
        name: keep.parts[name][t] * before.parts[name] + (1 - keep.parts[name][t]) * value
        for name, value in after.parts.items()
        if name in keep.parts
    }
    return after.replace(**mixed)


def _stack(name: str, states: list[State], before: State, valid: Tensor | None) -> Tensor:
    """One part at every step, zero beyond a row's length."""
    if not states:
        part = before.parts[name]
        return part.new_empty((0, *part.shape))
    stacked = torch.stack([state.parts[name] for state in states])
    return stacked if valid is None else torch.where(valid, stacked, torch.zeros_like(stacked))
