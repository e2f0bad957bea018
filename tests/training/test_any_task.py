"""The loop trains a task that it knows nothing of: batches by step and rank, a loss, and metrics by name."""

import ast
import csv
import re
import signal
from collections.abc import Mapping
from pathlib import Path

import lightning_fabric
import pytest
import torch
from regression import SquaredError, Sums, net, run_in
from torch import Tensor

import deeprnn.training
from deeprnn.training import Batch, Continuation, Plan, Report, Settings, Stopped, resume, rows_of_rank, train

SETTINGS = Settings(learning_rate=0.02, checkpoint_seconds=0.0, device="cpu", threads=1)


def load(run):
    return lambda _plan: Continuation(run.load_net(), Sums(), SquaredError())


def rows_of(path: Path) -> list[dict[str, str]]:
    return [
        {name: value for name, value in row.items() if name != "seconds"}
        for row in csv.DictReader((path / "metrics.csv").read_text().splitlines())
    ]


@pytest.fixture(autouse=True)
def report_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deeprnn.training.report._SECONDS", 0.0)


def test_it_learns_and_its_metrics_have_columns_of_their_own(tmp_path: Path) -> None:
    result = train(net(), Sums(), SquaredError(), run_in(tmp_path), SETTINGS, steps=150)
    rows = rows_of(tmp_path)
    assert list(rows[0]) == ["step", "samples", "squared_error", "largest_error", "learning_rate", "gradient_norm"]
    errors = [float(row["squared_error"]) for row in rows]
    assert sum(errors[-10:]) < 0.5 * sum(errors[:10])
    assert rows[-1]["samples"] == str(150 * 6)
    assert result.steps == 150


def test_stopped_and_resumed_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    def stop(report: Report) -> None:
        if report.step == 7:
            signal.raise_signal(signal.SIGINT)

    whole = train(net(), Sums(), SquaredError(), run_in(tmp_path / "whole"), SETTINGS, steps=20)
    run = run_in(tmp_path / "parts")
    with pytest.raises(Stopped):
        train(net(), Sums(), SquaredError(), run, SETTINGS, steps=20, progress=stop)
    resumed = resume(run, load(run))
    for name, weight in whole.net.state_dict().items():
        assert torch.equal(weight, resumed.net.state_dict()[name]), name
    assert rows_of(tmp_path / "parts") == rows_of(tmp_path / "whole")


def test_lengths_and_resets_reach_the_network(tmp_path: Path) -> None:
    read: list[tuple[Tensor, Tensor]] = []
    network = net()
    network.register_forward_pre_hook(
        lambda _module, _args, given: read.append((given["resets"], given["lengths"])), with_kwargs=True
    )
    train(network, Sums(), SquaredError(), run_in(tmp_path), SETTINGS, steps=3)
    for step, (resets, lengths) in enumerate(read):
        batch = Sums().batch(step)
        assert torch.equal(resets, batch.resets)
        assert torch.equal(lengths, batch.lengths)


def test_a_run_keeps_what_its_task_and_its_caller_say(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    train(net(), Sums(), SquaredError(), run, SETTINGS, steps=1, source={"kind": "sums"}, metadata={"why": "a test"})
    plan: Plan = run.read_plan()
    assert (plan.source, plan.metadata) == ({"kind": "sums"}, {"why": "a test"})


def test_data_that_differ_make_another_run(tmp_path: Path) -> None:
    for name in ("one", "other"):
        train(
            net(), Sums(), SquaredError(), run_in(tmp_path / name), SETTINGS, steps=1, write_data=lambda name=name: name
        )
    assert run_in(tmp_path / "one").read_plan().identity != run_in(tmp_path / "other").read_plan().identity


def test_a_timed_training_makes_one_fabric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    class Counted(lightning_fabric.Fabric):
        def __init__(self, **arguments: object) -> None:
            made.append(arguments)
            super().__init__(**arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(lightning_fabric, "Fabric", Counted)
    train(net(), Sums(), SquaredError(), run_in(tmp_path), SETTINGS, seconds=1.0)
    assert len(made) == 1


@pytest.mark.parametrize("ranks", [1, 2, 3, 6])
def test_ranks_divide_the_rows(ranks: int) -> None:
    parts = [Sums().batch(3, rank, ranks) for rank in range(ranks)]
    whole = Sums().batch(3)
    assert torch.equal(torch.cat([part.inputs for part in parts], dim=1), whole.inputs)
    with pytest.raises(ValueError, match=r"`batch` must be a multiple of the number of processes, 4, got 6"):
        rows_of_rank(6, 0, 4)


class OneMetricTooFew:
    metrics = ("accuracy",)

    def __call__(self, result: object, targets: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        return SquaredError()(result, targets)


def test_a_metric_that_a_loss_names_and_does_not_give_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"OneMetricTooFew names the metric 'accuracy' and gives squared_error, larg"):
        train(net(), Sums(), OneMetricTooFew(), run_in(tmp_path), SETTINGS, steps=1)


def test_a_loss_with_weights_of_its_own_is_refused(tmp_path: Path) -> None:
    loss = SquaredError()
    loss.scale = torch.nn.Parameter(torch.ones(()))
    with pytest.raises(ValueError, match=r"the loss has parameters \(scale\), which would not be trained"):
        train(net(), Sums(), loss, run_in(tmp_path), SETTINGS, steps=1)
    assert list(tmp_path.iterdir()) == []


def test_a_batch_is_two_tensors_at_least() -> None:
    x = torch.zeros(1)
    assert Batch(x, x) == (x, x, None, None)


TASKS_WORDS = re.compile(
    r"character|vocabular|corpus|document|bits.per|symbol|\boptions?\b|command|(?<![\w-])--[a-z]", re.I
)


def test_nothing_in_training_speaks_of_text_or_of_a_command_line() -> None:
    assert TASKS_WORDS.search("a lower --learning-rate")
    assert TASKS_WORDS.search("bits_per_character")
    for path in Path(deeprnn.training.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            words = {
                ast.Constant: lambda node: node.value if isinstance(node.value, str) else "",
                ast.Name: lambda node: node.id,
                ast.Attribute: lambda node: node.attr,
                ast.arg: lambda node: node.arg,
            }.get(type(node), lambda _: "")(node)
            assert not TASKS_WORDS.search(words), f"{path.name}: {words}"
