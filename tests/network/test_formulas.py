"""Every state and output equals the independent computation of the formulas, in float64 to 1e-12."""

import numpy as np
import pytest
import torch
from compare import assert_same, oracle_result, randomise, result_arrays, some_state
from hypothesis import given
from hypothesis import strategies as st

from deeprnn import (
    GRU,
    LSTM,
    RGLRU,
    SLSTM,
    DeepRNN,
    DeepState,
    Elman,
    IndRNN,
    LiGRU,
    MinGRU,
    MinLSTM,
    kernels,
)
from deeprnn.activations import ACTIVATIONS

STACKS = {
    "elman-3": [Elman(3)],
    "elman-relu-7-softplus-5": [Elman(7, "relu"), Elman(5, "softplus")],
    "gru-5": [GRU(5)],
    "gru-reset-before-5": [GRU(5, reset_after=False)],
    "lstm-5": [LSTM(5)],
    "mixed-elman-gru-lstm": [Elman(4, "tanh"), GRU(7), LSTM(3), Elman(5, "sin")],
    "both-directions": [GRU(3, direction="both"), LSTM(4, direction="both"), Elman(2, direction="both")],
    "reverse": [Elman(3, direction="reverse"), LSTM(3, direction="reverse"), GRU(4, direction="reverse")],
    "learned-initial": [GRU(3, learn_initial=True), LSTM(3, learn_initial=True, direction="both")],
    "no-bias": [Elman(3, bias=False), GRU(4, bias=False), LSTM(2, bias=False)],
    "layer-norm": [Elman(5, layer_norm=True), GRU(4, layer_norm=True), LSTM(3, layer_norm=True)],
    "layer-norm-reset-before": [GRU(4, layer_norm=True, reset_after=False, direction="both")],
    "zoneout-in-evaluation": [LSTM(3, zoneout=0.2, zoneout_cell=0.4), GRU(3, zoneout=0.3), Elman(2, zoneout=0.1)],
    "indrnn": [IndRNN(5), IndRNN(3, "tanh", direction="both", layer_norm=True, zoneout=0.2)],
    "ligru": [LiGRU(5), LiGRU(3, direction="both", layer_norm=True, learn_initial=True), LiGRU(4, bias=False)],
    "mingru": [MinGRU(5), MinGRU(3, positive=True, direction="both", learn_initial=True), MinGRU(4, bias=False)],
    "mingru-options": [MinGRU(4, layer_norm=True, zoneout=0.3), MinGRU(2, direction="reverse")],
    "minlstm": [MinLSTM(5), MinLSTM(3, positive=True, direction="both", learn_initial=True), MinLSTM(4, bias=False)],
    "minlstm-options": [MinLSTM(4, layer_norm=True, zoneout=0.3), MinLSTM(2, direction="reverse")],
    "rglru": [RGLRU(5), RGLRU(3, direction="both", learn_initial=True), RGLRU(4, bias=False)],
    "rglru-options": [RGLRU(4, layer_norm=True, zoneout=0.3), RGLRU(2, direction="reverse")],
    "slstm": [SLSTM(5), SLSTM(4, direction="both", zoneout=0.2), SLSTM(3, bias=False, direction="reverse")],
    "slstm-heads": [SLSTM(6, heads=3), SLSTM(4, heads=2, layer_norm=True), SLSTM(2, heads=2, forget_gate="exp")],
    "peephole": [LSTM(5, peephole=True), LSTM(3, "elu", peephole=True, direction="both", zoneout_cell=0.2)],
    "projected": [LSTM(5, proj_size=3), LSTM(4, proj_size=1, direction="both"), LSTM(4, proj_size=3, zoneout=0.3)],
    "peephole-projected-normed": [LSTM(5, peephole=True, proj_size=2, layer_norm=True, bias=False)],
    "other-gates": [LSTM(3, "softsign", "hardsigmoid"), GRU(4, activation="relu", gate_activation="hardsigmoid")],
}

OPTIONS = {
    "plain": {},
    "input-to-all": {"input_to_all": True},
    "output-from-all": {"output_from_all": True},
    "both-options": {"input_to_all": True, "output_from_all": True},
}


def build(stack: str, **options: bool) -> DeepRNN:
    return randomise(DeepRNN(6, STACKS[stack], 4, dtype=torch.float64, **options)).eval()


