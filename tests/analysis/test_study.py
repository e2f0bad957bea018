"""A run analyzed from end to end, small: what is written, what is printed, what is refused."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import polars
import pytest
import torch
import torch.nn.functional as F
from typer.testing import CliRunner

from deeprnn import GRU, LSTM, DeepRNN
from deeprnn.analysis import study
from deeprnn.analysis.report.results import SUMMARY, TABLE
from deeprnn.analysis.report.table import Metric
from deeprnn.analysis.report.text_sample import sample_texts, untrained
from deeprnn.analysis.study import Effort, analyze
from deeprnn.cli import app
from deeprnn.tasks.text import Bytes, Characters, Corpus, train
from deeprnn.training import Settings

pytestmark = pytest.mark.slow

TINY = Effort(
    files=16,
    per_file=400,
    characters=1_500,
    seeds=2,
    snippets=8,
    horizon=40,
    untrained=2,
    ablated=60,
    resets=(4,),
    shifts=3,
)


def _source(number: int) -> str:
    words = [f"name_{number}_{index}" for index in range(6)]
    lines = [f'"""Module {number}: numbers and lists."""', "", "import os"]
    for index, word in enumerate(words):
        lines += [
            f"def {word}(a, b={index}):",
            f"    # adds {number}",
            "    if a > b:",
            f"        return [a, (b, {index})]",
        ]
        lines += [f'    return "{word}"', "", f"class C{index}:", "    x = None", ""]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    directory = tmp_path_factory.mktemp("sources")
    for number in range(40):
        (directory / f"module_{number}.py").write_text(_source(number))
    found = Corpus.from_files([directory])
    more = 14 - len(found.held_out)
    return replace(found, training=found.training[more:], held_out=found.held_out + found.training[:more])


def _train(corpus: Corpus, out: Path, layers: list[GRU | LSTM]) -> Path:
    vocabulary = Characters.of(corpus.training)
    torch.manual_seed(0)
    net = DeepRNN(len(vocabulary), layers, len(vocabulary))
    train(net, corpus, vocabulary, out, Settings(batch=4, bptt=16, learning_rate=1e-2), steps=20)
    return out


@pytest.fixture
def run(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(study.TextRun, "read_corpus", lambda _: corpus)
    return _train(corpus, tmp_path / "run", [GRU(9), LSTM(8)])


def test_a_run_is_analyzed_and_the_results_lie_in_it(corpus: Corpus, run: Path) -> None:
    other = _train(corpus, run.parent / "other", [GRU(12)])
    told: list[tuple[str, int, int]] = []
    results = analyze(run, TINY, against=other, progress=lambda *said: told.append(said))
    summary = json.loads((run / "analysis.json").read_text())
    assert (summary["verdict"] == "contradicted") == (summary["high"] < 0)
    assert (summary["verdict"] == "supported") <= (summary["low"] > 0)
    assert summary["paragraph"].lower().startswith(summary["verdict"])
    assert f"rank correlation of {summary['rho']:+.2f}" in summary["paragraph"]
    assert (summary["n"], summary["seeds"]) == (len(summary["probes"]), 2)
    assert summary["against"]["bits_per_character"]["value"] > 0
    over, own = summary["against"]["bits_over_run"], summary["ablation"]["bits"]["value"]
    np.testing.assert_allclose(own + over["value"], summary["against"]["bits_per_character"]["value"])
    assert over["low"] <= over["value"] <= over["high"]
    for part in ("ripples", "construction", "next_character", "ablation", "units"):
        assert [layer["layer"] for layer in summary[part]["layers"]] == [1, 2]
        assert summary[part]["n"] > 0
        assert summary[part]["seeds"] > 0
    ripple = summary["ripples"]["layers"][1]
    assert len(ripple["curve"]) == len(ripple["untrained_low"]) == len(ripple["untrained_high"]) == 40
    assert len(ripple["untrained_half"]) == 2
    units = summary["units"]["layers"]
    assert [len(layer["autocorrelation_time"]) for layer in units] == [9, 8]
    assert [sorted(layer["gates"]) for layer in units] == [["r", "z"], ["f", "i", "o"]]
    assert {best["label"] for best in units[0]["best"]} <= {row["label"] for row in summary["probes"]}
    assert 0.5 <= max(best["auc"] for best in units[0]["best"]) <= 1
    needs = [row["need"] for row in summary["probes"]]
    assert needs == sorted(needs)
    for row in summary["probes"]:
        assert len(row["layers"]) == len(row["untrained"]) == len(row["above"]) == 2
        assert len(row["against"]) == 1
        assert 0 <= row["window"] <= 1

    table = polars.read_parquet(run / "analysis.parquet")
    assert table.equals(results.figures.frame, null_equal=True)
    for control in ("trained", "untrained", "shuffled", "hashed", "window", "against", "marginal"):
        assert control in table["control"].unique().to_list()
    unmeasured = set(get_args(Metric)) - set(table["metric"].to_list())
    assert unmeasured == set()
    assert set(table.filter(metric="bits lost")["change"].to_list()) == {"zero", "mean", "reset"}
    assert set(table.filter(metric="bits lost", change="reset")["step"].to_list()) == {4}
    assert set(table.filter(metric="gate open", layer=2)["label"].to_list()) == {"i", "f", "o"}
    # The figures of the summary are those of the table.
    row = summary["probes"][0]
    found = table.filter(
        polars.col("seed").is_null(),
        polars.col("change").is_null(),
        label=row["label"],
        metric="accuracy",
        control="trained",
    ).sort("layer")
    np.testing.assert_allclose(found["value"].to_list(), row["layers"])
    bounded = table.filter(polars.col("low").is_finite() & (polars.col("metric") == "accuracy"))
    assert bool((bounded["low"] <= bounded["high"]).all())

    for what in {said[0] for said in told}:
        ends = [said for said in told if said[0] == what][-1]
        assert ends[1] == ends[2], ends


def test_figures_are_those_of_the_net_and_its_text(corpus: Corpus, run: Path) -> None:
    """Some figures of a run, computed once more from the net and the labels themselves."""
    results = analyze(run, TINY)
    net, vocabulary = study.TextRun(run).load()
    sample = sample_texts(corpus.held_out, vocabulary, files=16, per_file=400, characters=1_500)
    targets = sample.targets[:60]
    with torch.no_grad():
        output = net.eval()(sample.x[:60]).output
        silent = [weight.zero_() for name, weight in net.named_parameters() if name == "output.weight"]
        bare = net(sample.x[:60]).output
    assert output is not None
    assert bare is not None
    assert len(silent) == 1
    bits, lost = (F.cross_entropy(one.flatten(0, 1), targets.flatten(), ignore_index=-1) for one in (output, bare))
    np.testing.assert_allclose(results.summary()["bits_per_character"], bits / math.log(2), rtol=1e-5)
    # Zero at the top layer leaves the output's bias alone.
    zeroed = results.figures.figure("bits lost", layer=2, label="next character", change="zero").value
    np.testing.assert_allclose(zeroed, (lost - bits) / math.log(2), rtol=1e-4)
    row = results.probes[0]
    values = sample.labels.values[sample.labels.names.index(row.label)]
    shares = torch.bincount(values[values >= 0]) / (values >= 0).sum()
    assert row.chance == pytest.approx(float(shares.max()))
    assert row.need == min(other.need for other in results.probes)


def test_the_command_prints_table_and_verdict(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "QUICK", TINY)
    result = CliRunner().invoke(app, ["analyze", str(run), "--quick", "--threads", "1"], env={"COLUMNS": "140"})
    assert result.exit_code == 0, result.output
    for expected in ("character class", "bracket depth", "untrained", "centre", "most frequent", "analysis.json"):
        assert expected in result.stdout
    summary = json.loads((run / "analysis.json").read_text())
    assert summary["paragraph"][:40] in " ".join(result.stdout.split())
    lines = result.stdout.splitlines()
    (heading,) = (number for number, line in enumerate(lines) if line.startswith("label "))
    assert lines[heading].split() == ["label", "need", "frequent", "8", "untrained", "1", "2", "centre"]
    printed = [line for line in lines[heading + 1 :] if line.strip()][: len(summary["probes"])]
    for line, row in zip(printed, summary["probes"], strict=True):
        assert line.startswith(row["label"])
        assert f"{row['need']:.2f}" in line.split()
        assert all(f"{value:.3f}".removeprefix("0") in line.split() for value in row["layers"] if value < 0.999)
    assert "probing" in result.stderr
    assert "probing" not in result.stdout


def test_a_directory_without_a_run_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["analyze", str(tmp_path)])
    assert result.exit_code == 1
    assert f"{tmp_path} holds no run" in result.stderr
    assert "deeprnn train" in result.stderr


def test_a_mistyped_run_is_told_of_those_beside_it(run: Path) -> None:
    result = CliRunner().invoke(app, ["analyze", str(run.parent / "rnu")], env={"COLUMNS": "200"})
    assert result.exit_code == 1
    assert f"Runs beside it: {run}" in result.stderr


def test_a_net_that_learned_the_held_out_texts_can_not_be_compared(corpus: Corpus, run: Path) -> None:
    swapped = replace(corpus, training=corpus.training + corpus.held_out, held_out=corpus.training[:1])
    with pytest.raises(ValueError, match="trained on 14 of the texts that this run holds out"):
        analyze(run, TINY, against=_train(swapped, run.parent / "other", [GRU(4)]))


def test_a_new_run_in_its_place_leaves_no_old_analysis(corpus: Corpus, run: Path) -> None:
    analyze(run, TINY)
    assert all(file.exists() for file in study.TextRun(run).analysis_files)
    assert {file.name for file in study.TextRun(run).analysis_files} == {SUMMARY, TABLE}
    vocabulary = Bytes()
    net = DeepRNN(len(vocabulary), [GRU(4)], len(vocabulary))
    train(net, corpus, vocabulary, run, Settings(batch=4, bptt=16), steps=1, overwrite=True)
    assert not any(file.exists() for file in study.TextRun(run).analysis_files)


def test_another_vocabulary_can_not_be_compared(corpus: Corpus, run: Path) -> None:
    vocabulary = Bytes()
    net = DeepRNN(len(vocabulary), [GRU(4)], len(vocabulary))
    train(net, corpus, vocabulary, run.parent / "bytes", Settings(batch=4, bptt=16), steps=1)
    with pytest.raises(ValueError, match="its vocabulary is another one"):
        analyze(run, TINY, against=run.parent / "bytes")
    assert not (run / "analysis.json").exists()


def test_the_net_untrained_is_the_net_at_its_start(run: Path) -> None:
    trained = DeepRNN.load(run)
    fresh = untrained(trained, seed=0)
    torch.manual_seed(0)
    size = trained.input_size
    start = DeepRNN(size, [GRU(9), LSTM(8)], size)
    for name, weight in start.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], weight)
    assert not torch.equal(trained.state_dict()["layers.0.weight_xh"], start.state_dict()["layers.0.weight_xh"])
    torch.manual_seed(3)
    symbols = DeepRNN(20, [GRU(4)], 20, one_hot=True)
    assert torch.equal(untrained(symbols, seed=3).layers[0].weight_xh, symbols.layers[0].weight_xh)
