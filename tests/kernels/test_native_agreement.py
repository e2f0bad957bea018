"""The compiled kernels against the reference in float64: every output and every gradient."""

from dataclasses import replace

import pytest
import torch
from drawn_calls import CELLS, Call, calls, errors, outcome, tensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deeprnn import GRU, LSTM, Cell, Elman
from deeprnn.activations import ACTIVATIONS
from deeprnn.kernels import aten

TOLERANCE = 2e-6
NEIGHBOURS = 16

many = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check(call: Call) -> None:
    """Every output and gradient within `TOLERANCE`, or twice the error of torch's own float32, norm-wise.

    Where a single number's error is a matter of luck (a sum whose terms cancel, a tanh at its end), luck is taken out:
    the root mean square of ours, over calls whose numbers differ by up to one part in 4096, against their largest.
    """
    truth = outcome(call, torch.float64, "reference")
    found = errors(outcome(call, torch.float32, "native"), truth)
    if max(found.values()) <= TOLERANCE:
        return
    spec = tensors(call, torch.float32).layer_call.spec()
    torchs = "reference" if aten.why_not(spec) else "aten"
    theirs = errors(outcome(call, torch.float32, torchs), truth)
    if all(error <= max(TOLERANCE, 2 * theirs[name]) for name, error in found.items()):
        return
    squares, largest = dict.fromkeys(found, 0.0), dict.fromkeys(found, TOLERANCE / 2)
    for neighbour in range(1, NEIGHBOURS + 1):
        exact = outcome(call, torch.float64, "reference", neighbour)
        ours = errors(outcome(call, torch.float32, "native", neighbour), exact, truth)
        theirs = errors(outcome(call, torch.float32, torchs, neighbour), exact, truth)
        squares = {name: square + ours[name] ** 2 for name, square in squares.items()}
        largest = {name: max(error, theirs[name]) for name, error in largest.items()}
    means = {name: (square / NEIGHBOURS) ** 0.5 for name, square in squares.items()}
    assert not {name: (mean, largest[name]) for name, mean in means.items() if mean > 2 * largest[name]}


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("cell", CELLS, ids=repr)
@given(data=st.data())
@many
def test_drawn_calls(cell: Cell, data: st.DataObject) -> None:
    check(data.draw(calls(cell)))


NAMES = list(ACTIVATIONS)
OTHER_GATES: list[Cell] = [
    replace(cell, activation=name, gate_activation=NAMES[(k + 5) % len(NAMES)])
    for k, name in enumerate(NAMES)
    for cell in (GRU(1), GRU(1, reset_after=False), LSTM(1))
]


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("cell", OTHER_GATES, ids=repr)
@given(data=st.data())
@settings(many, max_examples=8)
def test_gate_activations(cell: Cell, data: st.DataObject) -> None:
    """Short calls: a state that its gates do not keep within bounds soon leaves those of float32."""
    call = data.draw(calls(cell, longest=3))
    check(call)
    with torch.no_grad():
        check(call)


WIDE = [
    Call(Elman(257), T=3, B=1, I=300, seed=0),
    Call(Elman(64, "softplus"), T=40, B=33, I=17, seed=1, lengths=True),
    Call(GRU(130), T=5, B=2, I=129, seed=2, restarts=True),
    Call(GRU(96, reset_after=False), T=9, B=50, I=31, seed=3, reverse=True),
    Call(LSTM(200), T=4, B=8, I=200, seed=4, return_cell_states=True, reached=("hidden", "last", "cells")),
    Call(LSTM(31), T=150, B=3, I=5, seed=5, integers=True, lengths=True, restarts=True),
    Call(GRU(513), T=2, B=12, I=40, seed=6),
    Call(Elman(62), T=600, B=1, I=33, seed=7),
    Call(GRU(62), T=300, B=1, I=33, seed=8, restarts=True),
    Call(GRU(62, reset_after=False), T=300, B=1, I=33, seed=9, masked=True),
    Call(LSTM(62), T=200, B=1, I=33, seed=10, zoneout="rate", reverse=True, lengths=True),
    Call(LSTM(40), T=400, B=1, I=5, seed=11, integers=True),
    Call(LSTM(62, "elu", "hardsigmoid"), T=200, B=1, I=33, seed=12, masked=True),
    Call(GRU(130, activation="softsign", gate_activation="hardsigmoid"), T=20, B=2, I=129, seed=13, zoneout="masks"),
    Call(LSTM(130, peephole=True), T=20, B=2, I=129, seed=15, zoneout="rate", restarts=True, return_cell_states=True),
    Call(LSTM(40, peephole=True), T=70, B=33, I=17, seed=16, lengths=True, reverse=True),
    Call(LSTM(62, "silu", "tanh", peephole=True), T=150, B=1, I=33, seed=17),
    Call(GRU(257, False, "sin", "hardsigmoid"), T=9, B=3, I=31, seed=14, restarts=True),
]


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("call", WIDE, ids=lambda call: f"{call.cell!r} {call.T}x{call.B}x{call.I}")
def test_wide_and_long_calls(call: Call) -> None:
    check(call)
    with torch.no_grad():
        check(call)


def check_threads(call: Call) -> None:
    """Bitwise: what one thread computes, two and three compute."""
    found = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        found.append(outcome(call, torch.float32, "native"))
    for other in found[1:]:
        for name, part in found[0].items():
            assert torch.equal(part, other[name]), name


@pytest.mark.usefixtures("isa", "threads")
@given(call=calls(largest=70))
@many
def test_threads_change_nothing(call: Call) -> None:
    check_threads(call)


@pytest.mark.usefixtures("isa", "threads")
@pytest.mark.parametrize("call", WIDE, ids=lambda call: f"{call.cell!r} {call.T}x{call.B}x{call.I}")
def test_threads_change_nothing_in_wide_calls(call: Call) -> None:
    check_threads(call)
    with torch.no_grad():
        check_threads(call)


@pytest.mark.usefixtures("isa", "threads")
@given(call=calls())
@many
def test_inference(call: Call) -> None:
    """As near to the truth as training is, though by shorter ways, and bitwise on any number of threads."""
    with torch.no_grad():
        check(call)
        check_threads(call)
