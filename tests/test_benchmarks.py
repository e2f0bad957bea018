"""The benchmarks: operations are counted right, contenders agree, timing and tables tell what was measured."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import agreement, bound, children, contenders, measure, memory, report, targets
from benchmarks.contenders import OURS
from benchmarks.grid import CELLS, SHAPES, TASKS, Row, Shape, rows
from benchmarks.measure import Effort, Spread
from benchmarks.problem import problem_of
from benchmarks.session import measure_row
from deeprnn.kernels import force

TINY = Shape(L=3, H=7, B=3, T=5)
# Not torch.compile: it takes some twenty seconds a net, and python -m benchmarks compares its answers too.
PEERS = [
    *(("torch loop" if cell == "elman-softplus" else "torch.nn", cell, task) for cell in CELLS for task in TASKS),
    *(("JAX", cell, task) for cell in CELLS for task in TASKS),
    *(("ONNX Runtime", cell, "inference") for cell in CELLS),
]


def row_of(cell: str, task: str = "inference", shape: Shape = TINY, threads: int = 1) -> Row:
    return Row.from_json(
        {"cell": cell, "L": shape.L, "H": shape.H, "B": shape.B, "T": shape.T, "task": task, "threads": threads}
    )


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class TestGrid:
    def test_every_cell_shape_task_and_thread_count_is_there_once(self) -> None:
        grid = rows()
        assert len(grid) == len(set(grid)) == 5 * 8 * 2 * 2

    def test_a_row_survives_json(self) -> None:
        for row in rows():
            assert Row.from_json(json.loads(json.dumps(row.to_json()))) == row

    def test_an_unknown_cell_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no such cell"):
            rows(["elman"])

    @pytest.mark.parametrize("text", ["2,32,32", "2,32,32,0", "2,32,32,x"])
    def test_a_malformed_shape_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="L,H,B,T"):
            Shape.parse(text)


class TestBound:
    @pytest.mark.parametrize("task", TASKS)
    @pytest.mark.parametrize("cell", CELLS)
    def test_flops_are_those_of_the_products_that_torch_executes(self, cell: str, task: str) -> None:
        row = row_of(cell, task)
        contender = contenders.load(OURS).build(row, problem_of(row))
        with force("reference"), FlopCounterMode(display=False) as counter:
            contender.run()
        assert bound.flops(row) == counter.get_total_flops()

    def test_weight_bytes_of_a_row_counted_by_hand(self) -> None:
        lstm = row_of("lstm", shape=Shape(L=2, H=7, B=3, T=5))
        matrix = 4 * 7 * 7 * 4
        assert bound.weight_bytes(lstm) == 2 * (5 + 1) * matrix
        # Backward: W_hh in all steps but the first, W_xh of the upper layer.
        assert bound.weight_bytes(replace(lstm, task="training")) == (2 * (5 + 1) + 2 * 4 + 1) * matrix

    def test_the_smaller_limit_is_the_bound(self) -> None:
        row = row_of("elman-tanh", shape=Shape(L=1, H=64, B=1, T=1000))
        intensity = bound.flops(row) / bound.weight_bytes(row)
        assert bound.Limits(fma_gflops=100, read_gbps=1e9).gflops(row) == 100
        assert bound.Limits(fma_gflops=100, read_gbps=2).gflops(row) == pytest.approx(2 * intensity)


class TestContenders:
    @pytest.mark.parametrize(("name", "cell", "task"), PEERS)
    def test_answers_as_deeprnn_does(self, name: str, cell: str, task: str) -> None:
        row = row_of(cell, task)
        reason = contenders.reason_to_leave_out(name, row)
        if reason is not None and reason.endswith("is not installed"):
            pytest.skip(f"{name}: {reason}")
        assert reason is None
        ours, theirs = (contenders.load(who).build(row, problem_of(row)) for who in (OURS, name))
        answer, other = ours.read(ours.run()), theirs.read(theirs.run())
        gradients = {f"layers.{index}.{weight}" for index in range(3) for weight in problem_of(row).weights[0]}
        assert set(answer) == {"hidden"} | (gradients if task == "training" else set())
        assert agreement.furthest(answer, other, of=name)[1] < 2e-6

    @pytest.mark.parametrize("cell", CELLS)
    def test_each_row_has_torch_among_its_peers_once(self, cell: str) -> None:
        there = [name for name in contenders.TORCH if contenders.reason_to_leave_out(name, row_of(cell)) is None]
        assert there == (["torch loop"] if cell == "elman-softplus" else ["torch.nn"])

    def test_a_peer_that_is_not_installed_is_left_out_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(name: str) -> Any:
            raise ModuleNotFoundError(f"No module named {name!r}", name="jax.numpy")

        monkeypatch.setattr(contenders, "load", missing)
        assert contenders.reason_to_leave_out("JAX", row_of("gru")) == "jax.numpy is not installed"

    def test_training_never_meets_weights_of_the_same_version_twice(self) -> None:
        row = row_of("gru", "training")
        contender = contenders.load(OURS).build(row, problem_of(row))
        versions = [[leaf._version for leaf in leaves(contender.run()[0])] for _ in range(2)]
        assert len(versions[0]) == 3 * len(problem_of(row).weights[0])
        assert all(later > earlier for earlier, later in zip(*versions, strict=True))


def leaves(tensor: torch.Tensor) -> list[torch.Tensor]:
    """The tensors at the ends of the graph that computed one."""
    assert tensor.grad_fn is not None
    found: dict[int, torch.Tensor] = {}
    waiting, seen = [tensor.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found[id(node.variable)] = node.variable
        waiting += [edge for edge, _ in node.next_functions]
    return list(found.values())


class TestAgreement:
    def ours(self) -> dict[str, Any]:
        return {"hidden": np.ones((5, 3, 7), np.float32), "layers.0.bias": np.arange(7, dtype=np.float32)}

    def test_the_furthest_part_is_named(self) -> None:
        theirs = self.ours()
        theirs["layers.0.bias"] = theirs["layers.0.bias"] * np.float32(1 + 5e-5)
        name, distance = agreement.furthest(self.ours(), theirs, of="x")
        assert name == "layers.0.bias"
        assert distance == pytest.approx(5e-5, rel=1e-2)

    @pytest.mark.parametrize(
        ("part", "value", "message"),
        [
            ("layers.0.bias", np.arange(7) * 1.0002, "differs"),
            ("hidden", np.ones((5, 7, 3)), "shape"),
            ("hidden", np.full((5, 3, 7), np.nan), "not finite"),
        ],
    )
    def test_another_answer_raises(self, part: str, value: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            agreement.furthest(self.ours(), self.ours() | {part: value.astype(np.float32)}, of="x")

    def test_a_missing_part_raises(self) -> None:
        with pytest.raises(ValueError, match="answers with hidden, where"):
            agreement.furthest(self.ours(), {"hidden": self.ours()["hidden"]}, of="x")

    def test_a_wrong_contender_is_never_timed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module = contenders.load("torch.nn")
        build = module.build

        def wrong(row: Row, problem: Any) -> Any:
            return build(row, replace(problem, x=problem.x * np.float32(1.01)))

        monkeypatch.setattr(module, "build", wrong)
        monkeypatch.setattr(measure, "interleaved", lambda *_: pytest.fail("timed before it was compared"))
        with pytest.raises(ValueError, match=r"GRU .* torch\.nn: hidden differs"):
            measure_row(row_of("gru"), {"JAX": "not here", "ONNX Runtime": "not here"}, Effort(0.0, 1))


class Clock:
    """A clock that only waiting moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def wait(self, seconds: float) -> None:
        self.now += seconds


