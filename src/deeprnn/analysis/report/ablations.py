"""How much worse the net predicts with a layer taken away, and how another net predicts the same text."""

from collections.abc import Sequence

from deeprnn.analysis.measurements.ablation import ablate, negative_log_likelihood
from deeprnn.analysis.progress import Progress
from deeprnn.analysis.report.table import NEXT_CHARACTER, Table
from deeprnn.analysis.report.text_sample import TextSample
from deeprnn.analysis.statistics import interval, resamples
from deeprnn.deep import DeepRNN

_RESAMPLES = 1000


def measure_ablations(
    table: Table,
    sample: TextSample,
    net: DeepRNN,
    *,
    characters: int,
    resets: Sequence[int],
    progress: Progress,
) -> int:
    """Adds the net's own bits a character, and what it loses without each layer's contribution or memory.

    Args:
        characters: of each file, from its beginning. resets: every how many characters a state is reset.

    Returns:
        How many characters are predicted.
    """
    x, targets = sample.x[:characters], sample.targets[:characters]
    whole, changed = ablate(net, x, targets, resets=resets, progress=lambda done, of: progress("ablations", done, of))
    weights = resamples(x.shape[1], _RESAMPLES, seed=0)
    table.add("bits", interval(whole.bits, weights), label=NEXT_CHARACTER)
    for one in changed:
        table.add(
            "bits lost",
            one.bits_lost(whole, weights),
            layer=one.layer + 1,
            label=NEXT_CHARACTER,
            change=one.change,
            step=one.every,
        )
    return int(whole.count.sum())


def compare_predictions(table: Table, sample: TextSample, net: DeepRNN, other: DeepRNN, *, characters: int) -> None:
    """Adds another net's bits a character on what `measure_ablations` reads, and how many more they are."""
    ours, theirs = (
        negative_log_likelihood(one, sample.x[:characters], sample.targets[:characters]) for one in (net, other)
    )
    weights = resamples(len(sample.names), _RESAMPLES, seed=0)
    table.add("bits", interval(theirs.bits, weights), label=NEXT_CHARACTER, control="against")
    more = interval(lambda drawn: theirs.bits(drawn) - ours.bits(drawn), weights)
    table.add("bits over the run", more, label=NEXT_CHARACTER, control="against")
