"""Truncated backpropagation through time with carried state, in a run that survives being killed."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from deeprnn.activations import Function
from deeprnn.deep import DeepRNN
from deeprnn.disk.lock import Lock
from deeprnn.tasks.text import Corpus, Streams, Vocabulary
from deeprnn.training import place
from deeprnn.training.checkpoint import Checkpoint, newest_checkpoint, read_checkpoint, write_checkpoint
from deeprnn.training.errors import Diverged, RunError, Stopped, note, writing
from deeprnn.training.fits import check_comes_back, check_fits, check_trainable, functions_of
from deeprnn.training.interrupts import Interrupts
from deeprnn.training.machine import Machine, continued, differences
from deeprnn.training.metrics import Metrics
from deeprnn.training.plan import Plan
from deeprnn.training.report import Progress, Report, Reporter
from deeprnn.training.run import Run
from deeprnn.training.schedule import Course, TimeKeeper
from deeprnn.training.settings import Settings
from deeprnn.training.speed import measure_step
from deeprnn.training.trainer import Trainer, make_fabric

_ROWS = 400
"""About how many rows `metrics.csv` gets, if the end is not moved."""
_MEASURED = 0.02
"""The share of the time given that measuring the speed may take."""


@dataclass(frozen=True)
class Trained:
    """What a training gives back.

    Attributes:
        net: the trained network, in evaluation mode.
        run: where it lies on disk.
        corpus: the texts as they were read before the first step; what is measured afterwards is measured on these.
        vocabulary: what the network's symbols mean.
        steps: how many steps it took in all.
        batch: streams that were read side by side; fewer than the settings say where the text is short.
        characters: characters read in all steps.
        seconds: time spent on them, and on measuring the speed if that was in this call.
    """

    net: DeepRNN
    run: Run
    corpus: Corpus
    vocabulary: Vocabulary
    steps: int
    batch: int
    characters: int
    seconds: float


def train(
    net: DeepRNN,
    corpus: Corpus,
    vocabulary: Vocabulary,
    out: str | Path,
    settings: Settings | None = None,
    *,
    steps: int | None = None,
    seconds: float | None = None,
    asked: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Trained:
    """Trains a network to predict each character of a text from those before it, into a run's directory.

    Only `corpus.training` is read; nothing is evaluated. The weights follow from the network, the texts, the
    settings, the schedule of steps and the number of threads alone, which the run keeps: killed at any moment,
    `resume(out)` ends with the same bits.

    Args:
        net: reads and writes `len(vocabulary)` symbols; all its layers run forward. It is trained in place.
        corpus: the documents, as `Corpus.from_files`, `.from_texts` or `.of_python` give them.
        vocabulary: such as `Characters.of(corpus.training)`.
        out: the run's directory, new or empty.
        settings: batch, window, learning rate and so on; None for `Settings()`.
        steps: how many windows to train on.
        seconds: instead of steps, how long to train. The speed is measured first (that time counts), then the
            number of steps is planned, and kept with the run. Where the machine later turns out to be so slow or
            so fast that the end would be off by a fiftieth (and a second), it is moved; that is kept too.
        asked: what the caller wants to find in the run's plan later, as JSON; nothing here reads it.
        overwrite: replace a run that lies in `out`.
        progress: called a few times a second with a `Report`.

    Raises:
        ValueError, TextError: the network does not fit the vocabulary, or the text is too short.
        RunError: `out` is in use, or holds files that no training wrote; a file can't be written; or the loss or a
            weight is no longer finite (`Diverged`).
        Stopped: Ctrl-C (or SIGTERM) came; all is saved. It is a KeyboardInterrupt.

    >>> from deeprnn import DeepRNN, GRU
    >>> from deeprnn.tasks.text import Characters, Corpus
    >>> from deeprnn.training import Settings, evaluate, train
    >>> corpus = Corpus.from_texts(["to be or not to be, that is the question: " * 20], held_out=["to be or not"])
    >>> vocabulary = Characters.of(corpus.training)
    >>> net = DeepRNN(len(vocabulary), [GRU(16)], len(vocabulary), one_hot=True)
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as out:
    ...     trained = train(net, corpus, vocabulary, out, Settings(batch=4, window=16), steps=30)
    >>> evaluate(trained.net, corpus.held_out, vocabulary).bits_per_character < 4.2
    True
    """
    if (steps is None) == (seconds is None):
        raise ValueError("train(steps=..., seconds=...): give one of the two.")
    if (steps is not None and steps < 1) or (seconds is not None and not 0 < seconds < math.inf):
        raise ValueError(f"train(steps={steps}, seconds={seconds}): must be greater than 0.")
    check_fits(net, vocabulary)
    check_trainable(net)
    net.check_savable()  # before a run is replaced
    run = Run(Path(out))
    run.check_free(overwrite=overwrite)
    settings = settings or Settings()
    settings = replace(settings, threads=settings.threads or torch.get_num_threads())
    streams = _streams(corpus, vocabulary, settings)
    plan = Plan(settings, None if steps is None else Course(steps), seconds, corpus.source, asked or {}, {}, None, ())
    with place.held(run.path) as lock:
        place.check_free(run.path, overwrite=overwrite, abandoned=lock.found_abandoned)
        if overwrite:
            with writing(run.path):
                place.clear(run.path)
        try:
            plan = run.create(net, corpus, vocabulary, plan)
            check_comes_back(net, run.load_net(functions=functions_of(net), plan=plan))
        except BaseException:
            place.clear(run.path)
            raise
        return _continue(run, lock, net, corpus, vocabulary, streams, plan, progress)


def resume(
    out: str | Path,
    corpus: Corpus | None = None,
    *,
    functions: Mapping[str, Function] | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Continues a run that was stopped or killed, to the weights that it would have had.

    Args:
        out: the run's directory.
        corpus: its texts, where `train` was given texts that no file holds; else None: they are read again.
        functions: activations that no file holds, as for `DeepRNN.load`.
        progress: as for `train`.

    Raises:
        RunError, TextError: `out` holds no run, is damaged, or is being trained by another process; or the texts have
            changed; also as `train`.

    Warns:
        UserWarning: the weights will not be bit-identical, since another machine, or another version of torch or
            deeprnn, trained the first part; or a file carries no digest, since an older version wrote it.
    """
    run = Run(Path(out))
    run.read_plan()
    with place.held(run.path) as lock:
        place.check_own(run.path)
        place.sweep(run.path)
        plan = run.read_plan()
        net, vocabulary = run.load(functions=functions)
        if corpus is None:
            corpus = run.read_corpus()
        else:
            corpus.check_against(run.read_documents(plan=plan), run.manifest_file)
        streams = _streams(corpus, vocabulary, plan.settings)
        return _continue(run, lock, net, corpus, vocabulary, streams, plan, progress)


