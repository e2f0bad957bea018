"""A training started or resumed: what is checked and written before its next step."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from deeprnn.deep import DeepRNN
from deeprnn.disk.lock import Lock
from deeprnn.training.checkpoint import newest_checkpoint, read_checkpoint
from deeprnn.training.device import make_fabric
from deeprnn.training.errors import RunError, warn, writing
from deeprnn.training.interrupts import Interrupts
from deeprnn.training.loop import run_steps
from deeprnn.training.machine import Machine, append_segment, differences
from deeprnn.training.metrics import MetricsTable
from deeprnn.training.plan import Plan
from deeprnn.training.report import Progress, Report
from deeprnn.training.run import Run
from deeprnn.training.schedule import Schedule
from deeprnn.training.settings import Settings
from deeprnn.training.speed import measure_step
from deeprnn.training.task import Batches, Loss
from deeprnn.training.trainable import check_loss, check_restorable, check_trainable, functions_of
from deeprnn.training.trainer import Trainer

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_MEASURED = 0.02
"""The share of the time given that measuring the speed may take."""


@dataclass(frozen=True)
class TrainingResult:
    """What a training gives back.

    Attributes:
        net: the trained network, in evaluation mode.
        steps: how many steps it took in all.
        seconds: time spent on them, and on measuring the speed if that was in this call.
    """

    net: DeepRNN
    steps: int
    seconds: float


@dataclass(frozen=True)
class Continuation:
    """What a task loads of a run that is resumed."""

    net: DeepRNN
    batches: Batches
    loss: Loss


def train(
    net: DeepRNN,
    batches: Batches,
    loss: Loss,
    run: Run,
    settings: Settings | None = None,
    *,
    steps: int | None = None,
    seconds: float | None = None,
    write_data: Callable[[], Any] = lambda: None,
    source: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    fabric: "Fabric | None" = None,
    progress: Progress | None = None,
) -> TrainingResult:
    """Trains a network on a task's batches, into a run's directory.

    The weights follow from the network, the batches, the settings, the schedule of steps and the number of threads
    alone, which the run keeps: killed at any moment, `resume` ends with the same bits.

    Args:
        net: trained in place.
        batches: the data (see `Batches`).
        loss: what is minimised (see `Loss`).
        run: the directory, new or empty.
        settings: how to train; None for `Settings()`. Its batch and bptt are for whoever makes the batches.
        steps: how many batches to train on.
        seconds: instead of steps, how long to train. The speed is measured first (that time counts), then the
            number of steps is planned, and kept with the run. Where the machine later turns out to be so slow or
            so fast that the end would be off by a fiftieth (and a second), it is moved; that is kept too.
        write_data: writes the run's `DATA_FILES`; gives JSON that identifies the data.
        source: kept in the run's plan: how the task reads its data again.
        metadata: JSON that is kept in the run's plan; nothing here reads it.
        overwrite: replace a run that lies in the directory.
        fabric: from `make_fabric(settings)`; None to make it here.
        progress: called a few times a second with a `Report`.

    Raises:
        ValueError: an argument is out of range, or there is nothing to train.
        RunError: the directory is in use, or holds files that no training wrote; a file can't be written; or the loss
            or a weight is no longer finite (`Diverged`).
        Stopped: Ctrl-C (or SIGTERM) came; all is saved. It is a KeyboardInterrupt.
    """
    if (steps is None) == (seconds is None):
        raise ValueError("train(steps=..., seconds=...): give one of the two.")
    if (steps is not None and steps < 1) or (seconds is not None and not 0 < seconds < math.inf):
        raise ValueError(f"train(steps={steps}, seconds={seconds}): must be greater than 0.")
    check_trainable(net)
    check_loss(loss)
    net.check_savable()  # before a run is replaced
    run.check_free(overwrite=overwrite)
    settings = settings or Settings()
    settings = replace(settings, threads=settings.threads or torch.get_num_threads())
    fabric = fabric or make_fabric(settings)
    schedule = None if steps is None else Schedule(steps)
    plan = Plan(settings, schedule, seconds, source, metadata or {}, files={}, identity=None, machines=())
    with run.locked() as lock:
        run.check_replaceable(overwrite=overwrite, abandoned=lock.found_abandoned)
        if overwrite:
            with writing(run.path):
                run.clear()
        try:
            plan = run.create(net, plan, write_data)
            check_restorable(net, run.load_net(functions=functions_of(net), plan=plan))
        except BaseException:
            run.clear()
            raise
        return _continue(run, lock, Continuation(net, batches, loss), plan, fabric, progress)


def resume(run: Run, load: Callable[[Plan], Continuation], *, progress: Progress | None = None) -> TrainingResult:
    """Continues a run that was stopped or killed, to the weights that it would have had.

    Args:
        run: the directory.
        load: reads the network, the batches and the loss of the run whose plan it is given.
        progress: as for `train`.

    Raises:
        RunError: there is no run, it is damaged, or another process is training it; see also `train`.

    Warns:
        FileWarning: the weights will not be bit-identical, since another machine, or another version of torch or
            deeprnn, trained the first part; or a file carries no digest, since an older version wrote it.
    """
    run.read_plan()
    with run.locked() as lock:
        run.check_own_files()
        run.sweep()
        plan = run.read_plan()
        return _continue(run, lock, load(plan), plan, make_fabric(plan.settings), progress)


def _continue(
    run: Run, lock: Lock, task: Continuation, plan: Plan, fabric: "Fabric", progress: Progress | None
) -> TrainingResult:
    """From the newest checkpoint, or the beginning, to the last step."""
    torch.set_num_threads(plan.settings.threads or torch.get_num_threads())
    newest = newest_checkpoint(run.checkpoints)
    if newest is None and run.metrics_file.exists():
        raise RunError(
            f"{run.checkpoints} no longer holds a checkpoint, so {run.path} can't be resumed.\n"
            f"  Restore one from a copy, or train again with `overwrite=True`."
        )
    before = 0.0
    if plan.schedule is None:
        plan, before = _plan_steps(run, task, plan, fabric, progress)
    assert plan.schedule is not None
    trainer = Trainer(task.net, task.batches, task.loss, plan.settings, plan.schedule, fabric)
    table = MetricsTable(run.metrics_file, task.batches.unit, task.loss.metrics)
    if newest is not None:
        checkpoint = read_checkpoint(newest, trainer.tensors() | table.tensors(), plan.identity)
        if checkpoint.step > plan.schedule.steps:
            raise RunError(
                f"{newest} lies beyond the {plan.schedule.steps:,} steps of {run.plan_file}: "
                f"one of the two was replaced.\n  Restore both from one copy."
            )
        trainer.load(checkpoint.step, checkpoint.tensors)
        table.resume(checkpoint.step, checkpoint.tensors, checkpoint.rows)
    plan = _record_machine(run, trainer, plan)
    with Interrupts() as interrupts:
        run_steps(run, lock, trainer, table, interrupts, plan, progress)
    return TrainingResult(task.net.eval(), trainer.steps, before + table.seconds)


def _record_machine(run: Run, trainer: Trainer, plan: Plan) -> Plan:
    """The plan with what computes the next steps, written to disk if that is new; a warning where bits will differ."""
    machines = append_segment(plan.machines, trainer.step, Machine.of(trainer.net))
    if trainer.step == trainer.steps or machines == plan.machines:
        return plan
    if len(machines) > 1 and machines[-1].first == trainer.step:
        warn(
            f"{run.path} was trained up to step {trainer.step:,} by another machine "
            f"({differences(machines[-2].machine, machines[-1].machine)}):\n"
            f"  it continues, but its weights will not be bit-identical to those of an uninterrupted training."
        )
    plan = replace(plan, machines=machines)
    plan.write(run.plan_file)
    return plan


def _plan_steps(
    run: Run, task: Continuation, plan: Plan, fabric: "Fabric", progress: Progress | None
) -> tuple[Plan, float]:
    """The plan with a number of steps that fits in its seconds, written to disk; and the time that it took."""
    assert plan.seconds is not None
    batches = task.batches
    began = time.perf_counter()

    def report(done: int) -> None:
        if progress is not None:
            throughput = done * batches.units_per_batch / (time.perf_counter() - began)
            progress(Report(done, None, {}, throughput, batches.unit, 0.0, 0.0, math.nan))

    measured = min(max(1.0, _MEASURED * plan.seconds), 10.0, plan.seconds / 4)
    step_seconds = measure_step(task.net, batches, task.loss, plan.settings, fabric, measured, report)
    passed = time.perf_counter() - began
    left = plan.seconds - passed
    plan = replace(plan, schedule=Schedule(max(1, round(left / step_seconds))), seconds=max(left, 0.0))
    plan.write(run.plan_file)
    return plan, passed
