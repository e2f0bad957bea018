"""Figures with intervals, and ranks: what probes, measurements and the verdict share."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % bootstrap interval.

    Attributes:
        value: measured on everything.
        low, high: the 2.5 % and 97.5 % points of the bootstrap; nan where there is none.
    """

    value: float
    low: float = math.nan
    high: float = math.nan


def resamples(files: int, count: int, seed: int) -> Floats:
    """(count, files) how often each file is drawn in each of `count` draws with replacement."""
    random = np.random.default_rng(seed)
    return random.multinomial(files, np.full(files, 1 / files), size=count).astype(np.float64)


def interval(figure: Callable[[Floats | None], Floats], weights: Floats) -> Interval:
    """The figure on all files, and its 95 % bootstrap interval (percentiles) over resampled ones.

    Files are drawn, not characters: neighbouring characters are not independent observations. With few files the
    interval is too narrow.

    Args:
        figure: a Score's method, or a function of several Scores' methods with the same weights (then paired).
        weights: as `resamples` gives them.

    Source: Efron & Tibshirani 1993, chapter 13 (percentiles) and 8.6 (blocks as units).
    """
    return percentiles(float(figure(None)), figure(weights))


def percentiles(value: float, drawn: Floats) -> Interval:
    """A value with the 95 % interval of its bootstrap samples; samples that are nan are left out."""
    finite = drawn[np.isfinite(drawn)]
    low, high = np.quantile(finite, [0.025, 0.975]) if len(finite) else (math.nan, math.nan)
    return Interval(value, float(low), float(high))


def ranks(values: Tensor) -> Tensor:
    """Ranks along the last axis, from 0, equal values sharing their mean rank; those of nan mean nothing.

    >>> ranks(torch.tensor([0.3, 0.1, 0.3])).tolist()
    [1.5, 0.0, 1.5]
    """
    count = values.shape[-1]
    ordered, order = values.contiguous().sort(dim=-1)
    places = torch.arange(count).expand_as(ordered)
    begins = torch.ones_like(ordered, dtype=torch.bool)
    begins[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    if not bool(begins.all()):
        ends = torch.ones_like(begins)
        ends[..., :-1] = begins[..., 1:]
        first = torch.where(begins, places, 0).cummax(-1).values
        last = torch.where(ends, places, count).flip(-1).cummin(-1).values.flip(-1)
        places = (first + last) / 2
    return torch.empty(ordered.shape, dtype=torch.float64).scatter_(-1, order, places.double())
