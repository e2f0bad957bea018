"""Results on disk: the table, the summary, and both whole or not at all."""

import json
import math
from pathlib import Path

import numpy as np
import polars
import pytest

from deeprnn.analysis.probes.scores import Interval
from deeprnn.analysis.report.results import SUMMARY, TABLE, ProbeRow, Results, read_summary
from deeprnn.analysis.report.verdict import judge


def _results() -> Results:
    need = np.arange(8.0)
    results = Results(facts={"seeds": 2, "characters": 100})
    results.add(1, "depth", "accuracy", Interval(0.8, 0.7, 0.9), seed=0)
    results.add(0, "depth", "accuracy", 0.5, control="window")
    results.probes.append(
        ProbeRow(
            label="depth",
            need=0.8,
            chance=0.4,
            window=0.5,
            untrained=(0.5, 0.6),
            layers=(0.8, 0.9),
            low=(0.7, 0.8),
            high=(0.9, 1.0),
            bits=(0.1, math.nan),
            centre=1.6,
            above=(True, False),
        )
    )
    results.parts["ripples"] = {"n": 3, "layers": [{"half": {"value": math.nan, "low": 1.0, "high": 2.0}}]}
    results.verdict = judge(list("abcdefgh"), need, 1 + need[None] / 8, layers=2)
    return results


def test_the_table_is_tidy(tmp_path: Path) -> None:
    _results().write(tmp_path)
    table = polars.read_parquet(tmp_path / TABLE)
    assert table.columns == ["layer", "label", "metric", "value", "low", "high", "seed", "control"]
    assert table.row(0) == (1, "depth", "accuracy", 0.8, 0.7, 0.9, 0, "trained")
    assert table.row(1)[:4] == (0, "depth", "accuracy", 0.5)
    assert math.isnan(table.row(1)[4])


def test_the_summary_holds_what_other_programs_read(tmp_path: Path) -> None:
    _results().write(tmp_path)
    summary = read_summary(tmp_path)
    assert summary["verdict"] == "supported"
    assert {"rho", "low", "high", "n", "seeds", "paragraph"} <= summary.keys()
    assert (summary["n"], summary["seeds"], summary["characters"]) == (8, 2, 100)
    (row,) = summary["probes"]
    assert (row["label"], row["window"], row["untrained"], row["layers"]) == ("depth", 0.5, [0.5, 0.6], [0.8, 0.9])
    assert row["bits"] == [0.1, None]
    assert summary["ripples"]["layers"][0]["half"] == {"value": None, "low": 1.0, "high": 2.0}


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _results().write(tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in (TABLE, SUMMARY)}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(polars.DataFrame, "write_parquet", full)
    changed = _results()
    changed.add(2, "depth", "accuracy", 0.1)
    with pytest.raises(OSError, match="No space"):
        changed.write(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in (TABLE, SUMMARY)} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((TABLE, SUMMARY))


def test_without_a_verdict_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no verdict"):
        Results().write(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_missing_or_damaged_summary_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="deeprnn analyze"):
        read_summary(tmp_path)
    (tmp_path / SUMMARY).write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        read_summary(tmp_path)
    (tmp_path / SUMMARY).write_text(json.dumps({"format": "other"}))
    with pytest.raises(ValueError, match="not of format"):
        read_summary(tmp_path)
