"""What dropout, zoneout and initialisation do: in training, in evaluation, and to the first weights."""

from typing import Any

import pytest
import torch
from torch import Tensor

from deeprnn import GRU, LSTM, Cell, DeepRNN, Elman

IDENTITY = Elman(64, "identity", bias=False, init="identity")


def ones(net: DeepRNN) -> DeepRNN:
    """Weights under which the arithmetic of a mask can be read off."""
    with torch.no_grad():
        for layer in net.recurrent_layers:
            layer.weight_xh.copy_(torch.eye(*layer.weight_xh.shape))
            layer.weight_hh.zero_()
    return net


def passed_up(net: DeepRNN, steps: int = 5) -> Tensor:
    """What the second layer receives when the first writes ones."""
    return ones(net)(torch.ones(steps, 3, 64)).hidden[1]


def test_plain_dropout_draws_a_mask_a_step() -> None:
    got = passed_up(DeepRNN(64, [IDENTITY, IDENTITY], dropout=0.5))
    assert set(got.unique().tolist()) == {0.0, 2.0}
    assert any(not torch.equal(got[0], step) for step in got[1:])


def test_variational_dropout_keeps_its_mask() -> None:
    got = passed_up(DeepRNN(64, [IDENTITY, IDENTITY], dropout=0.5, variational_dropout=True))
    assert set(got.unique().tolist()) == {0.0, 2.0}
    assert all(torch.equal(got[0], step) for step in got)
    assert not torch.equal(got[0, 0], got[0, 1])


def test_dropout_is_off_in_evaluation_and_outside_hidden() -> None:
    net = DeepRNN(64, [IDENTITY, IDENTITY], dropout=0.5)
    assert torch.equal(passed_up(net.eval()), torch.ones(5, 3, 64))
    assert torch.equal(ones(net.train())(torch.ones(5, 3, 64)).hidden[0], torch.ones(5, 3, 64))


def test_dropout_reaches_the_output_layer() -> None:
    net = ones(DeepRNN(64, [IDENTITY], 1, dropout=0.5))
    with torch.no_grad():
        net.output.weight.fill_(1 / 64)
    got = net(torch.ones(50, 1, 64)).output
    assert got.std() > 0.02
    assert abs(got.mean().item() - 1) < 0.1


@pytest.mark.parametrize("cell", [Elman, GRU, LSTM])
def test_recurrent_dropout_uses_one_mask(cell: type[Cell]) -> None:
    """With W_xh = 0, the gradient of a step's change in h_{t-1} is zero for the same units at every step."""
    net = DeepRNN(4, [Elman(32, "identity", recurrent_dropout=0.5, bias=False)])
    with torch.no_grad():
        net.recurrent_layers[0].weight_hh.copy_(torch.eye(32))
        net.recurrent_layers[0].weight_xh.zero_()
    state = net.initial_state(2).map(torch.ones_like)
    hidden = net(torch.zeros(4, 2, 4), state).hidden[0]
    # Each step multiplies by the same mask of zeros and twos.
    assert set(hidden[0].unique().tolist()) == {0.0, 2.0}
    for t in range(1, 4):
        torch.testing.assert_close(hidden[t], hidden[0] ** (t + 1))
    # And every cell trains with it.
    trained = DeepRNN(4, [cell(8, recurrent_dropout=0.5)])
    a, b = trained(torch.ones(3, 2, 4)).hidden[0], trained(torch.ones(3, 2, 4)).hidden[0]
    torch.testing.assert_close(a[0], b[0])
    assert not torch.equal(a[2], b[2])
    trained.eval()
    assert torch.equal(trained(torch.ones(3, 2, 4)).hidden[0], trained(torch.ones(3, 2, 4)).hidden[0])


def test_zoneout_keeps_a_share_of_the_units() -> None:
    net = ones(DeepRNN(64, [Elman(64, "identity", bias=False, zoneout=0.25)]))
    x = torch.arange(1.0, 41).reshape(40, 1, 1).expand(40, 8, 64)
    hidden = net(x).hidden[0]
    before = torch.cat([torch.zeros(1, 8, 64), hidden[:-1]])
    kept = hidden == before
    assert torch.equal(hidden[~kept], x[~kept])
    assert abs(kept.float().mean().item() - 0.25) < 0.02
    expected = torch.zeros(8, 64)
    for t, got in enumerate(net.eval()(x).hidden[0]):
        expected = 0.25 * expected + 0.75 * x[t]
        torch.testing.assert_close(got, expected)


