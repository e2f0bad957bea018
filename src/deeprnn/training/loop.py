"""Truncated backpropagation through time with carried state, step by step, in a run that survives being killed."""

import math
import time
from dataclasses import replace

from deeprnn.disk.lock import Lock
from deeprnn.training.checkpoint import Checkpoint, newest_checkpoint, write_checkpoint
from deeprnn.training.errors import Diverged, RunError, Stopped
from deeprnn.training.interrupts import Interrupts
from deeprnn.training.metrics import MetricsTable
from deeprnn.training.plan import Plan
from deeprnn.training.report import Progress, Reporter
from deeprnn.training.run import Run
from deeprnn.training.schedule import TimeBudget
from deeprnn.training.settings import Settings
from deeprnn.training.trainer import Trainer

_ROWS = 400
"""About how many rows `metrics.csv` gets, if the end is not moved."""


def run_steps(
    run: Run,
    lock: Lock,
    trainer: Trainer,
    table: MetricsTable,
    interrupts: Interrupts,
    plan: Plan,
    progress: Progress | None,
) -> None:
    """Trains from the step where `trainer` and `table` are to the last one, and saves.

    Raises:
        Stopped: it was interrupted, and saved what it had.
        Diverged: the loss or a weight is no longer finite.
        RunError: a file can't be written, or the run was moved.
    """
    settings, row_every = plan.settings, max(1, trainer.schedule.planned // _ROWS)
    budget = None if plan.seconds is None else TimeBudget(plan.seconds, table.seconds)
    reporter = Reporter(trainer)
    if trainer.step == 0:
        _save(run, lock, trainer, table, plan)
        table.start()
    saved = time.monotonic()
    watched = time.perf_counter()
    while trainer.step < trainer.steps:
        began = time.perf_counter()
        step = trainer.advance()
        loss, norm = float(step.loss), float(step.gradient_norm)
        metrics = {name: float(value) for name, value in step.metrics.items()}
        if not (math.isfinite(loss) and math.isfinite(norm)):
            what = f"at step {trainer.step:,} the loss is {loss:.4g} and its gradient no longer finite"
            raise _diverged(run, what, settings)
        seconds = time.perf_counter() - began
        table.add(metrics, norm, seconds)
        if budget is not None:
            watched, before = time.perf_counter(), watched
            budget.add(watched - before)  # with what was written since the step before
            end = budget.revised_end(trainer.step, trainer.schedule)
            if end is not None:
                trainer.schedule = trainer.schedule.change(trainer.step, end)
                plan = replace(plan, schedule=trainer.schedule)
                plan.write(run.plan_file)  # before a step depends on it
        reporter.add(metrics, step.learning_rate, table.seconds)
        if trainer.step % row_every == 0 or trainer.step == trainer.steps:
            table.write_row(trainer.step, trainer.step * trainer.batches.units_per_batch, step.learning_rate)
        if progress is not None and (reporter.is_due or trainer.step == trainer.steps):
            progress(reporter.report())
        if interrupts.requested and trainer.step < trainer.steps:
            _save(run, lock, trainer, table, plan)
            raise Stopped(run.path, trainer.step, trainer.steps)
        if time.monotonic() - saved >= settings.checkpoint_seconds:
            _save(run, lock, trainer, table, plan)
            saved = time.monotonic()
    _save(run, lock, trainer, table, plan)


def _save(run: Run, lock: Lock, trainer: Trainer, table: MetricsTable, plan: Plan) -> None:
    """Writes a checkpoint and the network, unless nothing could continue from it."""
    if not lock.is_in_place:
        raise RunError(
            f"{run.path} was moved, removed or replaced while it was trained; nothing more is written there.\n"
            f"  Its last checkpoint is whole: where the directory is now, `resume(out)` continues it."
        )
    name = trainer.not_finite()
    if name is not None:
        raise _diverged(run, f"after step {trainer.step:,} {name} is no longer finite", plan.settings)
    checkpoint = Checkpoint(trainer.step, trainer.tensors() | table.tensors(), plan.identity, table.digest)
    write_checkpoint(run.checkpoints, checkpoint)
    run.save_net(trainer.net, plan)


def _diverged(run: Run, what: str, settings: Settings) -> Diverged:
    newest = newest_checkpoint(run.checkpoints)
    rate = settings.learning_rate
    holds = (
        f"{newest} holds the network before that, but would come to the same end: train again"
        if newest is not None
        else "Nothing was saved: train again"
    )
    return Diverged(
        f"{run.path}: {what}.\n  {holds} with\n"
        f"  a lower `learning_rate` (it was {rate:g}; try {rate / 10:g}) or a smaller `max_grad_norm` "
        f"(it was {settings.max_grad_norm:g}), and `overwrite=True`."
    )
