"""Training: it learns, it follows from its settings alone, and it goes on as if it had never stopped."""

import csv
import math
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small import corpus, net, vocabulary

from deeprnn import GRU, DeepRNN
from deeprnn.tasks.text import Characters, Corpus, Streams, TextError, TextRun, evaluate, resume, train
from deeprnn.training import Diverged, Report, RunError, Settings, Stopped
from deeprnn.training.schedule import Schedule, TimeBudget

SETTINGS = Settings(batch=4, bptt=5, learning_rate=0.01, seed=3, checkpoint_seconds=0.5)


def weights_of(network: DeepRNN) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in network.state_dict().items()}


def assert_same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def stop_at(step: int, number: signal.Signals = signal.SIGINT):
    """A progress that does what Ctrl-C does, or `kill`, once so many steps are done."""

    def progress(report: Report) -> None:
        if report.steps is not None and report.step >= step:
            os.kill(os.getpid(), number)

    return progress


@pytest.fixture(autouse=True)
def report_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["deeprnn.training.report"], "_SECONDS", 0.0)


def test_it_learns_a_text_by_heart(tmp_path: Path) -> None:
    text = "the quick brown fox jumps over the lazy dog. " * 20
    given = Corpus.from_texts([text], held_out=[text[:200]])
    symbols = Characters.of(given.training)
    torch.manual_seed(0)
    network = DeepRNN(len(symbols), [GRU(32)], len(symbols))
    train(network, given, symbols, tmp_path, Settings(batch=4, bptt=20, learning_rate=0.02), steps=150)
    assert evaluate(network, given.held_out, symbols).bits_per_character < 0.5


