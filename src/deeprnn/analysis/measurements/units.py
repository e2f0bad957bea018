"""Single units: which one stands for a label, which gates are stuck, how slowly each unit changes."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deeprnn.analysis.probes.examples import Labels, Split
from deeprnn.analysis.statistics import Floats, ranks

HIGH, LOW = 0.9, 0.1
"""Where a gate counts as open, and as shut (Karpathy 2015)."""


@dataclass(frozen=True)
class BestUnit:
    """The unit of a layer that tells one class of a label from all others best.

    Attributes:
        label, label_class: which class.
        unit: its index in the layer.
        auc: on the measured files; below 0.5 where the unit is low in the class.
        p: the share of shifted labels for which *any* unit of the layer does as well on the fitted files.
    """

    label: str
    label_class: int
    unit: int
    auc: float
    p: float


def auc(states: Tensor, positive: Tensor, scored: Tensor) -> Tensor:
    """(C, H) the chance that a unit is higher in a row of the class than in one of another class; ties count half.

    Args:
        states: (N, H).
        positive: (N, C) bool, rows of each class.
        scored: (N, C) bool, rows that count, `positive` ones among them.

    nan where a class has all rows, or none.

    >>> states = torch.tensor([[0.1], [0.2], [0.9]])
    >>> auc(states, torch.tensor([[0], [0], [1]]).bool(), torch.ones(3, 1).bool()).item()
    1.0
    """
    if bool(scored.all()):
        return _auc_of_ranks(ranks(states.T).T, positive)
    found = torch.full((positive.shape[1], states.shape[1]), torch.nan, dtype=torch.float64)
    for which in torch.unique(scored, dim=1).T:
        columns = (scored == which[:, None]).all(0)
        found[columns] = _auc_of_ranks(ranks(states[which].T).T, positive[which][:, columns])
    return found


def best_units(states: Tensor, labels: Labels, split: Split, *, shifts: int = 99, seed: int = 0) -> list[BestUnit]:
    """For every class of every label, the layer's unit that tells it best.

    Definition: the area under the curve (AUC) of each unit as a detector of the class: the unit with the largest
    |AUC - 1/2| on the fitted files, and its AUC on the measured ones, where it was not selected. p answers how often
    the best of H units is as good by chance: the labels are shifted against the states, round and round the fitted
    rows, by random distances; the largest |AUC - 1/2| over units is compared (the maximum over tests, so the many
    tests are accounted for, and the labels keep their runs).

    Args:
        states: (N, H), rows in the text's order. labels, split: as for the probes.
        shifts: how many; p is at least 1 / (shifts + 1).

    Cost: one sort of (N, H), then a product (H, N) (N, classes) a shift: a second or two for 20,000 rows.

    Pitfalls: that one unit tells a class does not make it a "unit for" it: most information is spread over many
    (compare with the probe), and a unit that tells a class also tells whatever goes with it. p is for one class of
    one layer: with many classes some are below 0.05 by chance.

    Source: Karpathy, Johnson & Li 2015 (single cells); Westfall & Young 1993 (the maximum over tests);
    Mann & Whitney 1947 (AUC from ranks).
    """
    found: list[BestUnit] = []
    fitted, measured = states[split.fit], states[split.measure]
    for name, size, values in zip(labels.names, labels.sizes, labels.values, strict=True):
        here, there = values[split.fit], values[split.measure]
        scored = here >= 0
        kept, classes = fitted[scored], F.one_hot(here[scored], size).bool()
        if len(kept) < 2:
            continue
        of_units = ranks(kept.T).T
        strength = (_auc_of_ranks(of_units, classes) - 0.5).abs().nan_to_num(-1.0)
        best = strength.argmax(1)
        reached = strength.gather(1, best[:, None])[:, 0]
        chance = _chance(of_units, classes, reached, shifts, seed)
        valid = there >= 0
        outside = auc(measured[valid], F.one_hot(there[valid], size).bool(), torch.ones(int(valid.sum()), size).bool())
        for index in range(size):
            value = float(outside[index, best[index]])
            if reached[index] >= 0 and np.isfinite(value):
                found.append(BestUnit(name, index, int(best[index]), value, float(chance[index])))
    return found


def saturation(gate: Tensor) -> tuple[Floats, Floats]:
    """(H,) the shares of steps at which each unit's gate is open (above 0.9), and shut (below 0.1).

    Args:
        gate: (..., H), values in 0..1, at steps that hold text.

    Definition: of a forget gate, a unit that is open nearly always remembers long; of an update gate z as torch's
    GRU has it, likewise.

    Cost: a comparison a value.

    Pitfalls: gates of other ranges (a GRU's n, an LSTM's g) don't saturate in this sense. An open forget gate
    holds whatever the cell has, be it nothing.

    Source: Karpathy, Johnson & Li 2015, section 4.2, figure 3.
    """
    rows = gate.reshape(-1, gate.shape[-1])
    return (rows > HIGH).double().mean(0).numpy(), (rows < LOW).double().mean(0).numpy()


def autocorrelation_time(states: Tensor, lengths: Tensor, *, longest: int = 500) -> Floats:
    """(H,) characters until a unit no longer resembles itself.

    Definition: the first lag at which the autocorrelation falls below 1/e, in between two lags by a straight line;
    mean and variance are the unit's over all files, products are summed over files. nan where it does not fall so
    far within the lags that there are, and for a unit that is still.

    Args:
        states: (T, B, H), a file in each column. lengths: (B,) steps that hold text.
        longest: the longest lag that is looked at; none is longer than half of the longest file.

    Cost: two Fourier transforms of (2 T, B, H).

    Pitfalls: a unit is as slow as the text it follows: indentation changes slowly, so a unit that tells it need not
    *remember* anything. Ripple and construction measure memory.

    Source: Murray et al. 2014 (intrinsic timescales from autocorrelation).
    """
    steps = states.shape[0]
    valid = (torch.arange(steps)[:, None] < lengths).unsqueeze(-1)
    count = valid.sum().clamp(min=1)
    mean = (states * valid).double().sum((0, 1)) / count
    centred = torch.where(valid, states.double() - mean, 0.0)
    lags = min(longest, max(2, int(lengths.max()) // 2))
    products = _lagged(centred, lags)
    pairs = _lagged(valid.double(), lags)
    correlation = products / pairs.clamp(min=1)
    variance = correlation[0]
    r = (correlation / variance.clamp(min=1e-300)).numpy()
    below = r < 1 / np.e
    first = below.argmax(0)
    reached = below.any(0) & (variance.numpy() > 1e-12)
    before, after = np.maximum(first - 1, 0), first
    columns = np.arange(r.shape[1])
    fall = r[before, columns] - r[after, columns]
    part = np.divide(r[before, columns] - 1 / np.e, fall, out=np.zeros_like(fall), where=fall > 0)
    return np.where(reached, before + part, np.nan)


def _lagged(series: Tensor, lags: int) -> Tensor:
    """(lags, H) sums over time and batch of s(t) s(t + lag), for (T, B, H)."""
    size = 2 * series.shape[0]
    total = torch.zeros(lags, series.shape[2], dtype=torch.float64)
    for column in range(series.shape[1]):
        spectrum = torch.fft.rfft(series[:, column], n=size, dim=0)
        total += torch.fft.irfft(spectrum.abs().square(), n=size, dim=0)[:lags]
    return total


def _auc_of_ranks(ranks: Tensor, positive: Tensor) -> Tensor:
    """(C, H) from ranks (N, H) and classes (N, C)."""
    ones = positive.sum(0).double()[:, None]
    zeros = len(ranks) - ones
    wins = positive.double().T @ ranks - ones * (ones - 1) / 2
    return torch.where((ones > 0) & (zeros > 0), wins / (ones * zeros).clamp(min=1), torch.nan)


def _chance(ranks: Tensor, classes: Tensor, reached: Tensor, shifts: int, seed: int) -> Tensor:
    """(C,) the share of shifts, the unshifted one counted, at which some unit reaches as much."""
    rows = len(ranks)
    random = torch.Generator().manual_seed(seed)
    least = max(1, rows // 20)
    as_good = torch.ones(len(reached), dtype=torch.float64)
    for _ in range(shifts):
        distance = int(torch.randint(least, max(least + 1, rows - least), (), generator=random))
        shifted = (_auc_of_ranks(ranks, classes.roll(distance, 0)) - 0.5).abs().nan_to_num(-1.0)
        as_good += shifted.amax(1) >= reached
    return as_good / (shifts + 1)