class TestMeasure:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        clock = Clock()
        monkeypatch.setattr(measure, "perf_counter", lambda: clock.now)
        monkeypatch.setattr(measure, "sleep", clock.wait)
        return clock

    def test_seconds_a_call_by_round(self, clock: Clock) -> None:
        runs = {"long": lambda: clock.wait(0.5), "short": lambda: clock.wait(0.001)}
        taken = measure.interleaved(runs, Effort(0.0, 3))
        assert taken["long"] == pytest.approx([0.5] * 3)
        assert taken["short"] == pytest.approx([0.001] * 3)

    def test_every_contender_has_a_turn_in_every_round_and_each_begins_once(self, clock: Clock) -> None:
        calls: list[str] = []

        def run(name: str) -> Callable[[], None]:
            return lambda: (calls.append(name), clock.wait(0.1))[1]

        measure.interleaved({name: run(name) for name in "abc"}, Effort(0.0, 3))
        assert "".join(calls) == "abcbcacab"

    def test_short_calls_are_repeated_within_a_turn_after_one_that_is_not_timed(self, clock: Clock) -> None:
        calls: list[str] = []

        def cold(name: str) -> Callable[[], None]:
            """A call that takes longer when another came before it."""

            def run() -> None:
                clock.wait(0.003 if calls and calls[-1] == name else 0.006)
                calls.append(name)

            return run

        taken = measure.interleaved({"a": cold("a"), "b": cold("b")}, Effort(0.0, 2))
        assert taken["a"] == pytest.approx([0.003] * 2)
        assert "".join(calls) == "ab" + 6 * "a" + 6 * "b" + 6 * "b" + 6 * "a"

    def test_rounds_go_on_until_the_seconds_of_all_are_spent(self, clock: Clock) -> None:
        runs = {"a": lambda: clock.wait(0.095), "b": lambda: clock.wait(0.195)}
        assert len(measure.interleaved(runs, Effort(seconds=1.0, rounds=1))["a"]) == 7
        assert len(measure.interleaved(runs, Effort(seconds=1e9, rounds=1))["a"]) == 15

    def test_long_rounds_need_three_only(self, clock: Clock) -> None:
        assert len(measure.interleaved({"a": lambda: clock.wait(5)}, Effort(0.0, 9))["a"]) == 3
        assert len(measure.interleaved({"a": lambda: clock.wait(3)}, Effort(0.0, 9))["a"]) == 9

    def test_a_spread_is_median_and_quartiles(self) -> None:
        assert Spread.of([5, 1, 2, 3, 4]) == Spread(2.0, 3.0, 4.0)


