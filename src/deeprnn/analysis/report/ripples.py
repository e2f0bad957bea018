"""How long each layer remembers a changed character, in the net and in nets untrained."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from deeprnn.analysis.measurements.ripple import decay, ripples
from deeprnn.analysis.progress import Progress
from deeprnn.analysis.report.table import Control, Metric, Table
from deeprnn.analysis.report.text_sample import TextSample
from deeprnn.analysis.statistics import Floats, Interval, percentiles, resamples
from deeprnn.deep import DeepRNN

BEFORE_RIPPLE = 100
"""Characters that are read before a ripple is set off."""
DECAYS: dict[str, Metric] = {"half": "ripple half", "one_percent": "ripple 1 %", "tail": "ripple tail"}
"""By the names of `Decay`, those of the table."""


def measure_ripples(
    table: Table,
    sample: TextSample,
    net: DeepRNN,
    fresh: Sequence[DeepRNN],
    *,
    snippets: int,
    horizon: int,
    progress: Progress,
) -> None:
    """Adds the ripples of the net, with intervals over places, and of the nets untrained, a seed each.

    Args:
        net: the run's. fresh: untrained ones of several seeds.
        snippets: places that ripples start from. horizon: characters that they are followed.
    """
    x = sample.snippets(snippets, BEFORE_RIPPLE + horizon, seed=1)
    replacement = _another(x[BEFORE_RIPPLE], sample)
    weights = resamples(snippets, 200, seed=0)
    weights /= weights.sum(1, keepdims=True)
    for index, one in enumerate((net, *fresh)):
        curves = ripples(one, x, BEFORE_RIPPLE, replacement=replacement)
        if index == 0:
            _add(table, curves, weights, seed=None, control="trained")
        else:
            _add(table, curves, weights, seed=index - 1, control="untrained")
        progress("ripples", index + 1, 1 + len(fresh))


def _add(table: Table, curves: Floats, weights: Floats, *, seed: int | None, control: Control) -> None:
    """A net's ripples (L, T, B), and what describes their decay."""
    for layer, of_rows in enumerate(curves, start=1):
        low, high = np.quantile(of_rows @ weights.T, [0.025, 0.975], axis=1)
        steps = zip(of_rows.mean(1).tolist(), low.tolist(), high.tolist(), strict=True)
        for step, figure in enumerate(steps):
            table.add("ripple", Interval(*figure), layer=layer, step=step, seed=seed, control=control)
        value, drawn = decay(of_rows.mean(1)), [decay(curve) for curve in (of_rows @ weights.T).T]
        for name, metric in DECAYS.items():
            spread = percentiles(getattr(value, name), np.array([getattr(one, name) for one in drawn]))
            table.add(metric, spread, layer=layer, seed=seed, control=control)


def _another(symbols: Tensor, sample: TextSample) -> Tensor:
    """(B,) for each symbol another one, as frequent as the text has them."""
    random = torch.Generator().manual_seed(2)
    text = sample.x[1:][sample.targets[:-1] >= 0]
    found = symbols.clone()
    while bool((same := found == symbols).any()):
        found[same] = text[torch.randint(len(text), (int(same.sum()),), generator=random)]
    return found