def _continue(
    run: Run,
    lock: Lock,
    net: DeepRNN,
    corpus: Corpus,
    vocabulary: Vocabulary,
    streams: Streams,
    plan: Plan,
    progress: Progress | None,
) -> Trained:
    """From the newest checkpoint, or the beginning, to the last step."""
    torch.set_num_threads(plan.settings.threads or torch.get_num_threads())
    newest = newest_checkpoint(run.checkpoints)
    if newest is None and run.metrics_file.exists():
        raise RunError(
            f"{run.checkpoints} no longer holds a checkpoint, so {run.path} can't be resumed.\n"
            f"  Restore one from a copy, or train anew with --overwrite."
        )
    before = 0.0
    if plan.course is None:
        plan, before = _fix_steps(run, net, streams, plan, progress)
    assert plan.course is not None
    trainer = Trainer(net, streams, plan.settings, plan.course)
    metrics = Metrics(run.metrics_file)
    if newest is not None:
        checkpoint = read_checkpoint(newest, trainer.tensors() | Metrics.expected(), plan.identity)
        if checkpoint.step > plan.course.steps:
            raise RunError(
                f"{newest} lies beyond the {plan.course.steps:,} steps of {run.plan_file}: "
                f"one of the two was replaced.\n  Restore both from one copy."
            )
        trainer.load(checkpoint.step, checkpoint.tensors)
        metrics = Metrics.resumed(run.metrics_file, checkpoint.step, checkpoint.tensors, checkpoint.rows)
    plan = _note_machine(run, trainer, plan)
    with Interrupts() as interrupts:
        _run_steps(run, lock, trainer, metrics, interrupts, plan, progress)
    return Trained(
        net=net.eval(),
        run=run,
        corpus=corpus,
        vocabulary=vocabulary,
        steps=trainer.steps,
        batch=streams.batch,
        characters=trainer.steps * streams.characters,
        seconds=before + metrics.seconds,
    )


def _note_machine(run: Run, trainer: Trainer, plan: Plan) -> Plan:
    """The plan with what computes the next steps, written to disk if that is new; a warning where bits will differ."""
    machines = continued(plan.machines, trainer.step, Machine.of(trainer.net))
    if trainer.step == trainer.steps or machines == plan.machines:
        return plan
    if len(machines) > 1 and machines[-1].first == trainer.step:
        note(
            f"{run.path} was trained up to step {trainer.step:,} by another machine "
            f"({differences(machines[-2].machine, machines[-1].machine)}):\n"
            f"  it continues, but its weights will not be bit-identical to those of an uninterrupted training."
        )
    plan = replace(plan, machines=machines)
    plan.write(run.plan_file)
    return plan


