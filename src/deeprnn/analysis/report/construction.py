"""How long each unit takes to rebuild its context, in the net and in the same net untrained."""

import numpy as np

from deeprnn.analysis.measurements.construction import Construction, construction
from deeprnn.analysis.progress import Progress
from deeprnn.analysis.report.table import Control, Table
from deeprnn.analysis.report.text_sample import TextSample
from deeprnn.analysis.statistics import Floats, Interval
from deeprnn.deep import DeepRNN

BEFORE_SHARED, SHARED = 100, 100
"""Characters of the two histories, and of the text that both are followed by."""


def measure_construction(
    table: Table, sample: TextSample, net: DeepRNN, fresh: DeepRNN, *, snippets: int, progress: Progress
) -> None:
    """Adds how many characters units need until they agree with themselves after another history."""
    x = sample.snippets(snippets, BEFORE_SHARED + SHARED, seed=3)
    histories, shared = x[:BEFORE_SHARED], x[BEFORE_SHARED:]
    _add(table, construction(net, shared, histories, histories.roll(1, dims=1)), "trained")
    progress("construction", 1, 2)
    _add(table, construction(fresh, shared, histories, histories.roll(1, dims=1)), "untrained")
    progress("construction", 2, 2)


def _add(table: Table, found: Construction, control: Control) -> None:
    for layer, (half, correlation) in enumerate(zip(found.half, found.correlation, strict=True), start=1):
        table.add("construction half", _quartiles(half), layer=layer, control=control)
        for unit, steps in enumerate(half.tolist()):
            table.add("construction half", steps, layer=layer, unit=unit, control=control)
        for step, r in enumerate(np.nanmean(correlation, axis=1).tolist()):
            table.add("construction correlation", r, layer=layer, step=step, control=control)


def _quartiles(half: Floats) -> Interval:
    """The median over a layer's units, between the first and the third quartile."""
    finite = half[np.isfinite(half)]
    if not len(finite):
        return Interval(float("nan"))
    first, median, third = np.quantile(finite, [0.25, 0.5, 0.75]).tolist()
    return Interval(median, first, third)
