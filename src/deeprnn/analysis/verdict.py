"""Is "the higher the layer, the more context its features need" true of this net?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
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
        n: labels. seeds: repetitions, each with its own split of the files.
        exceptions: labels that stand elsewhere than their context need says, the farthest first.
        paragraph: all of this in plain words.
    """

    finding: Finding
    trained: Correlation
    untrained: Correlation | None
    n: int
    seeds: int
    exceptions: tuple[str, ...]
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
    same net untrained shows the same (its interval lies above 0 too), the trained one's rho exceeds it by an
    interval above 0. `contradicted`: the interval lies below 0. Else `not supported`, which also says that there
    are too few labels or seeds to know.

    Args:
        names: n labels. need: (n,) context need, larger = more.
        centres: (S, R, n) centres of gravity for each seed and each of R bootstrap samples of its files, or (S, n);
            nan where a label can't be read at any layer (a label with a nan is left out).
        untrained: the same of the net untrained; its rows are samples of their own.
        layers: L; one layer has no order, so the finding is `not supported`.
        seed: of the bootstrap.

    Cost: thousands of small sorts, below a second.

    Pitfalls: labels are few, overlap, and are the ones that somebody chose; the interval speaks of labels like these.
    Depth alone moves a centre upward, therefore the net untrained. A rho is about order, not about how far apart.

    Source: Spearman 1904; Efron & Tibshirani 1993 (bootstrap of pairs); centres as in Tenney et al. 2019.

    >>> need = np.arange(8.0)
    >>> judge(list("abcdefgh"), need, 1 + need[None] / 8, layers=3).finding
    'supported'
    """
    centres = _by_seed(centres)
    known = np.isfinite(centres).all((0, 1)) & np.isfinite(need)
    if untrained is not None:
        untrained = _by_seed(untrained)
        known &= np.isfinite(untrained).all((0, 1))
    kept = [name for name, holds in zip(names, known, strict=True) if holds]
    need, centres = need[known], centres[..., known]
    untrained = None if untrained is None else untrained[..., known]
    seeds, centre = len(centres), centres.mean((0, 1))
    draws = _draws(len(kept), seed)
    ours, drawn = _correlate(need, centres, draws, seed)
    theirs, drawn_untrained = (None, None) if untrained is None else _correlate(need, untrained, draws, seed + 1)
    finding, reason = _find(ours, drawn, theirs, drawn_untrained, len(kept), layers)
    exceptions = _exceptions(kept, need, centre) if len(kept) >= FEWEST else ()
    paragraph = _paragraph(finding, reason, ours, theirs, kept, need, centre, seeds, layers, exceptions)
    return Verdict(finding, ours, theirs, len(kept), seeds, exceptions, paragraph)


def _by_seed(centres: Floats) -> Floats:
    """(S, R, n) from (S, R, n) or (S, n)."""
    return centres if centres.ndim == 3 else centres[:, None]


def spearman(first: Floats, second: Floats) -> Floats:
    """Rank correlation along the last axis, ties sharing their mean rank; nan where all values are equal.

    >>> float(spearman(np.array([1.0, 2.0, 3.0]), np.array([2.0, 9.0, 4.0])))
    0.5
    """
    a, b = (rank - rank.mean(-1, keepdims=True) for rank in (_ranks(first), _ranks(second)))
    spread = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return np.divide((a * b).sum(-1), spread, out=np.full(np.shape(spread), np.nan), where=spread > 0)


def _ranks(values: Floats) -> Floats:
    below = (values[..., None, :] < values[..., :, None]).sum(-1)
    equal = (values[..., None, :] == values[..., :, None]).sum(-1)
    return below + (equal - 1) / 2


def _draws(n: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(max(n, 1), size=(_RESAMPLES, n))


def _correlate(need: Floats, centres: Floats, draws: NDArray[np.int64], seed: int) -> tuple[Correlation, Floats]:
    if len(need) < FEWEST:
        return Correlation(math.nan, math.nan, math.nan), np.full(len(draws), np.nan)
    random = np.random.default_rng(seed)
    seeds, samples = centres.shape[:2]
    size = (len(draws), seeds)
    resampled = centres[random.integers(seeds, size=size), random.integers(samples, size=size)].mean(1)
    drawn = spearman(need[draws], np.take_along_axis(resampled, draws, axis=1))
    value = float(spearman(need, centres.mean((0, 1))))
    finite = drawn[np.isfinite(drawn)]
    low, high = np.quantile(finite, [0.025, 0.975]) if len(finite) else (math.nan, math.nan)
    return Correlation(value, float(low), float(high)), drawn


def _find(
    ours: Correlation, drawn: Floats, theirs: Correlation | None, drawn_untrained: Floats | None, n: int, layers: int
) -> tuple[Finding, str]:
    if layers < 2:
        return "not supported", "the net has one layer, so there is no order of layers to speak of"
    if n < FEWEST:
        return "not supported", f"only {n} labels can be read from the net, and {FEWEST} are needed"
    if math.isnan(ours.rho):
        return "not supported", "all labels have the same centre, or need the same context"
    if ours.high < 0:
        return "contradicted", "labels that need more context are read at lower layers"
    if ours.low <= 0:
        return "not supported", "the interval of rho holds 0"
    if theirs is not None and drawn_untrained is not None and theirs.low > 0:
        # Both were drawn with the same labels, so the difference is paired.
        ahead = (drawn - drawn_untrained)[np.isfinite(drawn - drawn_untrained)]
        if len(ahead) == 0 or np.quantile(ahead, 0.025) <= 0:
            return "not supported", "depth alone, in the same net untrained, gives as much"
        return "supported", "and training has made it more than depth alone gives"
    return "supported", "the interval of rho lies above 0"


def _exceptions(names: Sequence[str], need: Floats, centre: Floats) -> tuple[str, ...]:
    apart = np.abs(_ranks(need) - _ranks(centre))
    far = np.flatnonzero(apart > max(_EXCEPTION * len(names), 0.5))
    order: list[int] = far[np.argsort(-apart[far], kind="stable")].tolist()
    return tuple(names[index] for index in order)


_WORDS = {
    "supported": "Supported: the higher the layer, the more context its features need.",
    "not supported": 'Not supported: that "the higher the layer, the more context its features need".',
    "contradicted": "Contradicted: in this net it is not so that the higher the layer, the more context it needs.",
}


def _paragraph(
    finding: Finding,
    reason: str,
    ours: Correlation,
    theirs: Correlation | None,
    names: Sequence[str],
    need: Floats,
    centre: Floats,
    seeds: int,
    layers: int,
    exceptions: Sequence[str],
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
    order = np.argsort(need, kind="stable")
    first, last = int(order[0]), int(order[-1])
    parts.append(
        f"At the two ends: {names[first]}, which needs least, is centred on layer {centre[first]:.2f}; "
        f"{names[last]}, which needs most, on layer {centre[last]:.2f}."
    )
    if exceptions:
        parts.append(f"Exceptions: {', '.join(exceptions)}.")
    return " ".join(parts)
