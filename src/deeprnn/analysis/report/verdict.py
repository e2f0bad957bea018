"""Is "the higher the layer, the more context its features need" true of this net?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from deeprnn.analysis.statistics import Floats, percentiles, ranks

Finding: TypeAlias = Literal["supported", "not supported", "contradicted"]

FEWEST = 5
"""Labels that a rank correlation takes at least: with four, no order of them is rarer than one in 24."""
_RESAMPLES = 2000
_EXCEPTION = 0.25
"""A label is an exception where its two ranks differ by more than this share of all labels."""


@dataclass(frozen=True)
class Correlation:
    """Spearman's rho with its 95 % bootstrap interval over labels, seeds and files."""

    rho: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """What came out.

    Attributes:
        finding: see `judge`.
        trained, untrained: the correlation in the net, and in the same net untrained.
        shift: the correlation of need with what training added to the centres.
        n: labels that can be read from the net. seeds: repetitions, each with its own split of the files.
        exceptions: labels that stand elsewhere than their context need says, the farthest first.
        unread: labels that no layer lets a linear reader know, so that they have no centre and are left out.
        paragraph: all of this in plain words.
    """

    finding: Finding
    trained: Correlation
    untrained: Correlation | None
    shift: Correlation | None
    n: int
    seeds: int
    exceptions: tuple[str, ...]
    unread: tuple[str, ...]
    paragraph: str


def judge(
    names: Sequence[str],
    need: Floats,
    centres: Floats,
    *,
    untrained: Floats | None = None,
    layers: int,
    seed: int = 0,
) -> Verdict:
    """Whether labels that need more context are read at higher layers.

    Definition: Spearman's rho, over labels, between how much context a label needs (fixed from windows of the text,
    before any net) and its centre of gravity over the layers. `supported`: the interval lies above 0, and, where the
    same net untrained shows the same or may (its own interval lies above 0, or reaches up to the rho of the trained
    net), so does that of the shift: rho between need and what training added to each label's centre. `contradicted`:
    the interval lies below 0. Else `not supported`, which also says that there are too few labels or seeds to know.

    The shift, and not the difference of the two rhos: those are ranks, and where depth alone orders the labels well,
    however closely together, no training could raise its rho above 1.

    Args:
        names: n labels. need: (n,) context need, larger = more.
        centres: (S, R, n) centres of gravity for each seed and each of R bootstrap samples of its files, or (S, n);
            nan where a label can't be read at any layer. A label that can't in most samples is left out; the others
            are left out of the samples in which they can't.
        untrained: the same of the net untrained, sample by sample on the same files; a label that can be read from
            the trained net only has no shift.
        layers: L; one layer has no order, so the finding is `not supported`.
        seed: of the bootstrap.

    Cost: thousands of small sorts, below a second.

    Pitfalls: labels are few, overlap, and are the ones that somebody chose; the interval speaks of labels like these,
    and of this net: it does not hold what another training of it would give.
    Depth alone moves a centre upward, therefore the net untrained. A rho is about order, not about how far apart.

    Source: Spearman 1904; Efron & Tibshirani 1993 (bootstrap of pairs); centres as in Tenney et al. 2019.

    >>> need = np.arange(8.0)
    >>> judge(list("abcdefgh"), need, 1 + need[None] / 8, layers=3).finding
    'supported'
    """
    centres = _by_seed(centres)
    known = np.isfinite(need) & _is_read(centres)
    kept = [name for name, holds in zip(names, known, strict=True) if holds]
    unread = tuple(name for name, holds in zip(names, known, strict=True) if not holds)
    need, centres = need[known], centres[..., known]
    ours = _correlate(need, centres, seed)
    theirs = shift = None
    if untrained is not None:
        bare = _by_seed(untrained)[..., known]
        bare = np.where(_is_read(bare), bare, np.nan)
        theirs, shift = _correlate(need, bare, seed), _correlate(need, centres - bare, seed)
    finding, reason = _find(ours, theirs, shift, len(kept), layers)
    centre = _mean(centres, (0, 1))
    exceptions = _exceptions(kept, need, centre) if len(kept) >= FEWEST else ()
    paragraph = _paragraph(finding, reason, ours, theirs, shift, kept, need, centre, len(centres), layers)
    if exceptions:
        paragraph += f" Exceptions: {', '.join(exceptions)}."
    if unread:
        paragraph += f" Left out, since a linear probe can't read them off any layer: {', '.join(unread)}."
    return Verdict(finding, ours, theirs, shift, len(kept), len(centres), exceptions, unread, paragraph)


def _is_read(centres: Floats) -> NDArray[np.bool_]:
    """(n,) whether a label has a centre in most samples (S, R, n)."""
    return np.isfinite(centres).mean((0, 1)) > 0.5


def _mean(values: Floats, axis: int | tuple[int, ...]) -> Floats:
    """The mean of what is finite; nan where nothing is."""
    finite = np.isfinite(values)
    count = finite.sum(axis)
    total = np.where(finite, values, 0.0).sum(axis)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)


def _by_seed(centres: Floats) -> Floats:
    """(S, R, n) from (S, R, n) or (S, n)."""
    return centres if centres.ndim == 3 else centres[:, None]


