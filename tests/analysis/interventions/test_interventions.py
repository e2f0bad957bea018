"""Interventions do what a net rebuilt to do the same does, in their block only."""

import copy
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from deeprnn import GRU, LSTM, Cell, DeepRNN, Elman, State, kernels
from deeprnn.analysis import add, erase, record, replace, zero
from deeprnn.cells import CELLS, Recur

T, B = 6, 4
LENGTHS = torch.tensor([T, 3, 0, 5])

LAYERS = {
    "elman": Elman(5),
    "gru": GRU(5),
    "lstm": LSTM(5),
    "lstm-layer-norm-zoneout": LSTM(5, layer_norm=True, zoneout=0.3, zoneout_cell=0.2),
    "gru-reverse": GRU(5, direction="reverse"),
    "gru-both": GRU(5, direction="both"),
}


def build(cell: Cell, **options: Any) -> DeepRNN:
    torch.manual_seed(0)
    net = DeepRNN(3, [cell, GRU(4)], 2, dtype=torch.float64, **options)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.6 * torch.randn_like(parameter))
    return net.eval()


def sequence() -> Tensor:
    return torch.randn(T, B, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def stepwise(net: DeepRNN, x: Tensor, edit: Any, *, part: str = "h", told: str = "h") -> Tensor:
    """The bottom layer's (T, B, H) of a forward net, run step by step through calls of T=1 with edited states.

    `part` is what is edited, `told` what is returned.
    """
    state, values = net.initial_state(B), []
    for t in range(T):
        state = net(x[t : t + 1], state).state
        first = state[0]
        changed = edit(getattr(first, part), t)
        first = first.replace(**{part: changed})
        state = type(state)((first, *state[1:]))
        values.append(getattr(first, told))
    return torch.stack(values)


def edits(width: int) -> dict[str, tuple[Any, Any]]:
    """Each intervention on the bottom layer, and what it makes of values h (..., U) of step t."""
    generator = torch.Generator().manual_seed(2)
    d, v = torch.randn(2, width, generator=generator, dtype=torch.float64)
    series = torch.randn(T, B, width, generator=generator, dtype=torch.float64)
    span = torch.linalg.qr(torch.stack([d, v]).T)[0]
    return {
        "zero": (zero, lambda h, _: 0 * h),
        "replace-number": (lambda *a, **k: replace(*a, 0.25, **k), lambda h, _: 0 * h + 0.25),
        "replace-units": (lambda *a, **k: replace(*a, v, **k), lambda h, _: 0 * h + v),
        "replace-series": (lambda *a, **k: replace(*a, series, **k), lambda _, t: series[t]),
        "add": (lambda *a, **k: add(*a, v, **k), lambda h, _: h + v),
        "add-over-time": (lambda *a, **k: add(*a, series[:, 0], **k), lambda h, t: h + series[t, 0]),
        "erase": (lambda *a, **k: erase(*a, d, **k), lambda h, _: h - (h @ d)[:, None] * d / (d @ d)),
        "erase-two": (
            lambda *a, **k: erase(*a, torch.stack([d, v, d + v]), **k),
            lambda h, _: h - h @ span @ span.T,
        ),
    }


@pytest.mark.parametrize("edit", edits(5))
@pytest.mark.parametrize("layer", ["elman", "gru", "lstm", "lstm-layer-norm-zoneout"])
def test_on_the_state_each_step_goes_on_from_the_changed_one(layer: str, edit: str) -> None:
    net, x = build(LAYERS[layer]), sequence()
    intervention, change = edits(5)[edit]
    expected = stepwise(net, x, change)
    with intervention(net, 0, where="state"):
        result = net(x)
        recorded = record(net, x)
        in_two = edit in ("replace-series", "add-over-time") or net(x[3:], net(x[:3]).state).hidden[0]
    torch.testing.assert_close(result.hidden[0], expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(result.state[0].h, expected[-1], rtol=0, atol=1e-12)
    torch.testing.assert_close(recorded["layers.0.hidden"], expected.transpose(0, 1), rtol=0, atol=1e-12)
    if isinstance(in_two, Tensor):
        torch.testing.assert_close(in_two, expected[3:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("edit", edits(5))
@pytest.mark.parametrize("layer", LAYERS)
def test_upward_the_layers_above_read_the_changed_values(layer: str, edit: str) -> None:
    net, x = build(LAYERS[layer]), sequence()
    width = net.cells[0].output_width
    intervention, change = edits(width)[edit]
    before = net(x)
    expected = torch.stack([change(h, t) for t, h in enumerate(before.hidden[0])])
    upper = DeepRNN(width, [GRU(4)], 2, dtype=torch.float64).eval()
    upper.load_state_dict(
        {name.replace("layers.1", "layers.0"): p for name, p in net.state_dict().items() if "layers.0" not in name}
    )
    with intervention(net, 0, where="up"):
        result = net(x)
        recorded = record(net, x)
    torch.testing.assert_close(result.hidden[0], expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(result.output, upper(expected).output, rtol=0, atol=1e-12)
    torch.testing.assert_close(result.state[0].h, before.state[0].h, rtol=0, atol=0)
    torch.testing.assert_close(
        recorded["layers.0.hidden"], before.hidden[0][..., :5].transpose(0, 1), rtol=0, atol=1e-12
    )
    torch.testing.assert_close(recorded["layers.1.hidden"], upper(expected).hidden[0].transpose(0, 1))


@pytest.mark.parametrize("edit", ["zero", "replace-series", "add"])
def test_on_the_cell_state_the_next_step_reads_the_changed_one(edit: str) -> None:
    net, x = build(LSTM(5)), sequence()
    intervention, change = edits(5)[edit]
    with intervention(net, 0, where="cell"):
        result = net(x, return_cell_states=True)
        recorded = record(net, x, ["layers.0.cell", "layers.0.gate.f"])
    torch.testing.assert_close(result.hidden[0], stepwise(net, x, change, part="c"), rtol=0, atol=1e-12)
    assert result.cell_states is not None
    cells = stepwise(net, x, change, part="c", told="c")
    torch.testing.assert_close(result.cell_states[0], cells, rtol=0, atol=1e-12)
    torch.testing.assert_close(recorded["layers.0.cell"], cells.transpose(0, 1), rtol=0, atol=1e-12)
    if edit == "replace-series":
        torch.testing.assert_close(result.state[0].c, change(None, T - 1), rtol=0, atol=0)


def mirrored(net: DeepRNN, x: Tensor) -> Tensor:
    """The backward half of a both-ways bottom layer, as a forward net over the reversed sequence, run by hand."""
    forward = DeepRNN(3, [GRU(5)], dtype=torch.float64).eval()
    forward.load_state_dict(
        {
            name.removesuffix("_reverse"): p
            for name, p in net.state_dict().items()
            if name.startswith("layers.0") and name.endswith("_reverse")
        }
    )
    series = edits(10)["replace-series"][1]
    hidden = stepwise(forward, x.flip(0), lambda _, t: series(None, T - 1 - t)[:, 5:])
    return hidden.flip(0)


def test_on_the_state_of_both_directions_each_has_its_own_units_and_steps() -> None:
    net, x = build(GRU(5, direction="both")), sequence()
    intervention, change = edits(10)["replace-series"]
    with intervention(net, 0, where="state"):
        hidden = net(x).hidden[0]
    torch.testing.assert_close(hidden, torch.stack([change(None, t) for t in range(T)]), rtol=0, atol=0)
    torch.testing.assert_close(hidden[..., 5:], mirrored(net, x), rtol=0, atol=0)
    plain = net(x).hidden[0]
    with add(net, 0, torch.tensor([0.5, -0.5]), units=[8, 6], where="state"):
        hidden = net(x).hidden[0]
    torch.testing.assert_close(hidden[..., :5], plain[..., :5], rtol=0, atol=1e-12)
    push = torch.tensor([0.0, -0.5, 0.0, 0.5, 0.0], dtype=torch.float64)
    forward = DeepRNN(3, [GRU(5)], dtype=torch.float64).eval()
    names = [name for name in net.state_dict() if name.startswith("layers.0") and name.endswith("_reverse")]
    forward.load_state_dict({name.removesuffix("_reverse"): net.state_dict()[name] for name in names})
    expected = stepwise(forward, x.flip(0), lambda h, _: h + push).flip(0)
    torch.testing.assert_close(hidden[..., 5:], expected, rtol=0, atol=1e-12)
    with erase(net, 0, torch.ones(2), units=[5, 9], where="state"):
        hidden = net(x).hidden[0]
    torch.testing.assert_close(hidden[..., 5] + hidden[..., 9], torch.zeros(T, B, dtype=torch.float64))


@pytest.mark.parametrize("where", ["up", "state"])
def test_units_not_named_keep_their_values(where: Any) -> None:
    net, x = build(Elman(5)), sequence()
    with zero(net, 0, units=[3, 1], where=where):
        hidden = net(x).hidden[0]
    assert (hidden[..., [1, 3]] == 0).all()
    assert (hidden[0][..., [0, 2, 4]] == net(x).hidden[0][0][..., [0, 2, 4]]).all()
    with replace(net, 0, torch.tensor([10.0, 20.0]), units=[3, 1], where=where):
        hidden = net(x).hidden[0]
    assert (hidden[..., 3] == 10).all()
    assert (hidden[..., 1] == 20).all()


@pytest.mark.parametrize("where", ["up", "state"])
def test_beyond_its_length_a_row_stays_zero(where: Any) -> None:
    net, x = build(GRU(5, direction="both")), sequence()
    with add(net, 0, 3.0, where=where):
        hidden = net(x, lengths=LENGTHS).hidden[0]
        state = net(x, lengths=LENGTHS).state[0]
    valid = torch.arange(T)[:, None] < LENGTHS
    assert (hidden[~valid] == 0).all()
    assert (hidden[valid] > 1).all()
    assert (state.h[2] == 0).all()


def test_upward_the_fused_kernel_stays_and_on_the_state_the_reference_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_scan: object) -> None:
        raise AssertionError("the reference kernel ran")

    net, x = build(LSTM(5)), sequence()
    with zero(net, 0, where="state"):
        assert "LSTM 5 tanh, sigmoid, state changed" in net.summary()
        assert "reference" in net.summary()
    monkeypatch.setattr(kernels.reference, "run", refuse)
    with zero(net, 0, where="up"):
        net(x)
    with zero(net, 0, where="state"), pytest.raises(AssertionError, match="the reference kernel ran"):
        net(x)


@pytest.mark.parametrize("where", ["up", "state"])
def test_blocks_nest_and_act_in_their_order(where: Any) -> None:
    net, x = build(Elman(5)), sequence()
    with replace(net, 0, 2.0, where=where), add(net, 0, 1.0, units=[0], where=where):
        hidden = net(x).hidden[0]
    assert hidden[..., 0].unique().tolist() == [3.0]
    with add(net, 0, 1.0, units=[0], where=where), replace(net, 0, 2.0, where=where):
        hidden = net(x).hidden[0]
    assert hidden.unique().tolist() == [2.0]
    with replace(net, 0, 2.0, where="state"), zero(net, 0, where="up"), add(net, 1, 1.0, where="state"):
        assert (net(x).hidden[0] == 0).all()
        assert (net(x).state[0].h == 2).all()


def everything_about(net: DeepRNN) -> Any:
    hooks = [(len(layer._forward_hooks), len(layer._forward_pre_hooks)) for layer in net.layers]
    return net.cells, hooks, {**net.state_dict()}.keys(), [vars(layer).keys() for layer in net.layers]


@pytest.mark.parametrize("where", ["up", "state"])
def test_nothing_is_left_after_the_block_whichever_way_it_ends(where: Any) -> None:
    net, x = build(LSTM(5)), sequence()
    before, output, registered = everything_about(net), net(x).output, set(CELLS)
    with pytest.raises(ValueError, match="65 features"), zero(net, 0, where=where):
        net(torch.zeros(T, B, 65))
    assert everything_about(net) == before
    # Blocks that don't end in the reverse of their order.
    first, second = zero(net, 0, where=where), add(net, 0, 1.0, where=where)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    torch.testing.assert_close(net(x[:1]).hidden[0], _once(net, x), rtol=0, atol=0)
    second.__exit__(None, None, None)
    assert everything_about(net) == before
    assert (net(x).output == output).all()
    assert set(CELLS) == registered


def _once(net: DeepRNN, x: Tensor) -> Tensor:
    """One step with 1.0 added, on a copy that no block knows."""
    clean = build(LSTM(5))
    clean.load_state_dict(net.state_dict())
    return clean(x[:1]).hidden[0] + 1


def test_gradients_flow_through_an_intervention() -> None:
    net = build(LSTM(5))
    for where in ("up", "state"):
        x = sequence().requires_grad_()
        with add(net, 0, 0.3, units=[1], where=where):
            assert torch.autograd.gradcheck(lambda x: net(x).hidden[1], (x,))


def test_in_training_zoneout_stays_random_and_comes_before_the_change() -> None:
    net, x = build(GRU(64, zoneout=0.5)).train(), sequence()
    with add(net, 0, 100.0, units=[0], where="state"):
        first, second = net(x).hidden[0], net(x).hidden[0]
    # A kept unit shows the state before, and the change on top of it.
    assert (first[0, :, 0] >= 99).all()
    assert not torch.equal(first, second)
    kept = (first[0, :, 1:] == 0).double().mean()
    assert 0.35 < kept < 0.65


class Doubling(Elman):
    """A cell of the user's own."""

    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:
        return State(2 * super().step(x_part, state, recur).h)


def test_a_users_own_cell_can_be_changed_too() -> None:
    net, x = build(Doubling(5)), sequence()
    for where in ("up", "state"):
        with zero(net, 0, units=[0], where=where):
            assert (net(x).hidden[0][..., 0] == 0).all()
            assert net(x).hidden[0].abs().max() > 1


def test_a_net_is_not_saved_with_an_intervention_on_its_state(tmp_path: Any) -> None:
    net = build(GRU(5))
    with zero(net, 0, where="state"), pytest.raises(ValueError, match="save the net after its block"):
        net.save(tmp_path)
    assert not list(tmp_path.iterdir())
    with zero(net, 0, where="state"):
        copied = copy.deepcopy(net)
    assert (copied(sequence()).hidden[0] == 0).all()
    net.save(tmp_path)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda net: zero(net, 2), IndexError, "has layers 0 to 1"),
        (lambda net: zero(net, -1), IndexError, "layer=-1"),
        (lambda net: zero(net, 0, units=[5]), IndexError, r"layer 1 \(layers.0\), LSTM 5 .* writes units 0 to 4"),
        (lambda net: zero(net, 0, units=[]), ValueError, "at least one whole number"),
        (lambda net: zero(net, 0, units=[1, 1]), ValueError, "named once"),
        (lambda net: zero(net, 0, where="down"), ValueError, "where='down'"),
        (lambda net: zero(net, 1, where="cell"), ValueError, "has no cell state"),
        (
            lambda net: replace(net, 0, torch.zeros(4)),
            ValueError,
            r"shape \(4,\), but the intervention reaches 5 units",
        ),
        (lambda net: add(net, 0, torch.zeros(2), units=[1]), ValueError, "reaches 1 units"),
        (lambda net: erase(net, 0, torch.zeros(5)), ValueError, "direction is zero"),
        (lambda net: erase(net, 0, torch.ones(3)), ValueError, "reaches 5 units"),
        (lambda _: zero(torch.nn.LSTM(3, 4), 0), TypeError, "as_deep"),  # type: ignore[arg-type]
        (lambda _: erase(build(GRU(5, direction="both")), 0, torch.ones(10), where="state"), ValueError, "both ways"),
    ],
)
def test_what_cannot_be_done_is_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message), make(build(LSTM(5))):
        pass


@pytest.mark.parametrize("where", ["up", "state"])
def test_a_series_of_another_length_is_refused_when_the_net_runs(where: Any) -> None:
    net = build(LSTM(5))
    with (
        replace(net, 0, torch.zeros(T + 1, B, 5), where=where),
        pytest.raises(ValueError, match=r"T=7 steps and B=4 rows, but the net runs over T=6 and B=4"),
    ):
        net(sequence())


def test_a_series_has_the_nets_own_axes() -> None:
    net, x = build(LSTM(5), batch_first=True), sequence().transpose(0, 1)
    series = torch.randn(B, T, 5, dtype=torch.float64)
    for where in ("up", "state"):
        with replace(net, 0, series, where=where):
            torch.testing.assert_close(net(x).hidden[0], series, rtol=0, atol=0)


def test_many_blocks_at_once() -> None:
    net, x = build(Elman(5)), sequence()
    blocks: list[AbstractContextManager[None]] = [nullcontext()]
    blocks += [replace(net, 0, float(unit), units=[unit], where="state") for unit in range(5)]
    with ExitStack() as stack:
        for block in blocks:
            stack.enter_context(block)
        assert (net(x).hidden[0] == torch.arange(5)).all()
