"""How fast a network trains here, measured on a copy that is then thrown away."""

import copy
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from deeprnn.deep import DeepRNN
from deeprnn.training.schedule import Schedule
from deeprnn.training.settings import Settings
from deeprnn.training.task import Batches, Loss
from deeprnn.training.trainer import Trainer

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_LEAST_STEPS = 6
_NOT_COUNTED = 0.2
"""The share of the measured time that goes first: caches fill, memory is taken."""


def measure_step(
    net: DeepRNN,
    batches: Batches,
    loss: Loss,
    settings: Settings,
    fabric: "Fabric",
    seconds: float,
    report: Callable[[int], None] | None = None,
) -> float:
    """Seconds that a training step takes when nothing disturbs it; net and random numbers stay as they are.

    The lower quartile of as many steps as fit, so that something else that runs for a moment does not count.

    Args:
        net, batches, loss, settings, fabric: as for `Trainer`.
        seconds: how long to measure; one slow step may take longer.
        report: called after each step with the steps done.
    """
    with torch.random.fork_rng(enabled=True):
        trainer = Trainer(copy.deepcopy(net), batches, loss, settings, Schedule(10**9), fabric)
        began = before = time.perf_counter()
        counted: list[float] = []
        while True:
            trainer.advance()
            now = time.perf_counter()
            if report is not None:
                report(trainer.step)
            if now - began >= seconds * _NOT_COUNTED and trainer.step > 1:
                counted.append(now - before)
            before = now
            long_enough = now - began >= seconds
            if long_enough and (len(counted) >= _LEAST_STEPS or now - began >= 3 * seconds) and counted:
                return sorted(counted)[len(counted) // 4]
