"""What is particular to a cell: how its weights start, its extremes, the options it refuses."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from compare import array, randomise
from oracle import Layer
from oracle_cells import slstm_unstabilised

from deeprnn import RGLRU, SLSTM, Cell, DeepRNN, IndRNN, LiGRU, MinGRU, MinLSTM, draw
from deeprnn.analysis import add, names_of, record

EVERY = [IndRNN(6), LiGRU(6), MinGRU(6), MinLSTM(6, positive=True), RGLRU(6), SLSTM(6, heads=3)]


def only_layer(net: DeepRNN):
    (layer,) = net.recurrent_layers
    return layer


@pytest.mark.parametrize("cell", EVERY, ids=repr)
def test_saved_recorded_and_drawn(cell: Cell, tmp_path: Path) -> None:
    """A cell is known to the whole package by what its class says."""
    net = randomise(DeepRNN(3, [dataclasses.replace(cell, direction="both", layer_norm=True), cell], 2)).eval()
    net.save(tmp_path)
    loaded = DeepRNN.load(tmp_path).eval()
    x = torch.randn(20, 3, 3)
    assert loaded.cells == net.cells
    assert torch.equal(loaded(x).output, net(x).output)
    recording = record(net, x, ["*"])
    for gate in cell.gates:
        assert recording[f"layers.1.gate.{gate}"].shape == (3, 20, 6)
    assert any("reverse" in str(name) and name.gate for name in names_of(net))
    assert type(cell).__name__ in draw(net).svg
    assert type(cell).__name__ in net.summary()


@pytest.mark.parametrize("cell", EVERY, ids=repr)
def test_gates_are_what_the_state_is_made_of(cell: Cell) -> None:
    """The recorded gates give the recorded hidden by the cell's formula."""
    net = randomise(DeepRNN(3, [cell], dtype=torch.float64)).eval()
    x = torch.randn(9, 1, 3, dtype=torch.float64)
    recording = record(net, x, ["*"])
    hidden = recording["layers.0.hidden"]
    gate = {name: recording[f"layers.0.gate.{name}"] for name in cell.gates}
    before = torch.cat([torch.zeros_like(hidden[:, :1]), hidden[:, :-1]], dim=1)
    if isinstance(cell, IndRNN):
        made = gate["h"]
    elif isinstance(cell, LiGRU):
        made = gate["z"] * before + (1 - gate["z"]) * gate["n"]
    elif isinstance(cell, MinGRU):
        made = (1 - gate["z"]) * before + gate["z"] * gate["n"]
    elif isinstance(cell, MinLSTM):
        made = gate["f"] * before + gate["i"] * gate["n"]
    elif isinstance(cell, RGLRU):
        a = torch.sigmoid(only_layer(net).decay_logit.detach()) ** (8 * gate["r"])
        made = a * before + (1 - a**2).sqrt() * gate["i"] * gate["u"]
    else:
        c = n = torch.zeros(1, 6, dtype=torch.float64)
        steps = []
        for t in range(9):
            c = gate["f"][:, t] * c + gate["i"][:, t] * gate["z"][:, t]
            n = gate["f"][:, t] * n + gate["i"][:, t]
            steps.append(gate["o"][:, t] * c / n)
        made = torch.stack(steps, dim=1)
    torch.testing.assert_close(made, hidden, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("cell", EVERY, ids=repr)
def test_an_intervention_acts_on_its_state(cell: Cell) -> None:
    """Adding nothing changes nothing; adding something at every step is the step from that state."""
    net = randomise(DeepRNN(3, [cell], dtype=torch.float64)).eval()
    x = torch.randn(9, 2, 3, dtype=torch.float64)
    plain = net(x)
    with add(net, 0, 0.0, where="state"):
        torch.testing.assert_close(net(x).hidden[0], plain.hidden[0], rtol=0, atol=1e-12)
    with add(net, 0, 0.5, where="state"):
        changed = net(x)
    state, steps = None, []
    for t in range(9):
        after = net(x[t : t + 1], state).state[0]
        state = [after.replace(h=after.h + 0.5)]
        steps.append(state[0].h)
    torch.testing.assert_close(changed.hidden[0], torch.stack(steps), rtol=0, atol=1e-12)


@pytest.mark.parametrize("longest", [0, 1, 784])
def test_indrnn_starts_in_the_papers_range(longest: int) -> None:
    layer = only_layer(DeepRNN(3, [IndRNN(4000, longest=longest)]))
    bound = 2 ** (1 / longest) if longest else 1.0
    assert 0 <= layer.weight_hh.min().item() < 0.01 * bound
    assert 0.99 * bound < layer.weight_hh.max().item() <= bound
    assert layer.weight_hh.mean().item() == pytest.approx(bound / 2, rel=0.05)
    assert torch.equal(only_layer(DeepRNN(3, [IndRNN(4, init="identity")])).weight_hh, torch.ones(4))
    assert only_layer(DeepRNN(3, [IndRNN(16, init="uniform")])).weight_hh.abs().max().item() <= 0.25


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("init", ["orthogonal", "uniform"])
def test_rglru_starts_remembering(init: str, dtype: torch.dtype) -> None:
    """sigma(Lambda)^8 is uniform in 0.9..0.999."""
    layer = only_layer(DeepRNN(3, [RGLRU(4000, init=init)], dtype=dtype))
    decay = torch.sigmoid(layer.decay_logit.detach().double()) ** 8
    slack = 0.003 if dtype == torch.bfloat16 else 1e-6
    assert 0.9 - slack <= decay.min().item() < 0.901 + slack
    assert 0.998 - slack < decay.max().item() <= 0.999 + slack
    assert decay.mean().item() == pytest.approx((0.9 + 0.999) / 2, abs=0.002)


def test_slstm_starts_a_block_at_a_time() -> None:
    layer = only_layer(DeepRNN(3, [SLSTM(12, heads=3)]))
    for block in layer.weight_hh.detach().split(4):
        torch.testing.assert_close(block @ block.T, torch.eye(4), rtol=0, atol=1e-5)
    i, f, z, o = layer.bias.detach().split(12)
    assert torch.equal(f, torch.ones(12))
    assert not torch.cat([i, z, o]).any()
    assert only_layer(DeepRNN(3, [SLSTM(16, init="uniform")])).bias.abs().max().item() <= 0.25


def test_slstm_heads_are_blocks_of_a_diagonal() -> None:
    torch.manual_seed(0)
    blocks, dense = (DeepRNN(3, [SLSTM(6, heads=heads)], dtype=torch.float64) for heads in (3, 1))
    weights = dict(blocks.state_dict())
    gates = weights["layers.0.weight_hh"].split(6)
    weights["layers.0.weight_hh"] = torch.cat([torch.block_diag(*gate.split(2)) for gate in gates])
    dense.load_state_dict(weights)
    x = torch.randn(7, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(blocks(x).hidden[0], dense(x).hidden[0], rtol=0, atol=1e-13)


@pytest.mark.parametrize("forget_gate", ["sigmoid", "exp"])
def test_slstm_is_what_it_stabilises(forget_gate: str) -> None:
    """h, and c and n times exp(m), are those of the equations without m."""
    net = randomise(DeepRNN(3, [SLSTM(4, forget_gate=forget_gate)], dtype=torch.float64))
    layer = only_layer(net)
    oracle = Layer("SLSTM", {name: array(weight) for name, weight in layer.named_parameters()})
    x = torch.randn(12, 1, 3, dtype=torch.float64)
    state = {name: np.zeros(4) for name in ("h", "c", "n")}
    for t in range(12):
        state = slstm_unstabilised(oracle.weights, {"forget_gate": forget_gate}, x[t, 0].numpy(), state)
    found = net(x).state[0]
    np.testing.assert_allclose(array(found.h[0]), state["h"], rtol=1e-12)
    for name in ("c", "n"):
        np.testing.assert_allclose(array((found.parts[name] * found.m.exp())[0]), state[name], rtol=1e-11)


@pytest.mark.parametrize("cell", EVERY[1:], ids=repr)
@pytest.mark.parametrize("scale", [1e3, 1e5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_saturated_gates_stay_numbers(cell: Cell, scale: float, dtype: torch.dtype) -> None:
    """Arguments of exponentials far beyond their range: values, first and second derivatives are finite."""
    if isinstance(cell, LiGRU):
        cell = dataclasses.replace(cell, activation="tanh")  # relu may grow without bound
    net = randomise(DeepRNN(3, [cell], dtype=dtype))
    x = (scale * torch.randn(12, 4, 3, dtype=dtype)).requires_grad_()
    result = net(x)
    gradients = torch.autograd.grad(result.hidden[0].sum(), [x, *net.parameters()], create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in gradients), [x, *net.parameters()])
    for part in (*result.hidden, *result.state[0].parts.values(), *gradients, *second):
        assert part.isfinite().all()


def test_slstm_begins_with_what_it_is_given_however_small() -> None:
    """An input gate of exp(-1000) at the first step: c / n is z, not 0 / 0."""
    net = DeepRNN(1, [SLSTM(1)])
    layer = only_layer(net)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        layer.weight_xh.copy_(torch.tensor([[-1000.0], [0], [1], [0]]))
    h = net(torch.ones(1, 1, 1)).hidden[0].item()
    assert h == pytest.approx(0.5 * math.tanh(1), rel=1e-6)


def test_minlstm_shares_out_one() -> None:
    """f + i = 1, where both sigmoids are too small for a float too."""
    cell = MinLSTM(1)
    pre = torch.tensor([[-200.0, -200.0, 1.0], [-300.0, -200.0, 1.0], [300.0, -300.0, 1.0], [0.0, 0.0, 1.0]])
    gates = cell.input_gates(pre, {})
    torch.testing.assert_close(gates["f"].value[:, 0], torch.tensor([0.5, 0.0, 1.0, 0.5]))
    torch.testing.assert_close(gates["f"].value + gates["i"].value, torch.ones(4, 1))


@pytest.mark.parametrize(
    ("build_it", "message"),
    [
        (lambda: MinGRU(4, recurrent_dropout=0.1), r"MinGRU\(4, recurrent_dropout=0.1\): it has no W_hh"),
        (lambda: RGLRU(4, init="identity"), "no W_hh that could start as the identity"),
        (lambda: SLSTM(6, heads=4), r"heads=4 does not divide hidden_size=6"),
        (lambda: SLSTM(6, heads=0), r"SLSTM\(heads\)"),
        (lambda: SLSTM(6, forget_gate="relu"), "'sigmoid', 'exp'"),
        (lambda: IndRNN(6, longest=-1), r"IndRNN\(longest\)"),
        (lambda: MinLSTM(6, positive=2), r"MinLSTM\(positive\)"),
    ],
)
def test_what_is_refused(build_it, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        build_it()


def test_zoneout_keeps_the_normaliser_of_an_slstm() -> None:
    """It mixes h alone: c, n and m belong together."""
    torch.manual_seed(0)
    cell = SLSTM(4, init="uniform")
    plain = DeepRNN(3, [cell])
    zoned = DeepRNN(3, [dataclasses.replace(cell, zoneout=0.9)])
    zoned.load_state_dict(plain.state_dict())
    x = torch.randn(1, 2, 3)
    before, after = plain.eval()(x).state[0], zoned.eval()(x).state[0]
    torch.testing.assert_close(after.h, 0.1 * before.h)
    for name in ("c", "n", "m"):
        assert torch.equal(after.parts[name], before.parts[name])
