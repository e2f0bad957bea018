"""The benchmarks' tables: what misses a target is marked, means are means, only whole results are published."""

import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bound, publish, report, targets
from benchmarks.contenders import OURS
from benchmarks.grid import SHAPES, TASKS, Row, Shape, Task, rows


def row_of(cell: str, task: Task, shape: Shape, threads: int = 1) -> Row:
    return Row(cell, shape, task, threads)


def entry_of(row: Row, ratios: dict[str, float], share: float | None = 0.9, kernel: str = "native") -> dict[str, Any]:
    """A row's results, made up: ours takes 2 ms."""

    def around(value: float) -> dict[str, float]:
        return {"lower": 0.9 * value, "median": value, "upper": 1.1 * value}

    gflops = bound.flops(row) / 2e-3 / 1e9
    return row.to_json() | {
        "kernel": kernel,
        "rounds": 5,
        "contenders": {
            name: {"seconds": around(2e-3 * ratio), "ratio": around(ratio), "distance": 1e-7}
            for name, ratio in {OURS: 1.0, **ratios}.items()
        },
        "left_out": {"torch loop": "torch.nn has this cell"},
        "flops": bound.flops(row),
        "weight_bytes": bound.weight_bytes(row),
        "gflops": gflops,
        "limits": None if share is None else bound.Limits(gflops / share, 1e6).of(row),
    }


def results_of(entries: list[dict[str, Any]], *, complete: bool = True) -> dict[str, Any]:
    memory_entry = row_of("gru", "training", SHAPES[3]).to_json() | {
        "torch": "torch.nn",
        "bytes": 7_000_000,
        "torch_bytes": 10_000_000,
        "ratio": 0.7,
    }
    facts = {
        "processor": "Made Up 9000",
        "cores": 2,
        "instruction_set": "avx2",
        "date": "2026-01-02T03:04:05",
        "versions": {"torch": "2.13.0"},
    }
    return {"complete": complete, "machine": facts, "rows": entries, "memory": [memory_entry]}


class TestTargets:
    def misses(self, cell: str, task: str, shape: Shape, ratios: dict[str, float], share: float | None) -> list[str]:
        entry = entry_of(row_of(cell, task, shape), ratios, share)
        return targets.misses(entry, [entry])

    def test_a_row_that_reaches_everything(self) -> None:
        assert self.misses("lstm", "inference", SHAPES[3], {"torch.nn": 1.06, "JAX": 2.0}, 0.76) == []

    def test_a_faster_peer(self) -> None:
        assert self.misses("gru", "training", SHAPES[3], {"torch.nn": 3.0, "JAX": 0.99}, 0.7) == ["JAX is faster"]

    def test_torchs_lstm_in_inference(self) -> None:
        assert self.misses("lstm", "inference", SHAPES[3], {"torch.nn": 1.04}, 0.8) == ["torch's LSTM: 1.04x < 1.05x"]
        assert self.misses("lstm", "inference", SHAPES[5], {"torch.nn": 1.04}, 0.8) == []
        assert self.misses("lstm", "training", SHAPES[3], {"torch.nn": 1.04}, 0.8) == []

    @pytest.mark.parametrize(("task", "least"), [("inference", 0.75), ("training", 0.65)])
    def test_the_share_of_a_wide_row(self, task: str, least: float) -> None:
        assert self.misses("gru", task, SHAPES[2], {"JAX": 2.0}, least + 0.001) == []
        assert len(self.misses("gru", task, SHAPES[2], {"JAX": 2.0}, least - 0.011)) == 1

    def test_the_share_of_the_narrow_row_is_that_of_its_best_number_of_threads(self) -> None:
        one, two = (row_of("gru", "training", SHAPES[0], threads) for threads in (1, 2))
        entries = [entry_of(one, {"JAX": 2.0}, 0.61), entry_of(two, {"JAX": 2.0}, 0.4)]
        assert [targets.misses(entry, entries) for entry in entries] == [[], []]
        assert targets.misses(entries[1], entries[1:]) == ["share: 40% < 60%"]

    def test_rows_without_a_probe_or_a_target_miss_no_share(self) -> None:
        assert self.misses("gru", "training", SHAPES[3], {"JAX": 2.0}, None) == []
        assert self.misses("gru", "training", SHAPES[1], {"JAX": 2.0}, 0.1) == []

    def test_means_over_the_grid(self) -> None:
        entries = [
            entry_of(row_of("gru", "inference", SHAPES[3]), {"torch.nn": 2.0, "JAX": 4.0}),
            entry_of(row_of("elman-softplus", "inference", SHAPES[3]), {"torch loop": 8.0, "JAX": 1.0}),
        ]
        verdicts = {verdict.target: verdict for verdict in targets.verdicts(entries, [])}
        assert verdicts["geometric mean against torch.nn at least 3x"].measured == "4.00x"
        best = verdicts["geometric mean against each row's best peer at least 1.5x"]
        assert (best.measured, best.met) == (f"{math.sqrt(2):.2f}x", False)
        faster = verdicts["faster than every peer, every row"]
        assert (faster.measured, faster.met) == ("1 of 2 rows", False)
        assert verdicts["memory of a training step at most 0.6x torch's"].met is None

    def test_what_a_mean_would_be_at_the_bound(self) -> None:
        row = row_of("gru", "inference", SHAPES[3])
        entries = [entry_of(row, {"torch.nn": 2.0}, 0.5), entry_of(row, {"torch.nn": 9.0}, 1.5)]
        against_torch = targets.verdicts(entries, [])[1]
        assert (against_torch.measured, against_torch.at_bound) == (f"{math.sqrt(18):.2f}x", "6.00x")