def test_lstm_zoneout_of_c_does_not_touch_h_directly() -> None:
    """Krueger's equations: h comes from the c that the step computed, before zoneout."""
    net = DeepRNN(3, [LSTM(16, zoneout_cell=0.5)])
    x = torch.randn(1, 2, 3)
    plain = DeepRNN(3, [LSTM(16)])
    plain.load_state_dict(net.state_dict())
    torch.testing.assert_close(net(x).hidden[0], plain(x).hidden[0])
    c = net(x, return_cell_states=True).cell_states[0]
    assert ((c == 0) | torch.isclose(c, plain(x, return_cell_states=True).cell_states[0])).all()
    assert (c == 0).any()


@pytest.mark.parametrize("cell", [Elman(16), GRU(16), LSTM(16, direction="both")], ids=str)
def test_default_initialisation(cell: Cell) -> None:
    net = DeepRNN(8, [cell, cell])
    for layer in net.recurrent_layers:
        for name, parameter in layer.named_parameters():
            if name.startswith("weight_hh"):
                for gate in parameter.split(16):
                    torch.testing.assert_close(gate @ gate.T, torch.eye(16), rtol=0, atol=1e-5)
            elif name.startswith("weight_xh"):
                bound = (6 / (16 + layer.input_size)) ** 0.5
                assert 0.8 * bound < parameter.abs().max().item() <= bound
            elif name.startswith("bias") and isinstance(cell, LSTM):
                i, f, g, o = parameter.split(16)
                assert torch.equal(f, torch.ones(16))
                assert not torch.cat([i, g, o]).any()
            else:
                assert not parameter.any()


@pytest.mark.parametrize("init", ["orthogonal", "identity"])
def test_weights_that_read_symbols_start_at_one_half_whatever_their_number(init: Any) -> None:
    cell = Elman(64, "relu", init=init)
    net = DeepRNN(50, [cell, cell], input_to_all=True, one_hot=True)
    lower, upper = (layer.weight_xh.detach() for layer in net.recurrent_layers)
    assert lower.std().item() == pytest.approx(0.5, rel=0.1)
    assert upper[:, 64:].std().item() == pytest.approx(0.5, rel=0.1)
    assert upper[:, :64].abs().max().item() <= (6 / (64 + 64)) ** 0.5
    (_, apart) = DeepRNN(50, [cell, cell], one_hot=True).recurrent_layers
    assert apart.weight_xh.abs().max().item() <= (6 / (64 + 64)) ** 0.5
    (torchs,) = DeepRNN(50, [GRU(16, init="uniform")], one_hot=True).recurrent_layers
    assert torchs.weight_xh.abs().max().item() <= 0.25


def test_other_initialisations() -> None:
    (layer,) = DeepRNN(8, [GRU(16, init="uniform")]).recurrent_layers
    assert all(0.2 < p.abs().max().item() <= 0.25 for p in layer.parameters())
    (layer,) = DeepRNN(8, [Elman(16, "relu", init="identity")]).recurrent_layers
    assert torch.equal(layer.weight_hh, torch.eye(16))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_initialisation_in_other_dtypes(dtype: torch.dtype) -> None:
    (layer,) = DeepRNN(8, [GRU(16)], dtype=dtype).recurrent_layers
    gate = layer.weight_hh[:16].double()
    torch.testing.assert_close(
        gate @ gate.T, torch.eye(16).double(), rtol=0, atol=0.05 if dtype == torch.bfloat16 else 1e-12
    )


def test_learned_initial_state_is_where_it_begins_and_restarts() -> None:
    net = DeepRNN(3, [GRU(4, learn_initial=True)])
    with torch.no_grad():
        net.recurrent_layers[0].initial_h.copy_(torch.tensor([1.0, 2, 3, 4]))
    assert torch.equal(net.initial_state(2)[0].h, torch.tensor([1.0, 2, 3, 4]).expand(2, 4))
    x = torch.randn(1, 1, 3)
    first = net(x).hidden[0]
    later = net(torch.cat([torch.randn(4, 1, 3), x]), resets=torch.tensor([[0], [0], [0], [0], [1]]).bool()).hidden[0]
    torch.testing.assert_close(later[-1:], first)
    first.sum().backward()
    assert net.recurrent_layers[0].initial_h.grad.abs().sum() > 0
