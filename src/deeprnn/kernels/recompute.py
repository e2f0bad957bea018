"""What a finished call's gates and cell states were, recomputed from the states that it left."""

from collections.abc import Mapping

import torch
from torch import Tensor

from deeprnn.cells import LSTM, Gate, Recur
from deeprnn.kernels.interface import LayerCall
from deeprnn.kernels.reference import input_part
from deeprnn.state import State


def gates_of(call: LayerCall, hidden: Tensor, cell_states: Tensor | None = None) -> dict[str, Gate]:
    """Every gate at every step of a call, by name; none where the cell doesn't tell.

    All steps are done at once, since the state before each is known: this equals the step-by-step cell within
    rounding, and costs two matrix products (three for a GRU that resets before the product).

    Args:
        call: what the kernel was given, without dropout.
        hidden, cell_states: what it returned; the latter where the cell's `gates_read` names it.

    Returns:
        (T, B, H) each, zero beyond a row's length.
    """
    cell = call.cell
    parts = {"h": hidden}
    if cell.cell_state is not None and cell_states is not None:
        parts[cell.cell_state] = cell_states
    before = State.of({name: _before(call, name, part) for name, part in parts.items()})
    gates = cell.gate_values(input_part(call), before, Recur(cell, call.weights, None))
    valid = call.valid()
    if valid is None:
        return gates
    return {name: Gate(*(torch.where(valid, part, 0) for part in gate)) for name, gate in gates.items()}


def lstm_cell_states(call: LayerCall, gates: Mapping[str, Gate]) -> Tensor:
    """(T, B, H): an LSTM's c_t from its gates, zero beyond a row's length.

    A loop over steps, but elementwise: the matrix products are in the gates already.
    """
    assert isinstance(call.cell, LSTM)
    valid, c = call.valid(), call.state.c
    cells: list[Tensor] = [c] * call.steps
    for t in reversed(range(call.steps)) if call.reverse else range(call.steps):
        before = c
        if call.restarts is not None and call.initial is not None:
            before = torch.where(call.restarts[t].unsqueeze(-1), call.initial.c, c)
        after = call.cell.next_c({name: Gate(gate.pre[t], gate.value[t]) for name, gate in gates.items()}, before)
        c = after if valid is None else torch.where(valid[t], after, c)
        cells[t] = c
    stacked = torch.stack(cells)
    return stacked if valid is None else torch.where(valid, stacked, 0)


def _before(call: LayerCall, name: str, part: Tensor) -> Tensor:
    """(T, B, H): what each step read of a state, restarts and the given state included; arbitrary beyond a length."""
    if not call.steps:
        return part
    first = call.state.parts[name].to(part.dtype)
    if call.reverse:
        before = torch.cat([part[1:], first.unsqueeze(0)])
        if call.lengths is not None:
            begins = torch.arange(call.steps, device=part.device)[:, None] == call.lengths - 1
            before = torch.where(begins.unsqueeze(-1), first, before)
    else:
        before = torch.cat([first.unsqueeze(0), part[:-1]])
    if call.restarts is None or call.initial is None:
        return before
    return torch.where(call.restarts.unsqueeze(-1), call.initial.parts[name].to(part.dtype), before)