class TestBound:
    def test_the_best_that_any_row_found_counts_for_all_with_as_many_threads_and_bytes(self) -> None:
        shapes = (SHAPES[3], SHAPES[3], SHAPES[6], SHAPES[3], SHAPES[3])
        threads, found = (1, 1, 1, 2, 2), ((90, 700), (100, 600), (80, 20), (170, 10), None)
        entries = [
            row_of("gru", "inference", shape, count).to_json()
            | {"limits": limits and dict(zip(("fma_gflops", "read_gbps"), limits, strict=True))}
            for shape, count, limits in zip(shapes, threads, found, strict=True)
        ]
        settled = [entry["limits"] for entry in bound.settled(entries)]
        assert [limits and (limits["fma_gflops"], limits["read_gbps"]) for limits in settled] == [
            (100, 700), (100, 700), (100, 20), (170, 10), None,
        ]  # fmt: skip
        assert settled[0]["gflops"] == 100
        assert bound.settled(bound.settled(entries)) == bound.settled(entries)


class TestReport:
    def test_the_table_tells_times_ratios_share_and_misses(self) -> None:
        entries = [
            entry_of(row_of("lstm", "inference", SHAPES[3], 2), {"torch.nn": 0.98, "ONNX Runtime": 1.5}, 0.5),
            entry_of(row_of("gru", "training", SHAPES[3], 1), {"torch.nn": 3.0}, None),
        ]
        lines = report.table(results_of(entries)).splitlines()
        (lstm,) = [line for line in lines if line.startswith("| LSTM | 2,256,32,100 | inference | 2 | native |")]
        assert "2.00 (1.80–2.20)" in lstm
        assert "0.98x (0.88–1.08)" in lstm
        assert "| 50% |" in lstm
        assert "✗ torch.nn is faster; ✗ torch's LSTM: 0.98x < 1.05x; ✗ share: 50% < 75%" in lstm
        (gru,) = [line for line in lines if line.startswith("| GRU | 2,256,32,100 | training | 1 |")]
        assert "no probe" in gru
        assert "✗" not in gru
        assert "| GRU | 2,256,32,100 | 7.00 | 10.0 | 0.70x | ✗ memory: 0.70x > 0.6x |" in lines
        assert "| torch loop | torch.nn has this cell | 2 |" in lines
        assert len({line.count("|") for line in lines if "2,256,32,100 | " in line and "native" in line}) == 1

    def test_the_summary_means_over_rows_and_names_the_worst(self) -> None:
        entries = [
            entry_of(row_of("gru", "training", SHAPES[3], 1), {"torch.nn": 2.0, "JAX": 4.0}, 0.8),
            entry_of(row_of("gru", "training", SHAPES[6], 2), {"torch.nn": 8.0, "JAX": 1.5}, 0.7),
        ]
        lines = report.summary(results_of(entries)).splitlines()
        expected = "| GRU | training | 4.00x | 1.73x | 1.50x JAX, 3,512,64,128, 2 threads | 80% (70%) | 0.70x (0.70x) |"
        assert expected in lines

    def test_a_contended_call_is_set_beside_the_same_call_alone(self) -> None:
        entry = row_of("lstm", "inference", SHAPES[3], 2).to_json() | {
            "torch": "torch.nn",
            "alone": {OURS: 0.025, "torch.nn": 0.028},
            "contended": {OURS: 0.05, "torch.nn": 1.12},
        }
        lines = report.contended(results_of([entry])).splitlines()
        assert "| LSTM | 2,256,32,100 | inference | 25.0 | 50.0 | 2.0x | 28.0 | 1120 | 40.0x |" in lines

    def test_only_the_whole_grid_on_compiled_kernels_is_for_publication(self) -> None:
        entry = entry_of(row_of("gru", "training", SHAPES[3]), {"torch.nn": 2.0})
        assert report.publishable(results_of([entry]))
        assert not report.publishable(results_of([entry], complete=False))
        mixed = results_of([entry, entry | {"kernel": "aten"}])
        assert not report.publishable(mixed)
        assert "Not for publication: the whole grid, deeprnn's layers on aten, native." in report.summary(mixed)
        assert "Not for publication" not in report.summary(results_of([entry]))

    def test_a_part_goes_into_no_document(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("matplotlib", reason="matplotlib is not installed")
        document = tmp_path / "benchmarks.md"
        monkeypatch.setattr(publish, "_DOCUMENT", document)
        monkeypatch.setattr(publish, "RESULTS", tmp_path)
        marks = "x <!-- begin summary.md -->old<!-- end summary.md --> y"
        document.write_text(marks, encoding="utf-8")
        entry = entry_of(row_of("gru", "training", SHAPES[3]), {"torch.nn": 2.0})
        publish.write(results_of([entry], complete=False), tmp_path)
        assert document.read_text(encoding="utf-8") == marks
        publish.write(results_of([entry]), tmp_path)
        assert report.summary(results_of([entry])).strip() in document.read_text(encoding="utf-8")
        names = {path.name for path in tmp_path.iterdir()} - {"benchmarks.md"}
        whole = {"grid.json", "table.md", "summary.md", "grid-1.svg"}
        assert names == whole | {"partial.json", "partial-table.md", "partial-summary.md", "partial-1.svg"}

    def test_the_plot_shows_every_row(self, tmp_path: Path) -> None:
        plot = pytest.importorskip("benchmarks.plot", reason="matplotlib is not installed")
        entries = [entry_of(row, {"torch.nn": 2.0}) for row in rows(["gru", "lstm"], SHAPES[:3], [2])]
        plot.draw(results_of(entries), 2, tmp_path / "grid.svg")
        drawn = (tmp_path / "grid.svg").read_text(encoding="utf-8")
        assert all(f"<!-- {shape} -->" in drawn for shape in SHAPES[:3])
        assert all(f"<!-- {cell}, {task} -->" in drawn for cell in ("GRU", "LSTM") for task in TASKS)
