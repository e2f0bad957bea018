"""How fast a network trains here, measured on a copy that is then thrown away."""

import copy
import time
from collections.abc import Callable

import torch

from deeprnn.deep import DeepRNN
from deeprnn.text import Streams
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
    """Seconds that a training step takes, the mean over as many as fit; net and random numbers stay as they are.

    Args:
        seconds: how long to measure; one slow step may take longer.
        tell: called after each step with the steps done.
    """
    with torch.random.fork_rng(enabled=True):
        trainer = Trainer(copy.deepcopy(net), streams, settings, Course(10**9))
        began = time.perf_counter()
        counted_from, first = began, 0
        while True:
            trainer.advance()
            now = time.perf_counter()
            if tell is not None:
                tell(trainer.step)
            if now - began < seconds * _NOT_COUNTED or trainer.step == 1:
                counted_from, first = now, trainer.step
            counted = trainer.step - first
            long_enough = now - began >= seconds
            if long_enough and (counted >= _LEAST_STEPS or now - began >= 3 * seconds) and counted:
                return (now - counted_from) / counted
