"""`record`: runs a net and keeps what its layers computed."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from deeprnn.analysis.evaluation import evaluated
from deeprnn.analysis.interventions.edited_cell import own_cell
from deeprnn.analysis.recording.names import Name, matching
from deeprnn.analysis.recording.recording import Recording
from deeprnn.analysis.recording.storage import Block, allocate, bytes_per_step
from deeprnn.cells import Cell
from deeprnn.deep import DeepRNN
from deeprnn.inputs import Inputs, Lengths
from deeprnn.kernels import LayerCall, LayerOutput
from deeprnn.kernels.recompute import gates_of
from deeprnn.layer import RecurrentLayer
from deeprnn.state import DeepState, State
from deeprnn.stateforms import StateForm

CHUNK_BYTES = 64 << 20
"""About how much is recorded between two writes, where the sequence may be cut."""


def record(
    net: DeepRNN,
    x: Tensor | PackedSequence,
    names: str | Iterable[str] = ("layers.*.hidden",),
    state: StateForm | None = None,
    *,
    lengths: Lengths | None = None,
    resets: Tensor | None = None,
    directory: str | Path | None = None,
    in_memory: int = 2 << 30,
    chunk: int | None = None,
) -> Recording:
    """Runs a net over a sequence and keeps what its layers computed.

    The names, with the layer's index l as in the state_dict, `*` for any characters, and `_reverse` at the end for
    the second direction of a layer that runs both ways:

        layers.{l}.hidden     H^(l), the state itself: before residuals and before interventions on what is passed up
        layers.{l}.cell       the cell state, such as an LSTM's c_t
        layers.{l}.gate.{g}   a gate after its nonlinearity: i f g o of an LSTM, r z n of a GRU, h of an Elman layer
        layers.{l}.pre.{g}    the same before it

    Zoneout comes after the gates: with it, an Elman layer's gate h is not its hidden. The net runs as it is when
    evaluated (no dropout, zoneout's expectation) and is then put back into its mode; nothing is differentiated.
    Gates are recomputed from the states that the net's kernel left, all steps in one matrix product a layer, so the run
    itself stays fused. Of a cell that does not tell its gates (`Cell.gate_values`), there are the states.

    Args:
        net: the net.
        x, state, lengths, resets: as the net takes them.
        names: one name or several; `names_of(net)` lists them all.
        directory: where the values are written, one memory-mapped .npy file a kind; None for memory.
        in_memory: bytes; a larger recording goes to a temporary directory, which lasts as long as it.
        chunk: steps that are run at a time; None for as many as make about 64 MiB. A net with a layer that runs
            backwards is run whole.

    Returns:
        The values by name, each (batch, time, unit) on the CPU, zero beyond a row's length.

    Raises:
        ValueError: no such name (the message lists what there is), or an argument does not fit the net.
        TypeError: not a DeepRNN; for torch.nn.RNN, GRU and LSTM see `as_deep`.

    >>> from deeprnn import DeepRNN, LSTM
    >>> net = DeepRNN(3, [LSTM(4), LSTM(8)])
    >>> recording = record(net, torch.randn(5, 2, 3), ["layers.*.hidden", "layers.1.gate.f"])
    >>> {name: tuple(values.shape) for name, values in recording.items()}
    {'layers.0.hidden': (2, 5, 4), 'layers.1.hidden': (2, 5, 8), 'layers.1.gate.f': (2, 5, 8)}
    """
    if not isinstance(net, DeepRNN):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"record() takes a DeepRNN, not a {type(net).__name__}; see analysis.as_deep for torch.nn's.")
    wanted = matching(net, names)
    inputs, given = net.prepared(x, state, lengths=lengths, resets=resets)
    steps, batch = inputs.x.shape[:2]
    row = bytes_per_step(wanted, batch, net.dtype)
    keep = TemporaryDirectory(prefix="deeprnn-recording-") if directory is None and row * steps > in_memory else None
    place = Path(keep.name) if keep else None if directory is None else Path(directory)
    blocks = allocate(wanted, batch, steps, net.dtype, place)
    with torch.no_grad(), evaluated(net):
        after = _run(net, inputs, given, wanted, blocks, _chunk(net, chunk, row, steps))
    return Recording(blocks, inputs.restore_state(after), keep=keep)


def _chunk(net: DeepRNN, asked: int | None, row: int, steps: int) -> int:
    backwards = [index for index, cell in enumerate(net.cells) if cell.direction != "forward"]
    if asked is not None and asked < 1:
        raise ValueError(f"chunk={asked}: the steps that are run at a time, at least 1.")
    if backwards and asked is not None and asked < steps:
        raise ValueError(
            f"chunk={asked}: layer {backwards[0] + 1} (layers.{backwards[0]}) runs backwards, from the last step on, "
            f"so the {steps} steps can't be cut; leave chunk out."
        )
    whole = max(steps, 1)
    return whole if backwards else min(asked or max(CHUNK_BYTES // max(row, 1), 16), whole)


def _run(
    net: DeepRNN,
    inputs: Inputs,
    given: Sequence[State | None],
    wanted: Sequence[Name],
    blocks: Mapping[str, Block],
    chunk: int,
) -> DeepState:
    """The net in pieces of `chunk` steps, each layer's values put into their blocks as it has run."""
    state, start = given, 0
    steps = inputs.x.shape[0]
    needs_cell_states = any(_needs_cell_states(name, net.cells[name.layer]) for name in wanted)
    while True:
        piece = slice(start, min(start + chunk, steps))
        with _taps(net, wanted, blocks, piece):
            state = net(
                _axes(net, inputs.x[piece]),
                state,
                lengths=None if inputs.lengths is None else (inputs.lengths - start).clamp(0, piece.stop - start),
                resets=None if inputs.resets is None else _axes(net, inputs.resets[piece]),
                return_cell_states=needs_cell_states,
            ).state
        start = piece.stop
        if start >= steps:
            return state


def _axes(net: DeepRNN, sequence: Tensor) -> Tensor:
    return sequence.transpose(0, 1) if net.batch_first else sequence


def _needs_cell_states(name: Name, cell: Cell) -> bool:
    return name.quantity == "cell" or (bool(name.gate) and cell.cell_state in cell.gates_read)


@contextmanager
def _taps(net: DeepRNN, wanted: Sequence[Name], blocks: Mapping[str, Block], piece: slice) -> Generator[None]:
    handles = [
        # Before the hooks of interventions: what is recorded is the layer's own.
        layer.register_forward_hook(_tap(of_layer, blocks, piece), with_kwargs=True, prepend=True)
        for index, layer in enumerate(net.recurrent_layers)
        if (of_layer := [name for name in wanted if name.layer == index])
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tap(names: Sequence[Name], blocks: Mapping[str, Block], piece: slice) -> Callable[..., None]:
    def keep(layer: RecurrentLayer, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: LayerOutput) -> None:
        calls = layer.calls(*args, lengths=kwargs["lengths"], resets=kwargs["resets"])
        for direction, call in enumerate(calls):
            mine = [name for name in names if name.reverse == bool(direction)]
            for name, values in _values(call, direction, mine, result):
                blocks[name.kind].of_layer(name.layer)[:, piece] = values.transpose(0, 1)

    return keep


def _values(
    call: LayerCall, direction: int, names: Sequence[Name], result: LayerOutput
) -> Iterator[tuple[Name, Tensor]]:
    """Each name with its (T, B, H)."""
    cell = call.cell = own_cell(call.cell)
    hidden, cell_states = _of_direction(result.hidden, cell, "h", direction), result.cell_states
    if cell_states is not None and cell.cell_state is not None:
        cell_states = _of_direction(cell_states, cell, cell.cell_state, direction)
    gates = gates_of(call, hidden, cell_states) if any(name.gate for name in names) else {}
    for name in names:
        if name.quantity == "hidden":
            yield name, hidden
        elif name.quantity == "cell":
            assert cell_states is not None
            yield name, cell_states
        else:
            gate = gates[name.gate]
            yield name, gate.pre if name.quantity == "pre" else gate.value


def _of_direction(values: Tensor, cell: Cell, state: str, direction: int) -> Tensor:
    width = cell.state_sizes[state]
    return values[..., direction * width : (direction + 1) * width]