def batch(steps: int = 9, rows: int = 4, seed: int = 1) -> tuple[torch.Tensor, list[int], torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(steps, rows, 6, dtype=torch.float64, generator=generator)
    lengths = [steps, 0, 5, 1][:rows]
    resets = torch.rand(steps, rows, generator=generator) < 0.25
    return x, lengths, resets


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("stack", STACKS)
def test_stack_equals_formulas(stack: str, options: str) -> None:
    net = build(stack, **OPTIONS[options])
    x, lengths, resets = batch()
    got = net(x, lengths=lengths, resets=resets, return_cell_states=True)
    expected = oracle_result(net, x.numpy(), lengths=lengths, resets=resets.numpy())
    assert_same(result_arrays(got, net.cells), expected)


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("with_lengths", [False, True], ids=["full", "lengths"])
@pytest.mark.parametrize("with_resets", [False, True], ids=["one-document", "resets"])
@pytest.mark.parametrize("kernel", [None, "reference"])
def test_given_state(stack: str, with_lengths: bool, with_resets: bool, kernel: str | None) -> None:
    net = build(stack)
    x, lengths, resets = batch()
    state = some_state(net, 4)
    call = {"lengths": lengths} if with_lengths else {}
    call |= {"resets": resets} if with_resets else {}
    if kernel is None:
        got = net(x, state, **call)
    else:
        with kernels.force(kernel):
            got = net(x, state, **call)
    expected = oracle_result(
        net,
        x.numpy(),
        state=state,
        lengths=lengths if with_lengths else None,
        resets=resets.numpy() if with_resets else None,
    )
    expected = {name: value for name, value in expected.items() if not name.startswith("cells")}
    assert_same(result_arrays(got, net.cells), expected)


@pytest.mark.parametrize("phi", ACTIVATIONS)
def test_every_activation(phi: str) -> None:
    net = randomise(DeepRNN(6, [Elman(5, phi)], dtype=torch.float64))
    x, _, _ = batch(steps=4)
    assert_same(result_arrays(net(x), net.cells), oracle_result(net, x.numpy()))
    net = randomise(DeepRNN(6, [LSTM(3, activation=phi), GRU(4, activation=phi)], dtype=torch.float64))
    assert_same(result_arrays(net(x, return_cell_states=True), net.cells), oracle_result(net, x.numpy()))


@pytest.mark.parametrize("sigma", ["sigmoid", "hardsigmoid", "hardtanh", "softsign", "sin"])
def test_gate_activations(sigma: str) -> None:
    net = randomise(DeepRNN(6, [LSTM(3, gate_activation=sigma), GRU(4, gate_activation=sigma)], dtype=torch.float64))
    x, _, _ = batch(steps=4)
    assert_same(result_arrays(net(x, return_cell_states=True), net.cells), oracle_result(net, x.numpy()))


@pytest.mark.parametrize("cell", [Elman(5), GRU(5), LSTM(5), LSTM(5, direction="both", layer_norm=True)], ids=str)
def test_residual(cell: Elman | GRU | LSTM) -> None:
    net = randomise(DeepRNN(6, [cell] * 3, 4, residual=True, output_from_all=True, dtype=torch.float64))
    x, lengths, resets = batch()
    expected = oracle_result(net, x.numpy(), lengths=lengths, resets=resets.numpy())
    assert_same(result_arrays(net(x, lengths=lengths, resets=resets, return_cell_states=True), net.cells), expected)


@pytest.mark.parametrize("stack", ["mixed-elman-gru-lstm", "layer-norm", "both-directions"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64], ids=str)
@pytest.mark.parametrize("options", OPTIONS)
def test_integers_are_one_hot(stack: str, dtype: torch.dtype, options: str) -> None:
    net = build(stack, **OPTIONS[options])
    _, lengths, resets = batch()
    x = torch.randint(6, (9, 4), dtype=dtype, generator=torch.Generator().manual_seed(3))
    one_hot = np.eye(6)[x.long().numpy()]
    expected = oracle_result(net, one_hot, lengths=lengths, resets=resets.numpy())
    assert_same(result_arrays(net(x, lengths=lengths, resets=resets, return_cell_states=True), net.cells), expected)


@given(data=st.data())
def test_drawn_stacks(data: st.DataObject) -> None:
    """Stacks, sizes, lengths and resets that hypothesis draws."""
    direction = st.sampled_from(["forward", "reverse", "both"])
    width = st.integers(1, 6)
    cell = st.one_of(
        st.builds(Elman, width, st.sampled_from(sorted(ACTIVATIONS)), direction=direction, layer_norm=st.booleans()),
        st.builds(GRU, width, st.booleans(), direction=direction, learn_initial=st.booleans(), bias=st.booleans()),
        st.builds(LSTM, width, direction=direction, learn_initial=st.booleans(), zoneout_cell=st.floats(0, 0.9)),
    )
    stack = data.draw(st.lists(cell, min_size=1, max_size=4))
    steps, rows = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
    lengths = data.draw(st.lists(st.integers(0, steps), min_size=rows, max_size=rows))
    seed = data.draw(st.integers(0, 2**16))
    net = randomise(DeepRNN(3, stack, 2, dtype=torch.float64), seed).eval()
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(steps, rows, 3, dtype=torch.float64, generator=generator)
    resets = torch.rand(steps, rows, generator=generator) < 0.3
    # A relu or an identity may grow from step to step: the bound is relative to the largest value.
    expected = oracle_result(net, x.numpy(), lengths=lengths, resets=resets.numpy())
    largest = max([1.0, *(float(np.abs(value).max(initial=0)) for value in expected.values())])
    got = result_arrays(net(x, lengths=lengths, resets=resets, return_cell_states=True), net.cells)
    assert_same(got, expected, 1e-12 * largest)


def test_states_chain() -> None:
    """A sequence in two calls, the second from the first one's state, is the sequence in one call."""
    net = build("mixed-elman-gru-lstm")
    x, _, _ = batch(steps=9)
    whole, first = net(x), net(x[:4])
    second = net(x[4:], first.state)
    for before, after, expected in zip(first.hidden, second.hidden, whole.hidden, strict=True):
        torch.testing.assert_close(torch.cat([before, after]), expected, rtol=0, atol=1e-13)
    assert isinstance(second.state, DeepState)
    torch.testing.assert_close(second.state[2].c, whole.state[2].c, rtol=0, atol=1e-13)


def _without_cells(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value for name, value in found.items() if not name.startswith("cells")}