def _run_steps(
    run: Run,
    lock: Lock,
    trainer: Trainer,
    metrics: Metrics,
    interrupts: Interrupts,
    plan: Plan,
    progress: Progress | None,
) -> None:
    settings, row_every = plan.settings, max(1, trainer.course.planned // _ROWS)
    keeper = None if plan.seconds is None else TimeKeeper(plan.seconds, metrics.seconds)
    reporter = Reporter(trainer)
    if trainer.step == 0:
        _save(run, lock, trainer, metrics, plan)
        metrics.start()
    saved = time.monotonic()
    watched = time.perf_counter()
    while trainer.step < trainer.steps:
        began = time.perf_counter()
        step = trainer.advance()
        loss, norm = float(step.loss), float(step.gradient_norm)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            what = f"at step {trainer.step:,} the loss is {loss:.4g} and its gradient no longer finite"
            raise _diverged(run, what, settings)
        seconds = time.perf_counter() - began
        metrics.add(loss, norm, seconds)
        if keeper is not None:
            watched, before = time.perf_counter(), watched
            keeper.add(watched - before)  # with what was written since the step before
            end = keeper.better_end(trainer.step, trainer.course)
            if end is not None:
                trainer.course = trainer.course.change(trainer.step, end)
                plan = replace(plan, course=trainer.course)
                plan.write(run.plan_file)  # before a step depends on it
        reporter.add(loss, step.learning_rate, metrics.seconds)
        if trainer.step % row_every == 0 or trainer.step == trainer.steps:
            metrics.write_row(trainer.step, trainer.step * trainer.characters, step.learning_rate)
        if progress is not None and (reporter.is_due or trainer.step == trainer.steps):
            progress(reporter.report())
        if interrupts.asked and trainer.step < trainer.steps:
            _save(run, lock, trainer, metrics, plan)
            raise Stopped(run.path, trainer.step, trainer.steps)
        if time.monotonic() - saved >= settings.checkpoint_seconds:
            _save(run, lock, trainer, metrics, plan)
            saved = time.monotonic()
    _save(run, lock, trainer, metrics, plan)


def _fix_steps(run: Run, net: DeepRNN, streams: Streams, plan: Plan, progress: Progress | None) -> tuple[Plan, float]:
    """The plan with a number of steps that fits in its seconds, written to disk; and the time that it took."""
    assert plan.seconds is not None
    make_fabric(plan.settings)  # loads Lightning, which takes seconds that are no training
    began = time.perf_counter()

    def tell(done: int) -> None:
        if progress is not None:
            passed = time.perf_counter() - began
            progress(Report(done, None, math.nan, done * streams.characters / passed, 0.0, 0.0, math.nan))

    measured = min(max(1.0, _MEASURED * plan.seconds), 10.0, plan.seconds / 4)
    step_seconds = measure_step(net, streams, plan.settings, measured, tell)
    passed = time.perf_counter() - began
    left = plan.seconds - passed
    plan = replace(plan, course=Course(max(1, round(left / step_seconds))), seconds=max(left, 0.0))
    plan.write(run.plan_file)
    return plan, passed


def _save(run: Run, lock: Lock, trainer: Trainer, metrics: Metrics, plan: Plan) -> None:
    """Writes a checkpoint and the network, unless nothing could continue from it."""
    if not lock.is_in_place:
        raise RunError(
            f"{run.path} was moved, removed or replaced while it was trained; nothing more is written there.\n"
            f"  Its last checkpoint is whole: where the directory is now, --resume continues it."
        )
    name = trainer.not_finite()
    if name is not None:
        raise _diverged(run, f"after step {trainer.step:,} {name} is no longer finite", plan.settings)
    checkpoint = Checkpoint(trainer.step, trainer.tensors() | metrics.tensors(), plan.identity, metrics.digest)
    write_checkpoint(run.checkpoints, checkpoint)
    run.save_net(trainer.net, plan)


def _diverged(run: Run, what: str, settings: Settings) -> Diverged:
    newest = newest_checkpoint(run.checkpoints)
    rate = settings.learning_rate
    holds = (
        f"{newest} holds the network before that, but would come to the same end: train anew"
        if newest is not None
        else "Nothing was saved: train anew"
    )
    return Diverged(
        f"{run.path}: {what}.\n  {holds} with\n"
        f"  a lower --learning-rate (it was {rate:g}; try {rate / 10:g}) or a smaller --clip "
        f"(it was {settings.clip:g}), and --overwrite."
    )


def _streams(corpus: Corpus, vocabulary: Vocabulary, settings: Settings) -> Streams:
    symbols = (vocabulary.read(document) for document in corpus.training)
    return Streams(symbols, batch=settings.batch, window=settings.window, seed=settings.seed)
