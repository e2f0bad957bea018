"""How fast a network trains here, measured on a copy that is then thrown away."""

import copy
import time
from collections.abc import Callable

import torch

from deeprnn.deep import DeepRNN
from deeprnn.tasks.text import Streams
from deeprnn.training.schedule import Course
from deeprnn.training.settings import Settings
from deeprnn.training.trainer import Trainer

_LEAST_STEPS = 6
_NOT_COUNTED = 0.2
"""The share of the measured time that goes first: caches fill, memory is taken."""


def measure_step(
    net: DeepRNN,
    streams: Streams,
    settings: Settings,
    seconds: float,
    tell: Callable[[int], None] | None = None,
) -> float:
    """Seconds that a training step takes when nothing disturbs it; net and random numbers stay as they are.

    The lower quartile of as many steps as fit, so that something else that runs for a moment does not count.

    Args:
        seconds: how long to measure; one slow step may take longer.
        tell: called after each step with the steps done.
    """
    with torch.random.fork_rng(enabled=True):
        trainer = Trainer(copy.deepcopy(net), streams, settings, Course(10**9))
        began = before = time.perf_counter()
        counted: list[float] = []
        while True:
            trainer.advance()
            now = time.perf_counter()
            if tell is not None:
                tell(trainer.step)
            if now - began >= seconds * _NOT_COUNTED and trainer.step > 1:
                counted.append(now - before)
            before = now
            long_enough = now - began >= seconds
            if long_enough and (len(counted) >= _LEAST_STEPS or now - began >= 3 * seconds) and counted:
                return sorted(counted)[len(counted) // 4]
