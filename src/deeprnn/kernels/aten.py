"""torch's own recurrent operators, where they compute just this: cuDNN on CUDA, oneDNN's LSTM on CPU, any dtype."""

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from deeprnn.cells import GRU, LSTM, Cell, Elman
from deeprnn.kernels.interface import CallSpec, LayerCall, LayerOutput
from deeprnn.kernels.recompute import gates_of, lstm_cell_states
from deeprnn.state import State, select

NAME = "aten"


def why_not(spec: CallSpec) -> str | None:
    """Why torch has no operator that computes exactly this call; None if it has."""
    cell = spec.cell
    reason = _why_not_cell(cell)
    if reason is not None:
        return reason
    if cell.layer_norm:
        return "torch's operators have no layer normalisation"
    if spec.recurrent_mask:
        return "torch's operators have no recurrent dropout"
    if spec.zoneout:
        return "torch's operators have no zoneout"
    if spec.empty:
        return "torch's operators refuse empty sequences"
    if spec.transforms:
        return "torch's operators do not support torch.func transforms"
    if spec.tracing and (spec.lengths or spec.restarts):
        return "with lengths or resets, torch's operators cannot be traced"
    return None


def run(call: LayerCall) -> LayerOutput:
    """The layer through torch's operator: one call between restarts. See `LayerCall` for the meaning of each part."""
    x = call.readable_x()
    if not x.is_floating_point():
        x = F.one_hot(x, call.weights["weight_xh"].shape[1]).to(call.weights["weight_xh"].dtype)
    restarts = _restarts_within(call)
    if call.reverse:
        order = _reversed_order(call)
        restarts = None if restarts is None else torch.gather(restarts, 0, order)
        hidden, state = _forward(call, _reorder(x, order), restarts)
        hidden = _reorder(hidden, order)
    else:
        hidden, state = _forward(call, x, restarts)
    cell_states = None
    if call.return_cell_states and call.cell.cell_state is not None:
        cell_states = lstm_cell_states(call, gates_of(call, hidden))  # torch's operator keeps them for itself
    return LayerOutput(hidden, state, cell_states)


def _why_not_cell(cell: Cell) -> str | None:
    if type(cell) not in (Elman, GRU, LSTM):  # a subclass may have a step of its own
        return "torch has no such cell"
    if isinstance(cell, Elman):
        if cell.activation in ("tanh", "relu"):
            return None
        return "torch's RNN has tanh and relu only"
    if isinstance(cell, LSTM) and cell.peephole:
        return "torch's LSTM has no peepholes"
    if isinstance(cell, GRU | LSTM):
        if isinstance(cell, GRU) and not cell.reset_after:
            return "torch's GRU resets after the product"
        if (cell.activation, cell.gate_activation) == ("tanh", "sigmoid"):
            return None
        return f"torch's {type(cell).__name__} has tanh and sigmoid only"
    return "torch has no such cell"


def _forward(call: LayerCall, x: Tensor, restarts: Tensor | None) -> tuple[Tensor, State]:
    """The sequence from step 0 on, in segments that begin where some row restarts."""
    operator, weights = _operator(call.cell), _flat_weights(call.cell, call.weights)
    state = call.state
    hidden: list[Tensor] = []
    for start, stop in _segments(call.steps, restarts):
        if restarts is not None and call.initial is not None:
            state = select(restarts[start].unsqueeze(-1), call.initial, state)
        if call.lengths is None:
            segment, state = operator(x[start:stop], state, weights)
        else:
            segment, state = _ragged(operator, x[start:stop], state, weights, call.lengths - start)
        hidden.append(segment)
    return hidden[0] if len(hidden) == 1 else torch.cat(hidden), state


def _restarts_within(call: LayerCall) -> Tensor | None:
    """The restarts within each row's length: others must not cut the call, whose products round by their shapes."""
    if call.restarts is None or call.lengths is None:
        return call.restarts
    return call.restarts & (torch.arange(call.steps, device=call.x.device)[:, None] < call.lengths)


def _segments(steps: int, restarts: Tensor | None) -> list[tuple[int, int]]:
    if restarts is None:
        return [(0, steps)]
    starts = torch.nonzero(restarts.any(dim=1)).flatten().tolist()
    edges = sorted({0, *starts, steps})
    return list(pairwise(edges))


