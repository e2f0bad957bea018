"""How far a one-character change travels in each layer."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deeprnn.analysis.statistics import Floats
from deeprnn.deep import DeepRNN

FORGOTTEN = 0.01
"""The relative distance below which a change counts as forgotten."""


@dataclass(frozen=True)
class Decay:
    """A layer's ripple in three numbers; nan where the sequence was too short to see it.

    Attributes:
        half: steps until the distance first falls below half its peak. 0 is the step of the change itself.
        one_percent: steps until the distance stays below 1 % of that between unrelated texts.
        tail: the decay constant behind `half`, in steps: exp(-t/tail) is the straight line through the logarithm,
            from there to 1 %.
    """

    half: float
    one_percent: float
    tail: float


def ripple(net: DeepRNN, x: Tensor, at: int, *, replacement: Tensor) -> Floats:
    """How long each layer remembers that one input was changed.

    The distance between the hidden states of two runs that differ in the one input at step `at`, divided by the mean
    distance between the rows of the batch, which are to be unrelated texts; the mean over rows of the one, divided
    by the mean over rows and steps of the other.

    Args:
        net: takes (T, B) integers, runs forward in time.
        x: token ids, (T, B), B >= 2: unrelated texts, side by side.
        at: the step that is changed, 0 <= at < T.
        replacement: the id put there, (B,).

    Returns:
        (L, T - at) relative distance between the two runs' hidden states, 0 = forgotten, 1 = as far apart
        as two unrelated texts.

    Raises:
        IndexError: `at` lies outside the sequence.
        ValueError: a shape does not fit, or there are no two texts to compare.

    Cost: two runs of the net over the batch.

    Pitfalls: depth alone delays a ripple. With torch's initialisation the untrained LSTM of four layers falls below
    half its peak after 2, 4, 6 and 8 steps, so a trained net's figures mean something only beside the same net
    untrained (`band`). A layer's distance starts well below 1 where the states hold much besides the last input.
    That a ripple is still there does not say that the net uses it.

    Source: the perturbation experiment of Hermans & Schrauwen 2013, section 4.

    >>> from deeprnn import DeepRNN, LSTM
    >>> net = DeepRNN(30, [LSTM(16), LSTM(16)])
    >>> x = torch.randint(30, (40, 8))
    >>> ripple(net, x, 10, replacement=(x[10] + 1) % 30).shape
    (2, 30)
    """
    return ripples(net, x, at, replacement=replacement).mean(2)


@torch.no_grad()
def ripples(net: DeepRNN, x: Tensor, at: int, *, replacement: Tensor) -> Floats:
    """`ripple` for each text by itself: (L, T - at, B)."""
    steps, batch = _check(x, at, replacement)
    changed = x.clone()
    changed[at] = replacement
    before = net(x[:at]).state if at else None
    first, second = net(x[at:], before).hidden, net(changed[at:], before).hidden
    curves = np.empty((len(first), steps - at, batch))
    for layer, (a, b) in enumerate(zip(first, second, strict=True)):
        unrelated = (a - a.roll(1, dims=1)).norm(dim=-1).mean()
        curves[layer] = ((a - b).norm(dim=-1) / unrelated).double().cpu().numpy()
    return curves


def decay(curve: Floats) -> Decay:
    """The three numbers of one layer's ripple, (T,).

    >>> decay(0.5 ** np.arange(20.0)).half
    2.0
    """
    peak = int(np.argmax(curve))
    half = _first(curve[peak:] < curve[peak] / 2, peak)
    above = np.flatnonzero(curve >= FORGOTTEN)
    one_percent = 0 if len(above) == 0 else int(above[-1]) + 1
    gone = float(one_percent) if one_percent < len(curve) else float("nan")
    return Decay(half, gone, float("nan") if np.isnan(half) else _tail(curve[int(half) : one_percent], int(half)))


def band(curves: list[Floats]) -> tuple[Floats, Floats]:
    """The lowest and the highest of several nets' ripples, (L, T) each: what untrained nets of other seeds give."""
    stacked = np.stack(curves)
    return stacked.min(0), stacked.max(0)


def _first(holds: NDArray[np.bool_], offset: int) -> float:
    found = np.flatnonzero(holds)
    return float(offset + found[0]) if len(found) else float("nan")


def _tail(part: Floats, start: int) -> float:
    if len(part) < 3 or part.min() <= 0:
        return float("nan")
    slope = float(np.polyfit(start + np.arange(len(part)), np.log(part), 1)[0])
    return -1 / slope if slope < 0 else float("nan")


def _check(x: Tensor, at: int, replacement: Tensor) -> tuple[int, int]:
    if x.dim() != 2 or x.is_floating_point() or x.shape[1] < 2:
        raise ValueError(f"x has shape {tuple(x.shape)}, {x.dtype}; a ripple needs ids (T, B) of B >= 2 texts.")
    steps, batch = x.shape
    if not 0 <= at < steps:
        raise IndexError(f"at={at} lies outside the sequence of {steps} steps.")
    if replacement.shape != (batch,):
        raise ValueError(f"replacement has shape {tuple(replacement.shape)}, but x has {batch} texts: give ({batch},).")
    return steps, batch