def spearman(first: Floats, second: Floats) -> Floats:
    """Rank correlation along the last axis, ties sharing their mean rank; nan where all values are equal.

    Pairs of which one is nan are left out.

    >>> float(spearman(np.array([1.0, 2.0, 3.0]), np.array([2.0, 9.0, 4.0])))
    0.5
    """
    first, second = np.broadcast_arrays(first, second)
    both = np.isfinite(first) & np.isfinite(second)
    a, b = (_deviations(np.where(both, values, np.nan)) for values in (first, second))
    spread = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return np.divide((a * b).sum(-1), spread, out=np.full(np.shape(spread), np.nan), where=spread > 0)


def _deviations(values: Floats) -> Floats:
    """Ranks less their mean; 0 for nan."""
    ranks = np.where(np.isfinite(values), _ranks(values), np.nan)
    return np.nan_to_num(ranks - _mean(ranks, -1)[..., None])


def _ranks(values: Floats) -> Floats:
    return ranks(torch.from_numpy(values)).numpy()


def _correlate(need: Floats, centres: Floats, seed: int) -> Correlation:
    """Labels, seeds, and samples of the files are drawn; the same ones for the same seed."""
    n = len(need)
    if np.isfinite(_mean(centres, (0, 1))).sum() < FEWEST:
        return Correlation(math.nan, math.nan, math.nan)
    random = np.random.default_rng(seed)
    seeds, samples = centres.shape[:2]
    labels, size = random.integers(n, size=(_RESAMPLES, n)), (_RESAMPLES, seeds)
    resampled = _mean(centres[random.integers(seeds, size=size), random.integers(samples, size=size)], 1)
    drawn = spearman(need[labels], np.take_along_axis(resampled, labels, axis=1))
    value = float(spearman(need, _mean(centres, (0, 1))))
    found = percentiles(value, drawn)
    return Correlation(found.value, found.low, found.high)


def _find(
    ours: Correlation, theirs: Correlation | None, shift: Correlation | None, n: int, layers: int
) -> tuple[Finding, str]:
    if layers < 2:
        return "not supported", "the net has one layer, so there is no order of layers"
    if n < FEWEST:
        return "not supported", f"only {n} labels can be read from the net, and {FEWEST} are needed"
    if math.isnan(ours.rho):
        return "not supported", "all labels have the same centre, or need the same context"
    if ours.high < 0:
        return "contradicted", "labels that need more context are read at lower layers"
    if not ours.low > 0:
        return "not supported", "the interval of rho contains 0"
    if theirs is None or shift is None or not (theirs.low > 0 or theirs.high >= ours.rho):
        return "supported", "the interval lies above 0"
    if shift.low > 0:
        return "supported", "and more than depth alone gives"
    gives = "gives" if theirs.low > 0 else "may give"
    return "not supported", f"depth alone, in the same net untrained, {gives} such an order too"


def _exceptions(names: Sequence[str], need: Floats, centre: Floats) -> tuple[str, ...]:
    apart = np.abs(_ranks(need) - _ranks(centre))
    far = np.flatnonzero(apart > max(_EXCEPTION * len(names), 0.5))
    order: list[int] = far[np.argsort(-apart[far], kind="stable")].tolist()
    return tuple(names[index] for index in order)


_WORDS = {
    "supported": "Supported: the higher the layer, the more context its features need.",
    "not supported": 'Not supported: the claim that "the higher the layer, the more context its features need".',
    "contradicted": "Contradicted: in this net, higher layers need less context.",
}


def _paragraph(
    finding: Finding,
    reason: str,
    ours: Correlation,
    theirs: Correlation | None,
    shift: Correlation | None,
    names: Sequence[str],
    need: Floats,
    centre: Floats,
    seeds: int,
    layers: int,
) -> str:
    parts = [_WORDS[finding]]
    if math.isnan(ours.rho):
        return f"{parts[0]} No correlation could be computed: {reason}."
    parts.append(
        f"Over {len(names)} labels, the context that a label needs and the layer around which it is read have a rank "
        f"correlation of {ours.rho:+.2f} (95 % interval {ours.low:+.2f} to {ours.high:+.2f}; "
        f"{seeds} {'seed' if seeds == 1 else 'seeds'}, {layers} layers): {reason}."
    )
    if theirs is not None:
        parts.append(
            f"The same net untrained gives {theirs.rho:+.2f} ({theirs.low:+.2f} to {theirs.high:+.2f})."
            if math.isfinite(theirs.rho)
            else "In the same net untrained there is no order to correlate."
        )
    if shift is not None and math.isfinite(shift.rho):
        parts.append(
            f"What training added to a label's layer correlates with its need by {shift.rho:+.2f} ({shift.low:+.2f} to "
            f"{shift.high:+.2f})."
        )
    order = np.argsort(need, kind="stable")
    first, last = int(order[0]), int(order[-1])
    parts.append(
        f"At the two ends: {names[first]}, which needs least, is centred on layer {centre[first]:.2f}; "
        f"{names[last]}, which needs most, on layer {centre[last]:.2f}."
    )
    return " ".join(parts)