class TestMemory:
    @pytest.mark.skipif(not memory.possible(), reason="peak memory is read from /proc")
    def test_a_known_block_is_seen(self) -> None:
        """Each step keeps its hidden states; torch's loop some times as much, but not the twelvefold."""
        row = row_of("elman-tanh", "training", Shape(L=1, H=64, B=32, T=512))
        entry = memory.measure(row, "auto")
        kept = 4 * row.shape.T * row.shape.B * row.shape.H
        assert entry["torch"] == "torch.nn"
        for name in ("bytes", "torch_bytes"):
            assert kept <= entry[name] <= 12 * kept

    def test_an_error_in_the_process_is_told(self) -> None:
        with pytest.raises(children.ChildFailed, match="no such kernel"):
            children.answer("benchmarks.memory", row_of("gru", "training"), OURS, "nonesuch", environment={})


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
        "limits": None if share is None else {"fma_gflops": 1.0, "read_gbps": 1.0, "gflops": gflops / share},
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
        expected = "| GRU | training | 4.00x | 1.73x | 1.50x JAX, 3,512,64,128, 2 threads | 80% (70%) | 0.70x |"
        assert expected in lines

    def test_only_the_whole_grid_on_compiled_kernels_is_for_publication(self) -> None:
        entry = entry_of(row_of("gru", "training", SHAPES[3]), {"torch.nn": 2.0})
        assert report.publishable(results_of([entry]))
        assert not report.publishable(results_of([entry], complete=False))
        mixed = results_of([entry, entry | {"kernel": "aten"}])
        assert not report.publishable(mixed)
        assert "Not for publication: the whole grid, deeprnn's layers on aten, native." in report.summary(mixed)
        assert "Not for publication" not in report.summary(results_of([entry]))

    def test_the_plot_shows_every_row(self, tmp_path: Any) -> None:
        plot = pytest.importorskip("benchmarks.plot", reason="matplotlib is not installed")
        entries = [entry_of(row, {"torch.nn": 2.0}) for row in rows(["gru", "lstm"], SHAPES[:3], [2])]
        plot.draw(results_of(entries), 2, tmp_path / "grid.svg")
        drawn = (tmp_path / "grid.svg").read_text(encoding="utf-8")
        assert all(f"<!-- {shape} -->" in drawn for shape in SHAPES[:3])
        assert all(f"<!-- {cell}, {task} -->" in drawn for cell in ("GRU", "LSTM") for task in TASKS)
