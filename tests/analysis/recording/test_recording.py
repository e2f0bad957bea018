"""Recorded values equal those of the step-by-step cell, whatever the call brings and wherever they are kept."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils import parametrizations, parametrize, prune

from deeprnn import GRU, LSTM, Cell, DeepRNN, Elman, State, kernels
from deeprnn.activations import function_of
from deeprnn.analysis import Recording, as_deep, names_of, record
from deeprnn.analysis.recording import recorder
from deeprnn.cells import Recur

T, B, FEATURES = 7, 4, 3

CELLS = {
    "elman": Elman(5),
    "elman-softplus": Elman(5, "softplus"),
    "gru": GRU(5),
    "gru-reset-before": GRU(5, reset_after=False),
    "lstm": LSTM(5),
    "lstm-peephole": LSTM(5, peephole=True),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no-bias": {"bias": False},
    "reverse": {"direction": "reverse"},
    "both": {"direction": "both"},
    "layer-norm": {"layer_norm": True},
    "learned-initial": {"learn_initial": True, "direction": "both"},
    "zoneout": {"zoneout": 0.3},
}
CALLS = ("plain", "state", "lengths", "resets", "everything")


class Spy:
    """An activation that writes down what it was given and what it gave, at every step."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function
        self.seen: list[tuple[Tensor, Tensor]] = []

    def __call__(self, a: Tensor) -> Tensor:
        self.seen.append((a, self.function(a)))
        return self.seen[-1][1]


def build(cells: list[Cell], **options: Any) -> DeepRNN:
    torch.manual_seed(0)
    net = DeepRNN(FEATURES, cells, 2, dtype=torch.float64, **options)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.6 * torch.randn_like(parameter))
    return net.eval()


def call_arguments(net: DeepRNN, call: str) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    arguments: dict[str, Any] = {}
    if call in ("state", "everything"):
        draw = lambda t: torch.randn(t.shape, generator=generator, dtype=torch.float64)  # noqa: E731
        arguments["state"] = net.initial_state(B).map(draw)
    if call in ("lengths", "everything"):
        arguments["lengths"] = torch.tensor([T, 3, 0, 5])
    if call in ("resets", "everything"):
        arguments["resets"] = torch.rand(T, B, generator=generator) < 0.3
    return arguments


def step_by_step(net: DeepRNN, x: Tensor, arguments: dict[str, Any]) -> dict[str, Tensor]:
    """Every gate of a one-layer net as its activations see it on the reference kernel, (T, B, H) by name."""
    cell, spies = net.cells[0], {}
    for name, phi in net.cells[0].activations.items():
        assert isinstance(phi, str)
        spies[name] = Spy(function_of(phi))
    spied = DeepRNN(FEATURES, [replace(cell, **spies)], 2, dtype=torch.float64).eval()
    spied.load_state_dict(net.state_dict())
    spied(x, **arguments)
    sigma = spies.get("gate_activation", Spy(torch.sigmoid)).seen
    phi = spies["activation"].seen
    # The order in which the cells' steps call their activations.
    calls = {
        "Elman": {"h": phi},
        "GRU": {"r": sigma[0::2], "z": sigma[1::2], "n": phi},
        "LSTM": {"i": sigma[0::3], "f": sigma[1::3], "o": sigma[2::3], "g": phi[0::2]},
    }[type(cell).__name__]
    lengths = arguments.get("lengths", torch.full((B,), T))
    valid = (torch.arange(T)[:, None] < lengths).unsqueeze(-1)
    found = {}
    for direction, suffix in enumerate(("", "_reverse")[: cell.directions]):
        backwards = cell.direction == "reverse" or direction == 1
        for gate, seen in calls.items():
            for place, quantity in enumerate(("pre", "gate")):
                steps = torch.stack([pair[place] for pair in seen[direction * T : (direction + 1) * T]])
                found[f"layers.0.{quantity}.{gate}{suffix}"] = torch.where(
                    valid, steps.flip(0) if backwards else steps, 0
                )
    return found


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("options", OPTIONS, ids=OPTIONS)
@pytest.mark.parametrize("cell", CELLS, ids=CELLS)
def test_gates_and_states_equal_the_step_by_step_cell(cell: str, options: str, call: str) -> None:
    chosen = OPTIONS[options]
    if cell.startswith("lstm") and options == "zoneout":
        chosen = {**chosen, "zoneout_cell": 0.2}
    net = build([replace(CELLS[cell], **chosen)])
    x, arguments = torch.randn(T, B, FEATURES, dtype=torch.float64), call_arguments(net, call)
    recorded = record(net, x, "*", **arguments)
    expected = step_by_step(net, x, arguments)
    with kernels.force("reference"):
        result = net(x, **arguments, return_cell_states=True)
    for kind, whole in (("hidden", result.hidden[0]), ("cell", result.cell_states[0])):
        if whole is not None:
            for suffix, part in zip(("", "_reverse"), whole.split(5, dim=-1), strict=False):
                expected[f"layers.0.{kind}{suffix}"] = part
    assert set(recorded) == set(expected) == {str(name) for name in names_of(net)}
    for name, values in expected.items():
        assert recorded[name].shape == (B, T, 5)
        torch.testing.assert_close(recorded[name], values.transpose(0, 1), rtol=0, atol=1e-12, msg=name)


