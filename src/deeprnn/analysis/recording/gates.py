"""Gates, pre-activations and c_t at every step, recomputed from a finished run: one matrix product a layer."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from deeprnn.activations import function_of
from deeprnn.cells import GRU, LSTM, Cell, Elman, Recur
from deeprnn.kernels import Scan
from deeprnn.kernels.reference import input_part


class Gate(NamedTuple):
    """One gate at every step.

    Attributes:
        pre: (T, B, H), the argument of the gate's nonlinearity: input, recurrent part and bias, all normalised
            where the layer has layer_norm.
        value: (T, B, H), the nonlinearity of it.
    """

    pre: Tensor
    value: Tensor


Gates: TypeAlias = dict[str, Gate]


def knows(cell: Cell) -> bool:
    """Whether this cell's gates can be recomputed; a subclass with a step of its own is another cell."""
    return type(cell).step in _EQUATIONS


def gates_of(scan: Scan, hidden: Tensor) -> Gates:
    """Every gate at every step of one pass of a layer.

    All steps are done at once, since h_{t-1} is already known at each: this equals the step-by-step cell within
    rounding, and costs two matrix products (three for a GRU that resets before the product).

    Args:
        scan: what the pass was given; the cell is one that `knows` accepts.
        hidden: (T, B, H), what it returned.

    Returns:
        The gates by name, zero beyond a row's length.
    """
    recur = Recur(scan.cell, scan.weights, None)
    gates = _EQUATIONS[type(scan.cell).step](scan.cell, input_part(scan), state_before(scan, hidden), recur)
    valid = scan.valid()
    if valid is None:
        return gates
    return {name: Gate(*(torch.where(valid, part, 0) for part in gate)) for name, gate in gates.items()}


def state_before(scan: Scan, hidden: Tensor) -> Tensor:
    """(T, B, H): the h that each step read, restarts and the given state included; arbitrary beyond a row's length."""
    if not scan.steps:
        return hidden
    first = scan.state.h.to(hidden.dtype)
    if scan.reverse:
        before = torch.cat([hidden[1:], first.unsqueeze(0)])
        if scan.lengths is not None:
            begins = torch.arange(scan.steps, device=hidden.device)[:, None] == scan.lengths - 1
            before = torch.where(begins.unsqueeze(-1), first, before)
    else:
        before = torch.cat([first.unsqueeze(0), hidden[:-1]])
    if scan.restarts is None:
        return before
    return torch.where(scan.restarts.unsqueeze(-1), scan.initial.h.to(hidden.dtype), before)


def cells_of(scan: Scan, gates: Mapping[str, Gate]) -> Tensor:
    """(T, B, H): an LSTM's c_t from its gates, zero beyond a row's length.

    A loop over steps, but elementwise: the matrix products are in the gates already. So a run that did not keep
    c_t, as torch's fused operators don't, need not be repeated on a slower path.
    """
    forget, write = gates["f"].value, gates["i"].value * gates["g"].value
    keep = float(getattr(scan.cell, "zoneout_cell", 0.0))
    assert scan.state.c is not None
    assert scan.initial.c is not None
    valid, c, initial = scan.valid(), scan.state.c.to(write.dtype), scan.initial.c.to(write.dtype)
    cells = torch.zeros_like(write)
    for t in reversed(range(scan.steps)) if scan.reverse else range(scan.steps):
        before = c if scan.restarts is None else torch.where(scan.restarts[t].unsqueeze(-1), initial, c)
        after = keep * before + (1 - keep) * (forget[t] * before + write[t])
        c = after if valid is None else torch.where(valid[t], after, c)
        cells[t] = c
    return cells if valid is None else torch.where(valid, cells, 0)


def _elman(cell: Cell, x_part: Tensor, before: Tensor, recur: Recur) -> Gates:
    assert isinstance(cell, Elman)
    pre = x_part + recur(before)
    return {"h": Gate(pre, function_of(cell.activation)(pre))}


def _gru(cell: Cell, x_part: Tensor, before: Tensor, recur: Recur) -> Gates:
    assert isinstance(cell, GRU)
    phi, sigma = function_of(cell.activation), function_of(cell.gate_activation)
    x_r, x_z, x_n = x_part.chunk(3, dim=-1)
    if cell.reset_after:
        h_r, h_z, h_n = recur(before).chunk(3, dim=-1)
        r = sigma(x_r + h_r)
        n = x_n + r * (h_n + recur.weights["bias_hn"] if cell.bias else h_n)
    else:
        h_r, h_z = recur(before, "r", "z").chunk(2, dim=-1)
        r = sigma(x_r + h_r)
        n = x_n + recur(r * before, "n")
    return {"r": Gate(x_r + h_r, r), "z": Gate(x_z + h_z, sigma(x_z + h_z)), "n": Gate(n, phi(n))}


def _lstm(cell: Cell, x_part: Tensor, before: Tensor, recur: Recur) -> Gates:
    assert isinstance(cell, LSTM)
    phi, sigma = function_of(cell.activation), function_of(cell.gate_activation)
    pres = zip(cell.gates, (x_part + recur(before)).chunk(4, dim=-1), strict=True)
    return {name: Gate(pre, phi(pre) if name == "g" else sigma(pre)) for name, pre in pres}


_EQUATIONS: dict[Callable[..., Any], Callable[[Cell, Tensor, Tensor, Recur], Gates]] = {
    Elman.step: _elman,
    GRU.step: _gru,
    LSTM.step: _lstm,
}
"""By the step that they write out."""
