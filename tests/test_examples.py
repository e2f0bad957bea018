"""The examples: that their splits and figures are what they say, and that they run on the real data.

The data is no part of the project: it is looked for in the directory that DEEPRNN_DATA names, or else in `shared/data`
beside the project's own; where there is none, the tests that need it are skipped.
"""

import importlib.util
import json
import math
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from deeprnn import GRU, DeepRNN, Elman

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parent.parent
DATA = Path(os.environ.get("DEEPRNN_DATA", PROJECT.parent / "shared" / "data"))


def data(name: str) -> str:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"there is no {path}; name the directory that holds {name} in DEEPRNN_DATA")
    return str(path)


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, PROJECT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT / "examples" / f"{name}.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def time_machine() -> ModuleType:
    return example("time_machine")


@pytest.fixture(scope="module")
def oil() -> ModuleType:
    return example("oil_temperature")


@pytest.fixture(scope="module")
def shakespeare() -> ModuleType:
    return example("shakespeare")


def written(path: Path, letters: int, seed: int = 0) -> Path:
    """A file of random words, with capitals, digits and punctuation between them."""
    drawn = np.random.default_rng(seed).choice(list("abcdefgXYZ ,.-\n3"), size=letters)
    path.write_text("".join(drawn), encoding="utf-8")
    return path


# --- The Time Machine


def test_text_is_lowercased_and_a_run_of_non_letters_is_one_space(time_machine: ModuleType, tmp_path: Path) -> None:
    path = written(tmp_path / "text", 30_000)
    expected: list[str] = []
    for character in path.read_text():
        if character.isascii() and character.isalpha():
            expected.append(character.lower())
        elif expected[-1:] != [" "]:
            expected.append(" ")
    symbols = sorted(set(expected))
    assert [symbols[number] for number in time_machine.read_characters(path).tolist()] == expected


def test_windows_are_those_of_the_chapter(
    time_machine: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "text", 40_000)
    characters = time_machine.read_characters(path)
    seen: dict[str, Any] = {}
    monkeypatch.setattr(time_machine, "train", lambda *given: seen.setdefault("train", given[2]))
    monkeypatch.setattr(time_machine, "perplexity", lambda _, windows: float(seen.setdefault("judge", windows).size(0)))
    monkeypatch.setattr(sys, "argv", ["time_machine.py", "--text", str(path), "--cell", "GRU"])
    time_machine.main()
    assert seen["train"].shape == (10_000, 33)
    assert seen["judge"].shape == (5_000, 33)
    for offset in (0, 1, 9_999):
        assert seen["train"][offset].equal(characters[offset : offset + 33])
    for offset in (0, 4_999):
        assert seen["judge"][offset].equal(characters[10_000 + offset : 10_000 + offset + 33])
    assert "6.11" in capsys.readouterr().out