def test_the_run_stays_on_the_kernel_that_the_net_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_scan: object) -> None:
        raise AssertionError("the reference kernel ran")

    net = build([LSTM(5), GRU(5), Elman(5)])
    monkeypatch.setattr(kernels.reference, "run", refuse)
    assert len(record(net, torch.randn(T, B, FEATURES, dtype=torch.float64), "*")) == len(names_of(net))


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
def test_pieces_of_a_sequence_give_the_same_as_the_whole(chunk: int) -> None:
    net = build([LSTM(5, learn_initial=True), GRU(6), Elman(4, "relu")], input_to_all=True)
    x = torch.randint(FEATURES, (T, B))
    arguments = call_arguments(net, "everything")
    whole, cut = record(net, x, "*", **arguments), record(net, x, "*", **arguments, chunk=chunk)
    for name, values in whole.items():
        torch.testing.assert_close(cut[name], values, rtol=0, atol=1e-12, msg=name)
    for one, other in zip(whole.state or (), cut.state or (), strict=True):
        torch.testing.assert_close(one.h, other.h, rtol=0, atol=1e-12)


def test_batch_and_time_stand_first_whatever_axes_the_net_has() -> None:
    net = build([GRU(5), LSTM(6)])
    other = build([GRU(5), LSTM(6)], batch_first=True)
    other.load_state_dict(net.state_dict())
    x = torch.randn(T, B, FEATURES, dtype=torch.float64)
    arguments = call_arguments(net, "everything")
    expected = record(net, x, "*", **arguments)
    arguments["resets"] = arguments["resets"].T
    swapped = record(other, x.transpose(0, 1), "*", **arguments)
    row = record(net, x[:, 1], "*", lengths=3, state=arguments["state"].rows(1), resets=arguments["resets"][1])
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([T, 3, 1, 5]), enforce_sorted=False)
    ragged = record(other, packed, "layers.0.gate.z")
    for name, values in expected.items():
        torch.testing.assert_close(swapped[name], values, rtol=0, atol=1e-12)
        torch.testing.assert_close(row[name], values[1:2], rtol=0, atol=1e-12)
    assert row.state is not None
    assert row.state[1].h.shape == (6,)
    lengths = torch.tensor([T, 3, 1, 5])
    torch.testing.assert_close(ragged["layers.0.gate.z"], record(net, x, "*", lengths=lengths)["layers.0.gate.z"])


def test_a_recording_on_disk_is_the_same_and_can_be_opened_again(tmp_path: Path) -> None:
    net = build([LSTM(5), GRU(6)])
    x = torch.randn(T, B, FEATURES, dtype=torch.float64)
    expected = record(net, x, "*")
    written = record(net, x, "*", directory=tmp_path / "run", chunk=2)
    opened = Recording.open(tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"hidden.npy", "gate.f.npy", "recording.json"}
    assert set(opened) == set(written) == set(expected)
    for name, values in expected.items():
        torch.testing.assert_close(written[name], values, rtol=0, atol=1e-12)
        torch.testing.assert_close(opened[name], values, rtol=0, atol=1e-12)
    assert np.load(tmp_path / "run" / "hidden.npy", mmap_mode="r").shape == (B, T, 2, 6)