def test_the_first_step_is_adamw_on_the_first_batch(tmp_path: Path) -> None:
    settings = Settings(batch=4, bptt=5, learning_rate=0.01, weight_decay=0.1, max_grad_norm=0.05)
    network, expected = net(dropout=0.0).double(), net(dropout=0.0).double()
    for one in (network, expected):  # without noise both can be computed twice
        for layer in one.recurrent_layers:
            layer.cell = type(layer.cell)(
                layer.cell.width, activation=layer.cell.activation, learn_initial=layer.cell.learn_initial
            )
    symbols = vocabulary()
    batch = Streams([symbols.read(d) for d in corpus().training], batch_size=4, bptt=5, seed=0).batch(0)
    output = expected(batch.inputs, resets=batch.resets).output
    loss = torch.nn.functional.cross_entropy(output.flatten(0, 1), batch.targets.flatten())
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(expected.parameters(), 0.05)
    assert norm > 0.05  # so that clipping shows
    groups = [
        {"params": [w for w in expected.parameters() if w.dim() == 2], "weight_decay": 0.1},
        {"params": [w for w in expected.parameters() if w.dim() == 1], "weight_decay": 0.0},
    ]
    torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.99)).step()
    train(network, corpus(), symbols, tmp_path, settings, steps=1)
    for (name, weight), wanted in zip(network.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(weight, wanted, rtol=1e-5, atol=1e-6, msg=name)


def test_state_is_carried_from_batch_to_batch(tmp_path: Path) -> None:
    """With no learning, the losses are those of one pass over whole streams."""
    network, symbols = net(dropout=0.0).double(), vocabulary()
    layers = [GRU(7), GRU(5, learn_initial=True)]
    torch.manual_seed(1)
    network = DeepRNN(len(symbols), layers, len(symbols)).double()
    streams = Streams([symbols.read(d) for d in corpus().training], batch_size=4, bptt=5, seed=3)
    batches = [streams.batch(step) for step in range(streams.steps_per_pass)]
    none = torch.zeros(5, 4, dtype=torch.bool)
    with torch.no_grad():
        output = network(
            torch.cat([w.inputs for w in batches]),
            resets=torch.cat([none if w.resets is None else w.resets for w in batches]),
        ).output
    losses = torch.nn.functional.cross_entropy(
        output.flatten(0, 1), torch.cat([w.targets for w in batches]).flatten(), reduction="none"
    ).view(len(batches), -1)
    told: list[float] = []
    settings = Settings(batch=4, bptt=5, learning_rate=1e-12, weight_decay=0.0, seed=3)
    train(
        network,
        corpus(),
        symbols,
        tmp_path,
        settings,
        steps=len(batches),
        progress=lambda report: told.append(report.metrics["bits_per_character"]),
    )
    torch.testing.assert_close(
        torch.tensor(told, dtype=torch.float64), losses.mean(dim=1) / math.log(2), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("precision", ["32-true", "bf16-true", "bf16-mixed", "64-true"])
def test_stopped_and_resumed_it_ends_with_the_same_bits(precision, tmp_path: Path) -> None:
    settings = replace(SETTINGS, precision=precision)
    whole = train(net(), corpus(), vocabulary(), tmp_path / "whole", settings, steps=40)
    with pytest.raises(Stopped, match="Stopped at step 9 of 40"):
        train(net(), corpus(), vocabulary(), tmp_path / "parts", settings, steps=40, progress=stop_at(9))
    with pytest.raises(Stopped, match="Stopped at step 23 of 40"):
        resume(tmp_path / "parts", corpus(), progress=stop_at(23, signal.SIGTERM))
    torch.manual_seed(99)  # what a program did in between does not matter
    resumed = resume(tmp_path / "parts", corpus())
    assert resumed.steps == 40
    assert_same_bits(weights_of(whole.net), weights_of(resumed.net))
    assert_same_bits(weights_of(whole.net), weights_of(DeepRNN.load(tmp_path / "parts")))
    tables = [
        list(csv.DictReader((tmp_path / name / "metrics.csv").read_text().splitlines())) for name in ("whole", "parts")
    ]
    assert len(tables[0]) == 40
    for row in tables[0] + tables[1]:
        row.pop("seconds")
    assert tables[0] == tables[1]


def test_the_number_of_steps_is_planned_once_and_the_rest_follows(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(TimeBudget, "revised_end", lambda *_: None)  # however busy the machine
    with pytest.raises(Stopped):
        train(net(), corpus(), vocabulary(), tmp_path / "timed", SETTINGS, seconds=4, progress=stop_at(3))
    timed = resume(tmp_path / "timed", corpus())
    counted = train(net(), corpus(), vocabulary(), tmp_path / "counted", SETTINGS, steps=timed.steps)
    assert_same_bits(weights_of(timed.net), weights_of(counted.net))


@pytest.mark.parametrize(("moved", "dies_at"), [(12, 9), (55, 45)], ids=["sooner", "later"])
def test_to_keep_the_time_the_end_moves_and_the_same_again(
    moved: int, dies_at: int, tmp_path: Path, monkeypatch
) -> None:
    def revised_end(_: TimeBudget, step: int, schedule: Schedule) -> int | None:
        return moved if step == 7 and not schedule.changes else None

    def die(report: Report) -> None:
        if report.step == dies_at:
            raise MemoryError

    monkeypatch.setattr(sys.modules["deeprnn.training.start"], "measure_step", lambda *_: 10.0)
    monkeypatch.setattr(TimeBudget, "revised_end", revised_end)
    settings = replace(SETTINGS, checkpoint_seconds=1000.0)
    whole = train(net(), corpus(), vocabulary(), tmp_path / "whole", settings, seconds=400)
    assert whole.steps == moved
    assert TextRun(tmp_path / "whole").read_plan().schedule == Schedule(40, ((7, moved),))
    with pytest.raises(MemoryError):
        train(net(), corpus(), vocabulary(), tmp_path / "parts", settings, seconds=400, progress=die)
    assert [path.name for path in (tmp_path / "parts" / "checkpoints").iterdir()] == ["step-000000000.safetensors"]
    resumed = resume(tmp_path / "parts", corpus())
    assert resumed.steps == moved
    assert_same_bits(weights_of(whole.net), weights_of(resumed.net))


def test_interrupted_while_its_speed_is_measured_it_begins_anew(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(TimeBudget, "revised_end", lambda *_: None)  # however busy the machine

    def interrupt(report: Report) -> None:
        assert report.steps is None
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(net(), corpus(), vocabulary(), tmp_path / "timed", SETTINGS, seconds=2, progress=interrupt)
    timed = resume(tmp_path / "timed", corpus())
    counted = train(net(), corpus(), vocabulary(), tmp_path / "counted", SETTINGS, steps=timed.steps)
    assert_same_bits(weights_of(timed.net), weights_of(counted.net))


def test_a_finished_run_resumes_to_itself(tmp_path: Path) -> None:
    whole = train(net(), corpus(), vocabulary(), tmp_path, SETTINGS, steps=5)
    assert_same_bits(weights_of(whole.net), weights_of(resume(tmp_path, corpus()).net))


def test_a_second_ctrl_c_interrupts_at_once_and_the_last_checkpoint_stands(tmp_path: Path) -> None:
    def press_twice(report: Report) -> None:
        if report.step == 7:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as raised:
        train(net(), corpus(), vocabulary(), tmp_path / "parts", SETTINGS, steps=20, progress=press_twice)
    assert not isinstance(raised.value, Stopped)
    assert signal.getsignal(signal.SIGINT) is before
    whole = train(net(), corpus(), vocabulary(), tmp_path / "whole", SETTINGS, steps=20)
    assert_same_bits(weights_of(whole.net), weights_of(resume(tmp_path / "parts", corpus()).net))


def test_seeds_decide(tmp_path: Path) -> None:
    one = train(net(), corpus(), vocabulary(), tmp_path / "1", SETTINGS, steps=5)
    other = train(net(), corpus(), vocabulary(), tmp_path / "2", replace(SETTINGS, seed=4), steps=5)
    assert not torch.equal(one.net.output.weight, other.net.output.weight)


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_it_whole(tmp_path: Path) -> None:
    network = net()

    def poison(report: Report) -> None:
        if report.step == 6:
            with torch.no_grad():
                network.output.weight[0, 0] = torch.nan

    settings = replace(SETTINGS, checkpoint_seconds=100.0)
    with pytest.raises(Diverged, match=r"(?s)at step 7 the loss is nan.*step-000000000.*`learning_rate`.*try 0\.001"):
        train(network, corpus(), vocabulary(), tmp_path, settings, steps=20, progress=poison)
    assert all(torch.isfinite(w).all() for w in DeepRNN.load(tmp_path).parameters())
    resume(tmp_path, corpus())


def test_a_network_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    symbols, size = vocabulary(), len(vocabulary())
    with pytest.raises(ValueError, match=rf"reads 3 symbols and writes 3, but the vocabulary has {size}"):
        train(DeepRNN(3, [GRU(2)], 3), corpus(), symbols, tmp_path / "a", SETTINGS, steps=1)
    with pytest.raises(ValueError, match="batch_first"):
        train(DeepRNN(size, [GRU(2)], size, batch_first=True), corpus(), symbols, tmp_path / "a", SETTINGS, steps=1)
    both = DeepRNN(size, [GRU(2, direction="both")], size)
    with pytest.raises(ValueError, match="runs backward in time"):
        train(both, corpus(), symbols, tmp_path / "a", SETTINGS, steps=1)
    with pytest.raises(TextError, match="fewer than the 1000 steps"):
        train(net(), corpus(), symbols, tmp_path / "a", Settings(bptt=1000), steps=1)
    for length in ({}, {"steps": 1, "seconds": 1.0}, {"steps": 0}, {"seconds": 0.0}, {"seconds": math.nan}):
        with pytest.raises(ValueError, match="train\\(steps="):
            train(net(), corpus(), symbols, tmp_path / "a", SETTINGS, **length)
    assert not (tmp_path / "a").exists()


def test_texts_that_a_program_gave_must_be_given_again(tmp_path: Path) -> None:
    train(net(), corpus(), vocabulary(), tmp_path, SETTINGS, steps=2)
    with pytest.raises(RunError, match="give them again"):
        resume(tmp_path)
