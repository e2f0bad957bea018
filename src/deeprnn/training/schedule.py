"""The learning rate at each step."""

import math


def learning_rate(step: int, steps: int, *, highest: float, warm_up: int) -> float:
    """A straight rise over the first steps, then half a cosine that ends at 0 (Loshchilov & Hutter 2017).

    Args:
        step: 0 to steps - 1.
        steps: all steps of the run.
        highest: the rate at the end of the rise.
        warm_up: steps of the rise, cut to a tenth of all.

    >>> [round(learning_rate(step, 40, highest=1.0, warm_up=4), 2) for step in (0, 1, 3, 4, 22, 39)]
    [0.25, 0.5, 1.0, 1.0, 0.5, 0.0]
    """
    warm_up = min(warm_up, steps // 10)
    if step < warm_up:
        return highest * (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    return highest * 0.5 * (1 + math.cos(math.pi * done))
