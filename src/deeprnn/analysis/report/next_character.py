"""How well the next character can be read off each layer, in the net and in the net untrained."""

from collections.abc import Sequence

from torch import Tensor

from deeprnn.analysis.measurements.next_character import fit_heads
from deeprnn.analysis.probes.examples import Split
from deeprnn.analysis.progress import Progress
from deeprnn.analysis.report.table import NEXT_CHARACTER, Control, Table, Where
from deeprnn.analysis.report.text_sample import TextSample
from deeprnn.analysis.statistics import interval, resamples


def measure_next_character(
    table: Table,
    sample: TextSample,
    symbols: int,
    trained: Sequence[Tensor],
    untrained: Sequence[Tensor],
    *,
    progress: Progress,
) -> int:
    """Adds the bits and the accuracy of a head on each layer's states (N, H), of the net and of the net untrained.

    Returns:
        How many characters the heads are measured on.
    """
    split = Split.of(sample.groups, seed=0)
    weights = resamples(split.files, 1000, seed=0)
    jobs, done = 2 * len(trained), 0
    nets: tuple[tuple[Control, Sequence[Tensor]], ...] = (("trained", trained), ("untrained", untrained))
    for control, states in nets:
        for layer, of_layer in enumerate(states, start=1):
            (head,) = fit_heads([of_layer], sample.next_symbol, symbols, split)
            where: Where = {"layer": layer, "label": NEXT_CHARACTER, "control": control}
            table.add("bits", interval(head.score.bits, weights), **where)
            table.add("accuracy", interval(head.score.accuracy, weights), **where)
            done += 1
            progress("next character", done, jobs)
    return len(split.measure)
