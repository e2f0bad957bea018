"""The benchmarks: operations are counted right, contenders agree, turns are taken, memory is seen."""

import doctest
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import agreement, bound, children, compile_trial, contended, contenders, grid, measure, memory, publish
from benchmarks.contenders import OURS
from benchmarks.grid import CELLS, TASKS, Row, Shape, rows
from benchmarks.measure import Effort, Spread
from benchmarks.problem import problem_of
from benchmarks.session import measure_row
from deeprnn.kernels import force
from deeprnn.kernels.native import packed

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
        every = rows()
        assert len(every) == len(set(every)) == 5 * 8 * 2 * 2

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


@pytest.mark.parametrize("module", [grid, publish])
def test_examples_run(module: Any) -> None:
    failed, attempted = doctest.testmod(module)
    assert attempted
    assert not failed


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

    def test_contended_calls_have_a_busy_process_beside_them(self) -> None:
        """It takes processor time while the block runs, and is gone afterwards; the answers are compared."""
        before = os.times()
        with contended.busy_process():
            measure.rest()
        after = os.times()
        assert after.children_user - before.children_user > 0.05
        entry = contended.measure_row(row_of("gru", "training"), seconds=0.01)
        assert entry["torch"] == "torch.nn"
        for seconds in (entry["alone"], entry["contended"]):
            assert seconds.keys() == {OURS, "torch.nn"}
            assert all(value > 0 for value in seconds.values())

    def test_training_reuses_nothing_that_was_packed(self) -> None:
        row = row_of("gru", "training")
        contender = contenders.load(OURS).build(row, problem_of(row))
        packed.forget_packed()
        contender.run()
        assert not packed._kept


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

    def test_where_a_derivative_jumps_gradients_may_differ_more_and_states_may_not(self) -> None:
        bias = {"layers.0.bias": self.ours()["layers.0.bias"] * np.float32(1.01)}
        assert agreement.furthest(self.ours(), self.ours() | bias, of="x", jumps=True)[0] == "layers.0.bias"
        for beyond in (
            {"layers.0.bias": bias["layers.0.bias"] * np.float32(1.03)},
            {"hidden": self.ours()["hidden"] * 2},
        ):
            with pytest.raises(ValueError, match="differs"):
                agreement.furthest(self.ours(), self.ours() | beyond, of="x", jumps=True)

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
        assert len(measure.interleaved({"a": lambda: clock.wait(1.9)}, Effort(0.0, 9))["a"]) == 9

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


class TestCompileTrial:
    def test_longer_loops_are_not_tried_after_one_that_took_too_long(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        shapes = [Shape(L=1, H=8, B=1, T=steps) for steps in (30, 10, 40, 20)]
        loops = [row_of("elman-softplus", shape=shape) for shape in shapes]
        tried: list[int] = []

        def trial(row: Row, environment: object) -> float | str:  # noqa: ARG001
            tried.append(row.shape.T)
            return 5.0 if row.shape.T < 30 else "more than 60 s to compile"

        monkeypatch.setattr(compile_trial, "_try", trial)
        known: compile_trial.Outcomes = {compile_trial.key(loops[1]): 4.0}
        outcomes = compile_trial.try_all(loops, known, tmp_path, lambda: None)
        assert tried == [20, 30]
        assert [outcomes[compile_trial.key(row)] for row in loops] == [
            "more than 60 s to compile",
            4.0,
            "not tried: 1,8,1,30, with no more steps, took more than 60 s to compile",
            5.0,
        ]
