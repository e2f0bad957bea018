"""The truth: the loop over `cell.step` in plain PyTorch. It runs everything, differentiably to any order."""

import torch
import torch.nn.functional as F
from torch import Tensor

from deeprnn.cells import Recur, normalise_gates
from deeprnn.kernels.interface import Facts, Scan, ScanResult
from deeprnn.state import State, select

NAME = "reference"


def why_not(facts: Facts) -> str | None:  # noqa: ARG001  # every kernel has this signature
    """Never a reason: this kernel runs every call."""
    return None


def run(scan: Scan) -> ScanResult:
    """The layer, step by step. See `Scan` for the meaning of each part."""
    recur = Recur(scan.cell, scan.weights, scan.recurrent_mask)
    x_parts = input_part(scan).unbind(0)
    valid = scan.valid()
    # A step beyond a row's length starts from here: a gradient of zero times NaN would be NaN.
    aside = None if valid is None else scan.initial.detach()
    restarts = None if scan.restarts is None else scan.restarts.unsqueeze(-1)
    state = scan.state
    states: list[State] = [state] * scan.steps
    for t in reversed(range(scan.steps)) if scan.reverse else range(scan.steps):
        before = state
        if restarts is not None:
            before = select(restarts[t], scan.initial, before)
        if valid is not None and aside is not None:
            before = select(valid[t], before, aside)
        after = scan.cell.step(x_parts[t], before, recur)
        if scan.zoneout is not None:
            after = _zone_out(before, after, scan.zoneout, t)
        state = after if valid is None else select(valid[t], after, state)
        states[t] = state
    return ScanResult(
        _stack([s.h for s in states], scan, valid),
        _stack([s.c for s in states if s.c is not None], scan, valid) if _has_cells(scan) else None,
        state,
    )


def input_part(scan: Scan) -> Tensor:
    """(T, B, G*H) = W_xh x + b at every step; an integer x gathers columns of W_xh."""
    weight = scan.weights["weight_xh"]
    x = scan.readable_x()
    part = F.linear(x, weight) if x.is_floating_point() else F.embedding(x, weight.t())
    if "gain_xh" in scan.weights:
        part = normalise_gates(scan.cell, part, scan.weights["gain_xh"], scan.cell.gates)
    return part + scan.weights["bias"] if "bias" in scan.weights else part


def _has_cells(scan: Scan) -> bool:
    return scan.wants_cells and "c" in scan.cell.states


def _zone_out(before: State, after: State, keep: State, t: int) -> State:
    h = keep.h[t] * before.h + (1 - keep.h[t]) * after.h
    if after.c is None or before.c is None or keep.c is None:
        return State(h, after.c)
    return State(h, keep.c[t] * before.c + (1 - keep.c[t]) * after.c)


def _stack(steps: list[Tensor], scan: Scan, valid: Tensor | None) -> Tensor:
    if not steps:
        return scan.state.h.new_empty((0, *scan.state.h.shape))
    stacked = torch.stack(steps)
    return stacked if valid is None else torch.where(valid, stacked, torch.zeros_like(stacked))