def test_a_recording_replaces_what_it_wrote_itself_and_no_other_arrays(tmp_path: Path) -> None:
    net, x = build([LSTM(5)]), torch.randn(T, B, FEATURES, dtype=torch.float64)
    for _ in range(2):
        record(net, x, "layers.0.hidden", directory=tmp_path)
    (tmp_path / "gate.f.npy").write_bytes(b"somebody's")
    with pytest.raises(FileExistsError, match=r"gate\.f\.npy exists, and belongs to no recording"):
        record(net, x, ["layers.0.hidden", "layers.0.gate.f"], directory=tmp_path)
    assert (tmp_path / "gate.f.npy").read_bytes() == b"somebody's"
    (tmp_path / "gate.f.npy").unlink()
    record(net, x, "layers.0.gate.f", directory=tmp_path)
    assert not (tmp_path / "hidden.npy").exists()  # it was the recording's before


def test_a_large_recording_goes_to_disk_by_itself_and_goes_with_it() -> None:
    net = build([GRU(5)])
    x = torch.randn(T, B, FEATURES, dtype=torch.float64)
    recording = record(net, x, in_memory=8 * T * B * 5 - 1)
    place = Path(recording._keep.name)  # type: ignore[attr-defined]
    assert (place / "hidden.npy").is_file()
    torch.testing.assert_close(recording["layers.0.hidden"], record(net, x)["layers.0.hidden"])
    assert record(net, x, in_memory=8 * T * B * 5)._keep is None
    recording._keep.cleanup()  # type: ignore[attr-defined]
    assert not place.exists()


def test_stacked_layers_are_labelled_and_padded_with_nan() -> None:
    pytest.importorskip("xarray")
    net = build([GRU(5), LSTM(6), GRU(3)])
    recording = record(net, torch.randn(T, B, FEATURES, dtype=torch.float64), ["layers.*.hidden", "layers.?.gate.r"])
    hidden, gate = recording.xarray(), recording.xarray("gate.r")
    assert hidden.dims == ("batch", "time", "layer", "unit")
    assert hidden.shape == (B, T, 3, 6)
    assert gate.layer.values.tolist() == [0, 2]
    np.testing.assert_array_equal(gate.sel(layer=2)[..., :3], recording["layers.2.gate.r"])
    assert np.isnan(hidden.sel(layer=2)[..., 3:]).all()
    assert not np.isnan(hidden.sel(layer=1)).any()
    torch.testing.assert_close(recording.stacked()[:, :, 1], recording["layers.1.hidden"])


def test_the_mode_of_every_part_is_as_before_and_no_hook_stays() -> None:
    net = build([GRU(5, zoneout=0.5, recurrent_dropout=0.5), GRU(5)], dropout=0.5).train()
    net.layers[1].eval()
    x = torch.randn(T, B, FEATURES, dtype=torch.float64)
    torch.testing.assert_close(record(net, x)["layers.1.hidden"], record(net, x)["layers.1.hidden"])
    assert [module.training for module in net.modules()][:4] == [True, True, True, False]
    with pytest.raises(ValueError, match="resets has shape"):
        record(net, x, resets=torch.zeros(1, 1, dtype=torch.bool))
    with pytest.raises(IndexError, match="out of range"):
        record(build([Broken(5)]), x)
    assert not any(layer._forward_hooks for layer in net.layers)


@pytest.mark.parametrize("shape", [(0, 4), (7, 0)], ids=["no-steps", "no-rows"])
def test_empty_sequences_give_empty_recordings(shape: tuple[int, int], tmp_path: Path) -> None:
    net = build([LSTM(5), GRU(6, direction="both")])
    x = torch.zeros(*shape, FEATURES, dtype=torch.float64)
    for directory in (None, tmp_path):
        recording = record(net, x, "*", directory=directory)
        assert recording["layers.1.gate.z_reverse"].shape == (shape[1], shape[0], 6)
    assert Recording.open(tmp_path)["layers.0.cell"].shape == (shape[1], shape[0], 5)


