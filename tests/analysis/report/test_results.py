"""Results on disk: the table, the summary made from it, and both whole or not at all."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

from deeprnn.analysis.report.results import SUMMARY, TABLE, Results, read_figures, read_summary
from deeprnn.analysis.report.table import SCHEMA, Table
from deeprnn.analysis.report.verdict import judge
from deeprnn.analysis.statistics import Interval


def _table() -> Table:
    """One label and every other measurement, of a net of two layers, with a figure of its own in each place."""
    table = Table()
    depth: dict[str, Any] = {"label": "depth"}
    table.add("context need", 0.8, **depth, control="window")
    table.add("accuracy", 0.4, **depth, control="marginal")
    table.add("accuracy", 0.45, **depth, step=4, control="window")
    table.add("accuracy", 0.5, **depth, step=8, control="window")
    table.add("centre of gravity", 1.6, **depth)
    for layer, (accuracy, lead) in enumerate([(0.8, 0.1), (0.9, -0.1)], start=1):
        table.add("accuracy", 0.99, **depth, layer=layer, seed=0)
        table.add("accuracy", 0.98, **depth, layer=layer, change="window", step=8)
        table.add("accuracy", Interval(accuracy, accuracy - 0.1, accuracy + 0.1), **depth, layer=layer)
        table.add("accuracy", accuracy - 0.3, **depth, layer=layer, control="untrained")
        table.add("bits over window", 0.1 if layer == 1 else math.nan, **depth, layer=layer, step=8)
        table.add("selectivity", 0.2, **depth, layer=layer, seed=0)
        table.add("accuracy over control", Interval(0.2, lead, 0.3), **depth, layer=layer, control="untrained")
        table.add("accuracy over control", Interval(0.2, 0.1, 0.3), **depth, layer=layer, step=8, control="window")
        _add_measurements(table, layer)
    table.add("bits", Interval(2.5, 2.4, 2.6), label="next character")
    return table


def _add_measurements(table: Table, layer: int) -> None:
    for step in (0, 1):
        table.add("ripple", Interval(layer + step, 0.0, 9.0), layer=layer, step=step)
        for seed in (0, 1):
            table.add("ripple", 10 * seed + step, layer=layer, step=step, seed=seed, control="untrained")
        table.add("construction correlation", 0.5 + step, layer=layer, step=step)
        table.add("construction correlation", 0.25 + step, layer=layer, step=step, control="untrained")
    table.add("ripple half", Interval(math.nan, 1.0, 2.0), layer=layer)
    table.add("ripple 1 %", 20.0, layer=layer)
    table.add("ripple tail", 3.0, layer=layer)
    for seed in (0, 1):
        table.add("ripple half", 4.0 + seed, layer=layer, seed=seed, control="untrained")
        table.add("ripple 1 %", 30.0 + seed, layer=layer, seed=seed, control="untrained")
        table.add("ripple tail", 5.0 + seed, layer=layer, seed=seed, control="untrained")
    for control in ("trained", "untrained"):
        table.add("construction half", Interval(7.0, 6.0, 8.0), layer=layer, control=control)
        table.add("construction half", 7.0, layer=layer, unit=0, control=control)
        table.add("bits", 3.0 + layer, layer=layer, label="next character", control=control)
        table.add("accuracy", 0.1 * layer, layer=layer, label="next character", control=control)
    table.add("bits lost", 1.0, layer=layer, label="next character", change="zero")
    table.add("bits lost", 2.0, layer=layer, label="next character", change="mean")
    table.add("bits lost", 3.0, layer=layer, label="next character", change="reset", step=4)
    table.add("best unit AUC", 0.9, layer=layer, label="depth", label_class="two", unit=5)
    table.add("best unit p", 0.01, layer=layer, label="depth", label_class="two", unit=5)
    table.add("best unit AUC", 0.7, layer=layer, label="depth", label_class="two", unit=2, control="untrained")
    table.add("autocorrelation time", 11.0, layer=layer, unit=1)
    table.add("autocorrelation time", 10.0, layer=layer, unit=0)
    table.add("gate open", 0.3, layer=layer, label="f", unit=0)
    table.add("gate shut", 0.2, layer=layer, label="f", unit=0)


def _results(table: Table | None = None) -> Results:
    need = np.arange(8.0)
    return Results(
        figures=(table or _table()).figures(),
        verdict=judge(list("abcdefgh"), need, 1 + need[None] / 8, layers=2),
        facts={"seeds": 2, "characters": 100, "window": 8, "windows": [4, 8], "network": ["a", "b"]},
        counts={
            "ripples": {"n": 3, "seeds": 2},
            "construction": {"n": 3, "seeds": 1},
            "next_character": {"n": 50, "seeds": 1},
            "ablation": {"n": 60, "seeds": 1},
            "units": {"n": 50, "seeds": 1},
        },
    )


def test_the_table_is_tidy_and_typed(tmp_path: Path) -> None:
    _results().write(tmp_path)
    table = polars.read_parquet(tmp_path / TABLE)
    assert table.schema == SCHEMA
    assert list(SCHEMA) == [
        "layer", "label", "label_class", "metric", "step", "unit", "change", "value", "low", "high", "seed", "control",
    ]  # fmt: skip
    (row,) = table.filter(metric="bits lost", change="reset", layer=2).rows()
    assert row[:8] == (2, "next character", None, "bits lost", 4, None, "reset", 3.0)
    assert math.isnan(row[8])
    assert row[10:] == (None, "trained")


def test_what_no_column_knows_is_refused() -> None:
    table = Table()
    table.add("accuracy 8", 0.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(polars.exceptions.PolarsError, match="accuracy 8"):
        table.figures()


def test_a_figure_is_found_in_exactly_one_place() -> None:
    figures = _table().figures()
    assert figures.figure("accuracy", label="depth", layer=1).value == 0.8
    assert figures.figure("accuracy", label="depth", layer=1, seed=0).value == 0.99
    with pytest.raises(KeyError, match="0 figures 'accuracy'"):
        figures.figure("accuracy", label="depth", layer=3)
    twice = _table()
    twice.add("accuracy", 0.1, label="depth", layer=1)
    with pytest.raises(KeyError, match="2 figures 'accuracy'"):
        twice.figures().figure("accuracy", label="depth", layer=1)


def test_the_summary_holds_what_other_programs_read(tmp_path: Path) -> None:
    _results().write(tmp_path)
    summary = read_summary(tmp_path)
    assert summary["verdict"] == "supported"
    assert {"rho", "low", "high", "n", "seeds", "paragraph"} <= summary.keys()
    assert (summary["n"], summary["seeds"], summary["characters"]) == (8, 2, 100)
    (row,) = summary["probes"]
    assert (row["label"], row["need"], row["chance"], row["window"]) == ("depth", 0.8, 0.4, 0.5)
    assert (row["untrained"], row["layers"]) == ([0.5, pytest.approx(0.6)], [0.8, 0.9])
    assert (row["low"], row["high"]) == ([pytest.approx(0.7), 0.8], [pytest.approx(0.9), 1.0])
    assert (row["bits"], row["centre"], row["above"], row["against"]) == ([0.1, None], 1.6, [True, False], [])


def test_the_summarys_parts_are_the_tables_figures(tmp_path: Path) -> None:
    _results().write(tmp_path)
    summary = read_summary(tmp_path)
    ripple = summary["ripples"]["layers"][1]
    assert (ripple["layer"], ripple["curve"], ripple["low"], ripple["high"]) == (2, [2.0, 3.0], [0.0, 0.0], [9.0, 9.0])
    assert (ripple["untrained_low"], ripple["untrained_high"]) == ([0.0, 1.0], [10.0, 11.0])
    assert ripple["half"] == {"value": None, "low": 1.0, "high": 2.0}
    assert (ripple["untrained_half"], ripple["untrained_tail"]) == ([4.0, 5.0], [5.0, 6.0])
    construction = summary["construction"]["layers"][0]
    assert construction["half"] == {"value": 7.0, "low": 6.0, "high": 8.0}
    assert (construction["correlation"], construction["untrained_correlation"]) == ([0.5, 1.5], [0.25, 1.25])
    assert construction["untrained_half_of_units"] == [7.0]
    assert [layer["bits"]["value"] for layer in summary["next_character"]["layers"]] == [4.0, 5.0]
    assert summary["bits_per_character"] == summary["ablation"]["bits"]["value"] == 2.5
    ablation = summary["ablation"]["layers"][0]
    assert [ablation["zero"]["value"], ablation["mean"]["value"], ablation["resets"]["4"]["value"]] == [1.0, 2.0, 3.0]
    units = summary["units"]["layers"][0]
    assert units["autocorrelation_time"] == [10.0, 11.0]
    assert units["gates"] == {"f": {"open": [0.3], "shut": [0.2]}}
    assert units["best"] == [{"label": "depth", "class": "two", "unit": 5, "auc": 0.9, "p": 0.01, "untrained_auc": 0.7}]


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _results().write(tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in (TABLE, SUMMARY)}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(polars.DataFrame, "write_parquet", full)
    table = _table()
    table.add("accuracy", 0.1, label="other", layer=2)
    with pytest.raises(OSError, match="No space"):
        _results(table).write(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in (TABLE, SUMMARY)} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((TABLE, SUMMARY))


def test_a_missing_or_damaged_summary_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="deeprnn analyze"):
        read_summary(tmp_path)
    (tmp_path / SUMMARY).write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        read_summary(tmp_path)
    (tmp_path / SUMMARY).write_text(json.dumps({"format": "other"}))
    with pytest.raises(ValueError, match="not of format"):
        read_summary(tmp_path)


def test_an_earlier_versions_results_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / SUMMARY).write_text(json.dumps({"format": "deeprnn analysis 1"}))
    with pytest.raises(ValueError, match=r"earlier version of deeprnn\.\n  Run it again: deeprnn analyze"):
        read_summary(tmp_path)


def test_a_table_of_other_columns_is_refused(tmp_path: Path) -> None:
    polars.DataFrame({"layer": [1], "metric": ["accuracy"]}).write_parquet(tmp_path / TABLE)
    with pytest.raises(ValueError, match="columns layer, metric"):
        read_figures(tmp_path, {})