Operator = Callable[[Tensor | PackedSequence, State, list[Tensor]], tuple[Any, State]]


def _ragged(
    operator: Operator, x: Tensor, state: State, weights: list[Tensor], lengths: Tensor
) -> tuple[Tensor, State]:
    """One segment whose rows end at different steps; rows of no step run one that is then dropped."""
    lengths = lengths.clamp(0, x.shape[0])
    runs = (lengths > 0).unsqueeze(-1)
    given, state = state, select(runs, state, state.map(torch.zeros_like))
    packed = pack_padded_sequence(x, lengths.clamp(min=1).cpu(), enforce_sorted=False)
    assert packed.sorted_indices is not None
    assert packed.unsorted_indices is not None
    output, after = operator(packed, state.rows(packed.sorted_indices), weights)
    after = after.rows(packed.unsorted_indices)
    padded, _ = pad_packed_sequence(
        PackedSequence(output, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices),
        total_length=x.shape[0],
    )
    valid = torch.arange(x.shape[0], device=x.device)[:, None] < lengths
    hidden = torch.where(valid.unsqueeze(-1), padded, torch.zeros_like(padded))
    return hidden, select(runs, after, given)


def _operator(cell: Cell) -> Operator:
    """torch's operator for a cell, as a function of (x, state, flat weights)."""
    if isinstance(cell, LSTM):
        if cell.proj_size and not torch.compiler.is_compiling():
            _hear_of_projections()
        return _call_lstm
    function: Any = torch.gru if isinstance(cell, GRU) else _RNN[str(getattr(cell, "activation", ""))]

    def call(x: Tensor | PackedSequence, state: State, weights: list[Tensor]) -> tuple[Tensor, State]:
        hidden, h = _call(function, x, state.h.unsqueeze(0), weights)
        return hidden, State(h=h.squeeze(0))

    return call


@cache
def _hear_of_projections() -> None:
    """Has torch warn, unheard, that oneDNN has no projections, which it does once a process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x, h, c = (torch.zeros(1, 1, size) for size in (1, 1, 2))
        weights = [torch.zeros(8, 1), torch.zeros(8, 1), torch.zeros(1, 2)]
        torch.lstm(x, (h, c), weights, False, 1, 0.0, False, False, False)


_RNN: dict[str, Any] = {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}


def _call_lstm(x: Tensor | PackedSequence, state: State, weights: list[Tensor]) -> tuple[Tensor, State]:
    hidden, h, c = _call(torch.lstm, x, (state.h.unsqueeze(0), state.c.unsqueeze(0)), weights)
    return hidden, State(h=h.squeeze(0), c=c.squeeze(0))


def _call(function: Any, x: Tensor | PackedSequence, state: Any, weights: list[Tensor]) -> Any:
    biases, layers, dropout, train, both = len(weights) > 3, 1, 0.0, torch.is_grad_enabled(), False
    if isinstance(x, PackedSequence):
        return function(x.data, x.batch_sizes, state, weights, biases, layers, dropout, train, both)
    return function(x, state, weights, biases, layers, dropout, train, both, False)


def _flat_weights(cell: Cell, weights: Mapping[str, Tensor]) -> list[Tensor]:
    """torch's order: weight_ih, weight_hh, bias_ih, bias_hh, weight_hr; only a GRU's b_hn needs the second bias."""
    flat = [weights["weight_xh"], weights["weight_hh"]]
    if "bias" in weights:
        second = torch.zeros_like(weights["bias"])
        if "bias_hn" in weights:
            second = torch.cat([second[: 2 * cell.width], weights["bias_hn"]])
        flat += [weights["bias"], second]
    if "weight_hr" in weights:
        flat.append(weights["weight_hr"])
    return flat


def _reversed_order(call: LayerCall) -> Tensor:
    """(T, B): the step that stands at place t when each row is reversed within its length; its own inverse."""
    steps = torch.arange(call.steps, device=call.x.device)[:, None]
    if call.lengths is None:
        return (call.steps - 1 - steps).expand(-1, call.x.shape[1])
    return torch.where(steps < call.lengths, call.lengths - 1 - steps, steps)


def _reorder(sequence: Tensor, order: Tensor) -> Tensor:
    """(T, B, F) with its steps taken in `order` (T, B)."""
    return torch.gather(sequence, 0, order.unsqueeze(-1).expand(-1, -1, sequence.shape[-1]))