def test_tuning_reads_no_character_twice_and_none_of_the_validation(
    time_machine: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = torch.arange(20_000).unfold(0, 33, 1)  # each character stands for its own place
    seen: list[tuple[set[int], set[int]]] = []
    monkeypatch.setattr(time_machine, "train", lambda *given, **_: given[2])
    monkeypatch.setattr(
        time_machine,
        "perplexity",
        lambda training, judging: seen.append((set(training.flatten().tolist()), set(judging.flatten().tolist()))) or 1,
    )
    time_machine.tune(places, 27)
    assert seen
    for training, judging in seen:
        assert not training & judging
        assert (min(judging), max(judging)) == (8_000, 10_031)
        assert max(training) == 7_999


def test_perplexity_is_that_of_the_formulas(time_machine: ModuleType) -> None:
    torch.manual_seed(0)
    net = DeepRNN(5, [Elman(3), Elman(4, "relu")], 5, dropout=0.5).double()
    windows = torch.randint(5, (7, 33))
    weights = {name: weight.detach().numpy() for name, weight in net.named_parameters()}
    nats: list[float] = []
    for window in windows.tolist():
        states = [np.zeros(3), np.zeros(4)]
        for read, following in pairwise(window):
            below = np.eye(5)[read]
            for index, phi in enumerate((np.tanh, lambda z: np.maximum(z, 0))):
                named = {name: weights[f"layers.{index}.{name}"] for name in ("weight_xh", "weight_hh", "bias")}
                states[index] = phi(named["weight_xh"] @ below + named["weight_hh"] @ states[index] + named["bias"])
                below = states[index]
            scores = weights["output.weight"] @ below + weights["output.bias"]
            nats.append(float(np.log(np.exp(scores).sum()) - scores[following]))
    assert len(nats) == 7 * 32
    assert time_machine.perplexity(net, windows) == pytest.approx(math.exp(np.mean(nats)), rel=1e-12)


@pytest.mark.parametrize("cell", ["Elman", "GRU"])
def test_time_machine_networks_are_two_layers_of_32(time_machine: ModuleType, cell: str) -> None:
    windows = torch.randint(9, (256, 33))
    settings = time_machine.Settings(epochs=1)
    net = time_machine.train(cell, settings, windows, 9, seed=0)
    assert [(type(c).__name__, c.width) for c in net.cells] == [(cell, 32)] * 2


def test_time_machine_on_the_text() -> None:
    done = run("time_machine", "--text", data("timemachine.txt"), "--cell", "Elman", "--epochs", 1, "--threads", 1)
    assert done.returncode == 0, done.stderr
    *_, row = done.stdout.splitlines()
    assert row.startswith("Elman")
    chapter, figure = map(float, row.split()[1:3])
    assert chapter == 6.95
    assert 1 < figure < 20  # 27 symbols; their frequencies alone give 17


def test_time_machine_wants_a_long_text(tmp_path: Path) -> None:
    done = run("time_machine", "--text", written(tmp_path / "text", 500))
    assert done.returncode == 1
    assert "15,032 are needed" in done.stderr


# --- Oil temperature


def table(path: Path, oil: ModuleType, seed: int = 0) -> np.ndarray:
    """A file of the shape of ETTh1.csv, random; its values (hours, 7)."""
    values = np.random.default_rng(seed).normal(size=(oil.TEST_END + 5, 7)).round(6) * 3 + 10
    lines = ["date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT"]
    lines += [f"day {hour}," + ",".join(map(repr, map(float, row))) for hour, row in enumerate(values)]
    path.write_text("\n".join(lines) + "\n")
    return values


def test_months_are_of_30_days_and_targets_are_disjoint(oil: ModuleType) -> None:
    hours = oil.target_hours()
    assert {part: (int(h[0]), int(h[-1]) + 1) for part, h in hours.items()} == {
        "train": (168 + 24 - 1, 12 * 30 * 24),
        "choose": (12 * 30 * 24, 16 * 30 * 24),
        "test": (16 * 30 * 24, 20 * 30 * 24),
    }
    for h in hours.values():
        assert np.array_equal(h, np.arange(h[0], h[-1] + 1))


def test_columns_are_scaled_by_the_training_months_alone(oil: ModuleType, tmp_path: Path) -> None:
    values = table(tmp_path / "csv", oil)
    series = oil.read_series(tmp_path / "csv")
    known = values[: 12 * 30 * 24]
    expected = (values[: oil.TEST_END] - known.mean(axis=0)) / known.std(axis=0)
    np.testing.assert_allclose(series.columns.numpy(), expected, atol=1e-5)
    assert series.degrees == pytest.approx(known[:, 6].std(), rel=1e-9)


def test_a_week_ends_a_day_before_its_target(oil: ModuleType, tmp_path: Path) -> None:
    table(tmp_path / "csv", oil)
    series = oil.read_series(tmp_path / "csv")
    for part in oil.target_hours().values():
        for target in (int(part[0]), int(part[-1])):
            week, last = series.weeks(np.array([target]))
            expected = series.columns[target - 24 - 167 : target - 24 + 1].clone()
            assert last.equal(expected[-1:, 6])
            expected[:, 6] -= expected[-1, 6].clone()
            assert week[:, 0].equal(expected)


def test_yesterday_is_the_same_hour_one_day_before(oil: ModuleType, tmp_path: Path) -> None:
    values = table(tmp_path / "csv", oil)
    series = oil.read_series(tmp_path / "csv")
    targets = oil.target_hours()["choose"]
    scaled = np.mean((values[targets, 6] - values[targets - 24, 6]) ** 2) / series.degrees**2
    assert oil.squared_error(series, oil.yesterday(series), targets) == pytest.approx(scaled, rel=1e-5)


def test_a_step_holds_one_day(oil: ModuleType) -> None:
    week = torch.randn(168, 3, 7)
    days = oil.by_day(week)
    assert days.shape == (7, 3, 168)
    for day in range(7):
        for row in range(3):
            assert days[day, row].equal(week[24 * day : 24 * (day + 1), row].flatten())


def test_ridge_is_the_penalised_least_squares_fit(
    oil: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table(tmp_path / "csv", oil)
    series = oil.read_series(tmp_path / "csv")
    hours = {"train": np.arange(300, 900), "choose": np.arange(1000, 1100)}
    monkeypatch.setattr(oil, "PENALTIES", [50.0])

    def weeks(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        week, last = series.weeks(targets)
        return week.permute(1, 0, 2).reshape(len(targets), -1).double().numpy(), last.double().numpy()

    # The penalty as extra rows of a plain least-squares problem; the intercept's column has none.
    known, last = weeks(hours["train"])
    features = known.shape[1]
    rows = np.block([[known, np.ones((len(known), 1))], [math.sqrt(50.0) * np.eye(features), np.zeros((features, 1))]])
    moved = np.concatenate([series.answers(hours["train"]).double().numpy() - last, np.zeros(features)])
    weights = np.linalg.lstsq(rows, moved, rcond=None)[0]
    asked, last = weeks(hours["choose"])
    expected = last + asked @ weights[:-1] + weights[-1]
    np.testing.assert_allclose(oil.ridge(series, hours)(hours["choose"]).numpy(), expected, atol=1e-4)


def test_ridge_takes_the_penalty_that_is_best_on_the_months_that_choose(
    oil: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table(tmp_path / "csv", oil)
    series = oil.read_series(tmp_path / "csv")
    hours = {"train": np.arange(300, 900), "choose": np.arange(1000, 1400)}
    penalties = [1e-3, 1e3, 1e6]
    monkeypatch.setattr(oil, "PENALTIES", penalties)
    best = oil.squared_error(series, oil.ridge(series, hours), hours["choose"])
    errors: list[float] = []
    for penalty in penalties:
        monkeypatch.setattr(oil, "PENALTIES", [penalty])
        errors.append(oil.squared_error(series, oil.ridge(series, hours), hours["choose"]))
    assert best == min(errors) < max(errors)


def test_oil_temperature_on_the_data(tmp_path: Path) -> None:
    plot = tmp_path / "plot.png"
    done = run("oil_temperature", "--csv", data("ETTh1.csv"), "--seeds", 1, "--passes", 1, "--plot", plot)
    assert done.returncode == 0, done.stderr
    # The naive forecast, from the file alone.
    temperature = np.genfromtxt(data("ETTh1.csv"), delimiter=",", skip_header=1, usecols=7)[: 20 * 720]
    variance = temperature[: 12 * 720].var()
    expected: list[float] = []
    for first, end in ((12 * 720, 16 * 720), (16 * 720, 20 * 720)):
        targets = np.arange(first, end)
        error = np.mean((temperature[targets] - temperature[targets - 24]) ** 2)
        expected += [error / variance, error]
    row = next(line for line in done.stdout.splitlines() if line.startswith("same hour yesterday"))
    printed = [float(number) for number in re.findall(r"[0-9]+[.][0-9]+", row)]
    np.testing.assert_allclose(printed, expected, atol=0.006)
    np.testing.assert_allclose(printed[::2], expected[::2], atol=6e-5)
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_another_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("date,value\n2016-07-01,1\n")
    done = run("oil_temperature", "--csv", path)
    assert done.returncode == 1
    assert f"error: {path} is not ETTh1.csv" in done.stderr


# --- Tiny Shakespeare


def test_shakespeare_trains_on_the_first_nine_tenths(shakespeare: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("".join(chr(0x100 + index) for index in range(1_000)))
    whole = path.read_text()
    corpus = shakespeare.read_corpus(path, choose=False)
    assert corpus.training[0].content.decode() == whole[:900]
    assert corpus.held_out[0].content.decode() == whole[900:]
    chosen = shakespeare.read_corpus(path, choose=True)
    assert chosen.training[0].content.decode() == whole[:810]
    assert chosen.held_out[0].content.decode() == whole[810:900]


def test_shakespeare_on_the_text_leaves_a_run_that_is_read_again(tmp_path: Path) -> None:
    out = tmp_path / "run"
    text = data("tinyshakespeare.txt")
    arguments = ("--text", text, "--seconds", 1, "--layers", "gru:16", "--threads", 1, "--out", out)
    done = run("shakespeare", *arguments)
    assert done.returncode == 0, done.stderr
    printed = next(line for line in done.stdout.splitlines() if "nats a character" in line)
    assert "(111,539 characters)" in printed

    # The figure once more: the saved network over the last tenth in one piece, written out here.
    net = DeepRNN.load(out)
    assert net.cells == (GRU(16),)
    from deeprnn.tasks.text import BOUNDARY, load_vocabulary

    vocabulary = load_vocabulary(out / "vocabulary.json")
    symbols = torch.tensor([BOUNDARY, *(vocabulary.encode(Path(text).read_text()[-111_539:]).tolist())])
    with torch.inference_mode():
        output = net.eval()(symbols[:-1, None]).output
    assert output is not None
    nats = torch.nn.functional.cross_entropy(output[:, 0].double(), symbols[1:]).item()
    assert float(printed.split()[0]) == pytest.approx(nats, abs=1e-4)
    assert json.loads((out / "evaluation.json").read_text())["nats_per_character"] == pytest.approx(nats, abs=1e-5)

    again = run("shakespeare", *arguments)
    assert again.returncode == 1
    assert "holds a run already" in again.stderr


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("time_machine", ("--text", "nowhere.txt")),
        ("oil_temperature", ("--csv", "nowhere.csv")),
        ("shakespeare", ("--text", "nowhere.txt", "--seconds", "1", "--out", "nowhere")),
    ],
)
def test_a_missing_file_is_named_with_its_origin(name: str, arguments: tuple[str, ...]) -> None:
    done = run(name, *arguments)
    assert done.returncode == 2
    assert arguments[1] in done.stderr
    assert "there is no such file; " in done.stderr


# --- What layers know


@pytest.fixture(scope="module")
def layers() -> ModuleType:
    return example("layers")


def test_the_one_layer_network_has_as_many_parameters(layers: ModuleType) -> None:
    deep = sum(weight.numel() for weight in layers.build(99, [GRU(256)] * 3, 0).parameters())
    wide = layers.one_layer(deep, 99)
    sizes = [
        sum(weight.numel() for weight in DeepRNN(99, [GRU(width)], 99).parameters())
        for width in (wide.hidden_size - 1, wide.hidden_size, wide.hidden_size + 1)
    ]
    assert deep == 1_087_587
    assert abs(sizes[1] - deep) < 0.005 * deep
    assert abs(sizes[1] - deep) == min(abs(size - deep) for size in sizes)


def test_seeds_are_shown_by_their_mean_and_the_furthest(layers: ModuleType) -> None:
    assert layers.spread([0.5]) == ".50"
    assert layers.spread([0.25, 0.5, 0.75]) == ".50 ±.25"
    assert layers.spread([1.0, 1.0, 0.7]) == ".90 ±.20"


def test_layers_measures_both_networks_and_trains_none_again(tmp_path: Path) -> None:
    first = run("layers", "--out", tmp_path, "--quick", "--seeds", 1, "--threads", 1)
    assert first.returncode == 0, first.stderr
    summary = json.loads((tmp_path / "deep-0" / "analysis.json").read_text())
    against = summary["against"]
    assert abs(against["parameters"] - summary["parameters"]) < 0.02 * summary["parameters"]
    assert f"{against['bits_per_character']['value']:.3f}" in first.stdout
    rows = {row["label"]: row for row in summary["probes"]}
    for label in ("character class", "token type", "in a comment", "bracket depth", "block indent"):
        (line,) = (line for line in first.stdout.splitlines() if line.startswith(label))
        figures = [
            rows[label]["window"],
            max(rows[label]["untrained"]),
            *rows[label]["layers"],
            *rows[label]["against"],
        ]
        assert line.removeprefix(label).split() == [f"{figure:.2f}".removeprefix("0") for figure in figures]
    weights = (tmp_path / "one-0" / "model.safetensors").read_bytes()
    program = example("layers")
    assert program.trained(tmp_path / "one-0", [GRU(1)], program.Corpus.of_python(), 0, 1, steps=5) == 30
    assert (tmp_path / "one-0" / "model.safetensors").read_bytes() == weights
