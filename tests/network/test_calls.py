"""What a call may bring: axes, empty and unbatched input, PackedSequence, dtypes; and what it refuses."""

import re

import pytest
import torch
from compare import randomise
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

from deeprnn import GRU, LSTM, DeepRNN, DeepState, Elman, State, kernels

CELLS = [Elman(3, "softplus"), GRU(4, direction="both"), LSTM(5)]


def build(**options: bool) -> DeepRNN:
    return randomise(DeepRNN(6, CELLS, 2, dtype=torch.float64, **options))


def sequence(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def assert_equal_states(a: DeepState, b: DeepState) -> None:
    for p, q in zip(torch.utils._pytree.tree_leaves(a), torch.utils._pytree.tree_leaves(b), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-14)


def test_batch_first() -> None:
    net, other = build(), build(batch_first=True)
    x, resets, lengths = sequence(7, 3, 6), torch.rand(7, 3) < 0.3, torch.tensor([7, 2, 0])
    a = net(x, lengths=lengths, resets=resets, return_cell_states=True)
    b = other(x.transpose(0, 1), lengths=lengths, resets=resets.T, return_cell_states=True)
    torch.testing.assert_close(b.output, a.output.transpose(0, 1), rtol=0, atol=0)
    for p, q in zip(a.hidden, b.hidden, strict=True):
        torch.testing.assert_close(q, p.transpose(0, 1), rtol=0, atol=0)
    assert a.cell_states[:2] == b.cell_states[:2] == (None, None)
    torch.testing.assert_close(b.cell_states[2], a.cell_states[2].transpose(0, 1), rtol=0, atol=0)
    assert_equal_states(a.state, b.state)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("integers", [False, True])
def test_unbatched(batch_first: bool, integers: bool) -> None:
    net = build(batch_first=batch_first)
    x = torch.tensor([0, 5, 3, 1]) if integers else sequence(4, 6)
    resets = torch.tensor([False, True, False, False])
    state = net.initial_state().map(torch.ones_like)
    alone = net(x, state, resets=resets)
    batch = build()(x.unsqueeze(1), state.map(lambda s: s.unsqueeze(0)), resets=resets.unsqueeze(1))
    assert alone.output.shape == (4, 2)
    torch.testing.assert_close(alone.output, batch.output.squeeze(1), rtol=0, atol=0)
    assert alone.state[2].c.shape == (5,)
    assert_equal_states(alone.state, batch.state.rows(0))


@pytest.mark.parametrize(("steps", "rows"), [(0, 3), (4, 0), (0, 0)])
@pytest.mark.parametrize("integers", [False, True])
def test_empty(steps: int, rows: int, integers: bool) -> None:
    net = build()
    x = torch.zeros(steps, rows, dtype=torch.long) if integers else sequence(steps, rows, 6)
    state = net.initial_state(rows).map(torch.ones_like)
    result = net(
        x, state, lengths=torch.zeros(rows, dtype=torch.long), resets=torch.zeros(steps, rows, dtype=torch.bool)
    )
    assert result.output.shape == (steps, rows, 2)
    assert [h.shape for h in result.hidden] == [(steps, rows, 3), (steps, rows, 8), (steps, rows, 5)]
    assert_equal_states(result.state, state)
    result.output.sum().backward()


def test_length_zero_gives_back_the_state_and_the_output_bias() -> None:
    net = build()
    state = net.initial_state(2).map(torch.ones_like)
    result = net(sequence(3, 2, 6), state, lengths=[0, 3])
    assert_equal_states(result.state.rows(0), state.rows(0))
    torch.testing.assert_close(result.output[:, 0], net.output.bias.expand(3, 2), rtol=0, atol=0)


@pytest.mark.parametrize("sort", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_packed_sequence(sort: bool, batch_first: bool) -> None:
    net = build(batch_first=batch_first)
    x, lengths = sequence(7, 3, 6), torch.tensor([7, 4, 2] if sort else [4, 2, 7])
    packed = pack_padded_sequence(x, lengths, enforce_sorted=sort)
    got, expected = net(packed), build()(x, lengths=lengths)
    torch.testing.assert_close(got.output, expected.output, rtol=0, atol=0)
    assert_equal_states(got.state, expected.state)


def test_packed_integers() -> None:
    net = build()
    rows = [torch.tensor([5, 0, 2]), torch.tensor([1])]
    got = net(pack_sequence(rows))
    torch.testing.assert_close(got.output[:, 0], net(rows[0]).output, rtol=0, atol=1e-14)
    torch.testing.assert_close(got.output[:1, 1], net(rows[1]).output, rtol=0, atol=1e-14)


@pytest.mark.parametrize("seed", range(8))
def test_steps_beyond_a_length_change_nothing(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    net, lengths = build(), torch.randint(0, 10, (3,), generator=generator)
    beyond = torch.arange(9)[:, None] >= lengths
    x = torch.randn(9, 3, 6, dtype=torch.float64, generator=generator)
    resets = torch.rand(9, 3, generator=generator) < 0.2
    noise = torch.rand(9, 3, generator=generator) < 0.5
    a = net(x, lengths=lengths, resets=resets & ~beyond)
    b = net(
        x.masked_fill(beyond.unsqueeze(-1), float("nan")), lengths=lengths, resets=torch.where(beyond, noise, resets)
    )
    torch.testing.assert_close(a.output, b.output, rtol=0, atol=0)
    for p, q in zip(torch.utils._pytree.tree_leaves(a.state), torch.utils._pytree.tree_leaves(b.state), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kernel", [None, "reference"])
def test_dtypes(dtype: torch.dtype, kernel: str | None) -> None:
    exact = build()
    net = DeepRNN(6, CELLS, 2, dtype=dtype)
    net.load_state_dict(exact.state_dict())
    x = sequence(5, 3, 6)
    if kernel:
        with kernels.force(kernel):
            result = net(x.to(dtype))
    else:
        result = net(x.to(dtype))
    assert result.output.dtype == result.state[2].c.dtype == dtype
    loose = {torch.float32: 1e-5, torch.float64: 1e-13, torch.bfloat16: 0.15}[dtype]
    torch.testing.assert_close(result.output.double(), exact(x).output, rtol=loose, atol=loose)
    result.output.float().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == dtype for p in net.parameters())


def test_autocast_gives_its_dtype_from_every_cell() -> None:
    net = DeepRNN(6, CELLS, 2)
    with torch.autocast("cpu", torch.bfloat16):
        result = net(torch.randn(5, 3, 6))
    assert {h.dtype for h in result.hidden} == {torch.bfloat16}
    assert {s.dtype for s in torch.utils._pytree.tree_leaves(result.state)} == {torch.bfloat16}
    result.output.sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in net.parameters())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: n(torch.zeros(35, 20, 64).double()), "64 features, but this DeepRNN(input_size=6) reads 6"),
        (lambda n: n(torch.zeros(2, 3, 4, 6).double()), "4 axes"),
        (lambda n: n(torch.zeros(4, 2, 6)), "net's weights are|DeepRNN's weights are torch.float64"),
        (lambda n: n(torch.zeros(4, 2, dtype=torch.bool)), "dtype torch.bool"),
        (lambda n: n(torch.zeros(4, 2, 6, dtype=torch.long)), "integers are read as one-hot and have no feature axis"),
        (lambda n: n(torch.full((4, 2), 6)), "integers from 6 to 6"),
        (lambda n: n(torch.full((4, 2), -1)), "integers from -1 to -1"),
        (lambda n: n(sequence(4, 2, 6), lengths=[4]), "lengths has shape (1,), expected (B,) = (2,)"),
        (lambda n: n(sequence(4, 2, 6), lengths=[4, 5]), "x has T=4 steps"),
        (lambda n: n(sequence(4, 2, 6), lengths=[4.0, 3.0]), "one whole number"),
        (lambda n: n(sequence(4, 2, 6), resets=torch.zeros(4, 2)), "expected torch.bool"),
        (lambda n: n(sequence(4, 2, 6), resets=torch.zeros(2, 4, dtype=torch.bool)), "resets has shape (2, 4)"),
        (lambda n: n(sequence(4, 2, 6), n.initial_state(3)), "state[0].h has shape (3, 3), expected (B, H) = (2, 3)"),
        (lambda n: n(sequence(4, 2, 6), [State(torch.zeros(2, 3))]), "state has 1 layers, but this DeepRNN has 3"),
        (lambda n: n(sequence(4, 2, 6), State(torch.zeros(2, 3))), "one layer's State"),
        (lambda n: n(sequence(4, 2, 6), [State(sequence(2, 3))] * 3), "state[1] holds h, but layer 2 (layers.1)"),
        (lambda n: n(pack_sequence([sequence(4, 6)]), lengths=[4]), "PackedSequence, which has lengths of its own"),
    ],
)
def test_errors_restate_the_call(call, message: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        call(build())
    assert re.search(re.escape(message) if "|" not in message else message, str(caught.value)), str(caught.value)


@pytest.mark.parametrize(
    ("build_it", "message"),
    [
        (lambda: DeepRNN(0, [GRU(3)]), "DeepRNN(input_size) must be a whole number of at least 1, got 0"),
        (lambda: DeepRNN(3, []), "at least one cell"),
        (lambda: DeepRNN(3, GRU(4)), "DeepRNN(layers=GRU(4)): give a list of cells"),
        (lambda: DeepRNN(3, None), "DeepRNN(layers=None): give a list of cells"),
        (lambda: DeepRNN(3.0, [GRU(4)]), "must be a whole number of at least 1, got 3.0"),
        (lambda: DeepRNN(3, [GRU(4)], "5"), "must be a whole number of at least 1, got '5'"),
        (lambda: DeepRNN(True, [GRU(4)]), "must be a whole number of at least 1, got True"),
        (lambda: DeepRNN(3, [GRU(4)], dropout="0.1"), "must be in [0, 1), got '0.1'"),
        (lambda: DeepRNN(3, [GRU(4)], dropout=float("nan")), "must be in [0, 1), got nan"),
        (lambda: DeepRNN(3, [GRU(4)], residual="no"), "DeepRNN(residual) must be True or False, got 'no'"),
        (lambda: LSTM(3, layer_norm="no"), "LSTM(layer_norm) must be True or False, got 'no'"),
        (lambda: DeepRNN(3, [64]), "layers[0] is 64, expected a cell"),
        (lambda: DeepRNN(3, [GRU(3)], 0), "DeepRNN(output_size) must be a whole number of at least 1, got 0"),
        (lambda: DeepRNN(3, [GRU(3)], dropout=1.0), "DeepRNN(dropout) must be in [0, 1), got 1.0"),
        (lambda: DeepRNN(3, [GRU(3), GRU(4)], residual=True), "the layers write 3, 4 features"),
        (lambda: GRU(0), "hidden_size"),
        (lambda: GRU(2.5), "hidden_size"),
        (lambda: Elman(3, "tahn"), "names: tanh, relu"),
        (lambda: Elman(3, 7), "neither a name nor a function"),
        (lambda: LSTM(3, zoneout_cell=1.5), "LSTM(zoneout_cell) must be in [0, 1), got 1.5"),
        (lambda: GRU(3, direction="backward"), "'forward', 'reverse', 'both'"),
        (lambda: GRU(3, init="xavier"), "'orthogonal', 'uniform', 'identity'"),
    ],
)
def test_building_errors(build_it, message: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        build_it()
    assert message in str(caught.value)