def test_half_precision_nets_are_recorded_as_they_ran() -> None:
    net = DeepRNN(FEATURES, [GRU(5), LSTM(5)], dtype=torch.bfloat16)
    x = torch.randn(T, B, FEATURES, dtype=torch.bfloat16)
    recording = record(net, x, "*")
    torch.testing.assert_close(recording["layers.1.hidden"], net(x).hidden[1].transpose(0, 1).float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = record(net.float(), x.float(), "layers.1.*")
    torch.testing.assert_close(cast["layers.1.gate.f"], recording["layers.1.gate.f"], rtol=0, atol=0.05)


class Leaky(GRU):
    """A GRU by name, with a step of its own: its gates must not be guessed."""

    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:
        return State(0.5 * super().step(x_part, state, recur).h)


class Broken(Elman):
    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:  # noqa: ARG002
        raise IndexError("out of range")


class Counter(Elman):
    """A cell with a c of its own."""

    states = ("h", "c")
    cell_state = "c"

    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:
        return State(torch.tanh(x_part + recur(state.h) + state.c), state.c + 1)


def test_of_an_unknown_cell_there_are_the_states_only() -> None:
    net = build([Leaky(5), Counter(4)])
    assert [str(name) for name in names_of(net)] == ["layers.0.hidden", "layers.1.hidden", "layers.1.cell"]
    recording = record(net, torch.ones(T, B, FEATURES, dtype=torch.float64), "*")
    with kernels.force("reference"):
        expected = net(torch.ones(T, B, FEATURES, dtype=torch.float64)).hidden[0]
    torch.testing.assert_close(recording["layers.0.hidden"], expected.transpose(0, 1), rtol=0, atol=1e-12)
    torch.testing.assert_close(recording["layers.1.cell"][0, :, 0], torch.arange(1.0, T + 1, dtype=torch.float64))
    with pytest.raises(ValueError, match="the gates of a Leaky are not known"):
        record(net, torch.zeros(T, B, FEATURES, dtype=torch.float64), "layers.0.gate.r")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("layers.2.hidden", r"'layers.2.hidden' is nothing of this net(.|\n)*layers.0. hidden, gate.r, pre.r"),
        (["layers.*.hidden", "gate"], "'gate' is nothing of this net"),
        ([], "names is empty"),
    ],
    ids=["no-such-layer", "no-such-pattern", "none"],
)
def test_unknown_names_list_what_there_is(names: str | list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        record(build([GRU(5), LSTM(5)]), torch.zeros(T, B, FEATURES, dtype=torch.float64), names)


def test_arguments_that_cannot_be_met_are_refused() -> None:
    x = torch.zeros(T, B, FEATURES, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"layers\.1\) runs backwards"):
        record(build([GRU(5), GRU(5, direction="both")]), x, chunk=3)
    with pytest.raises(ValueError, match="chunk=0"):
        record(build([GRU(5)]), x, chunk=0)
    with pytest.raises(TypeError, match="as_deep"):
        record(torch.nn.GRU(3, 4), x)  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="was not recorded"):
        record(build([GRU(5)]), x)["layers.0.gate.r"]
    with pytest.raises(FileNotFoundError, match="no recording"):
        Recording.open("nowhere")


def test_the_default_piece_is_bounded_by_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "CHUNK_BYTES", 8 * 5 * 20)
    net, calls = as_deep(torch.nn.GRU(3, 5).double()), []
    net.register_forward_pre_hook(lambda _net, args: calls.append(len(args[0])))
    record(net, torch.zeros(50, 1, FEATURES, dtype=torch.float64))
    assert calls == [20, 20, 10]


def test_a_pruned_and_a_normed_layer_are_recorded_as_they_compute_now() -> None:
    net = build([LSTM(5, direction="both"), GRU(4)])
    prune.l1_unstructured(net.layers[0], "weight_hh_reverse", amount=0.5)
    parametrizations.weight_norm(net.layers[1], "weight_xh")
    x, optimizer = torch.randn(T, B, FEATURES, dtype=torch.float64), torch.optim.SGD(net.parameters(), lr=0.1)
    net(x).output.square().sum().backward()
    optimizer.step()
    got = record(net, x, "*")
    prune.remove(net.layers[0], "weight_hh_reverse")
    parametrize.remove_parametrizations(net.layers[1], "weight_xh")
    plain = build([LSTM(5, direction="both"), GRU(4)])
    plain.load_state_dict(net.state_dict())
    right = record(plain, x, "*")
    assert list(got) == list(right)
    for name, values in right.items():
        torch.testing.assert_close(got[name], values, msg=name)
