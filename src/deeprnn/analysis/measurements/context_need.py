"""How much context each label needs, from windows of the text alone: the order that is fixed before any net is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deeprnn.analysis.labels import Label
from deeprnn.analysis.probes.examples import Labels, Split, window_features
from deeprnn.analysis.probes.probe import marginal_bits, probe
from deeprnn.analysis.probes.scores import Score
from deeprnn.analysis.statistics import Floats, Interval, interval, resamples

WINDOWS = (1, 4, 8, 24)
_SYMBOLS = 128
"""Characters told apart: the most frequent ones; all others are one."""
_DRAWS = 200


@dataclass(frozen=True)
class ContextNeed:
    """How much context one label needs.

    Attributes:
        label: its name. causal: whether it is fixed by the text so far.
        need: the share of the label's entropy that a window leaves open, averaged over the windows: 0 where one
            character tells all, 1 where the longest window tells nothing. nan where the files show one class only.
        marginal: H(y) on the measured files, bits.
        bits: H(y | last k characters), an upper bound of it, by k.
        accuracy: of the window's classifier, by k.
        majority: the accuracy of always naming the class that is most frequent in the measured files.
    """

    label: str
    causal: bool
    need: Interval
    marginal: float
    bits: dict[int, float]
    accuracy: dict[int, float]
    majority: float


def context_need(
    texts: Mapping[str, str],
    chosen: Sequence[Label],
    *,
    windows: Sequence[int] = WINDOWS,
    characters: int = 20_000,
    seed: int = 0,
) -> tuple[ContextNeed, ...]:
    """Orders labels from those that a glance tells to those that need much text.

    Definition: for each window of the last k characters (the labelled one included), softmax regression of all labels
    on the window's one-hot characters, fitted and measured on different files (see `probe`); need = the mean over k of
    H(y | w_k) / H(y), at most 1.

    Args:
        texts: files by name, at least three; for Python labels, those that `labels.readable` lets through.
        chosen: the labels.
        windows: k.
        characters: how many positions are drawn, spread over the files.
        seed: of the draw, the split into files, and the bootstrap.

    Returns:
        One for each label, the least need first; labels with nothing to measure last, in name's order.

    Raises:
        ValueError: fewer than three files, or none has a character.

    Cost: for 20,000 characters of 12 labels the four fits take half a minute on one core, longer windows more; the
    labels themselves 3 s for each million characters of `texts`. Deterministic.

    Pitfalls: the reader is linear, so what hangs on several characters at once (a word, a number of brackets) counts
    as needing more than its window; and the order is that of these texts. With few characters a long window
    memorises them and can leave more open than a shorter one. A label whose frequent class is nearly always right has
    little entropy, and its need a wide interval.

    Source: the window as baseline is that of the n-gram features in probing (Hewitt & Liang 2019 for why a baseline);
    H(y | w_k) as what a linear reader can use of a window is the usable information of Xu et al. 2020.

    >>> from deeprnn.analysis import labels
    >>> words = {str(i): "one two. three four five. " * 8 for i in range(6)}
    >>> needs = context_need(words, labels.all_of("text"), windows=(1, 4), characters=600)
    >>> needs[0].label
    'character class'
    """
    ids = _ids(texts)
    files, places = _draw([len(text) for text in ids], characters, seed)
    longest = max(windows)
    window = torch.from_numpy(_windows(ids, files, places, longest))
    labels = _labels(list(texts.values()), chosen, files, places)
    split = Split.of(files, seed)
    weights = resamples(split.files, _DRAWS, seed)
    scores = {
        k: probe(window_features(window[:, longest - k :], _SYMBOLS), labels, split).scores for k in sorted(windows)
    }
    found = [
        _need(label, place, {k: of_k[place] for k, of_k in scores.items()}, labels, split, weights)
        for place, label in enumerate(chosen)
    ]
    return tuple(sorted(found, key=lambda one: (not np.isfinite(one.need.value), one.need.value, one.label)))


def need_of(bits: Floats, marginal: Floats) -> Floats:
    """The need of a label.

    Args:
        bits: (..., K), H(y | w_k) for each window. marginal: (...), H(y).

    >>> need_of(np.array([1.0, 0.5, 0.0, 0.0]), np.array(1.0)).item()
    0.375
    """
    return np.minimum(bits / np.asarray(marginal)[..., None], 1.0).mean(-1)


def table(needs: Sequence[ContextNeed]) -> str:
    """The order as a table: need with its interval, entropy, and what each window leaves of it, in bits.

    >>> one = ContextNeed("digit", True, Interval(0.2, 0.1, 0.3), 0.5, {1: 0.1}, {1: 0.98}, 0.9)
    >>> print(table([one]))
    label  need               H(y)  k=1   accuracy k=1
    digit  0.20 [0.10, 0.30]  0.50  0.10          0.98
    """
    windows = list(needs[0].bits) if needs else []
    width = max([len("label"), *(len(one.label) for one in needs)])
    heads = [f"{'label':{width}}", f"{'need':17}", "H(y)", *(f"k={k}".ljust(4) for k in windows)]
    lines = ["  ".join([*heads, *(f"accuracy k={k}" for k in windows[-1:])])]
    for one in needs:
        need = f"{one.need.value:.2f} [{one.need.low:.2f}, {one.need.high:.2f}]"
        cells = [f"{one.label:{width}}", f"{need:17}", f"{one.marginal:.2f}", *(f"{one.bits[k]:.2f}" for k in windows)]
        last = [f"{one.accuracy[k]:{len(f'accuracy k={k}')}.2f}" for k in windows[-1:]]
        lines.append("  ".join([*cells, *last]))
    return "\n".join(lines)


def _need(
    label: Label, place: int, scores: Mapping[int, Score], labels: Labels, split: Split, weights: Floats
) -> ContextNeed:
    any_score = next(iter(scores.values()))

    def marginal(weights: Floats | None) -> Floats:
        return marginal_bits(labels, split, any_score, place, weights)

    def need(weights: Floats | None) -> Floats:
        left = need_of(np.stack([score.bits(weights) for score in scores.values()], -1), marginal(weights))
        return np.where(one_class, np.nan, left)

    true = any_score.true.sum(0)
    one_class = np.count_nonzero(true) < 2
    return ContextNeed(
        label=label.name,
        causal=label.causal,
        need=interval(need, weights),
        marginal=float(marginal(None)),
        bits={k: float(score.bits()) for k, score in scores.items()},
        accuracy={k: float(score.accuracy()) for k, score in scores.items()},
        majority=float(true.max() / max(true.sum(), 1)),
    )


def _ids(texts: Mapping[str, str]) -> list[NDArray[np.int64]]:
    """Each text as symbols, 0 the most frequent character."""
    points = [np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32) for text in texts.values()]
    kinds, places, counts = np.unique(np.concatenate(points), return_inverse=True, return_counts=True)
    if not len(kinds):
        raise ValueError("the texts hold no characters.")
    rank = np.empty(len(kinds), np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(kinds))
    ends = np.cumsum([len(text) for text in points])[:-1]
    return np.split(np.minimum(rank, _SYMBOLS - 1)[places], ends)


def _draw(lengths: Sequence[int], characters: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The file and the place in it of each drawn character, in the order of the text."""
    total = sum(lengths)
    drawn = np.random.default_rng(seed).choice(total, size=min(characters, total), replace=False)
    drawn.sort()
    ends = np.cumsum(lengths)
    files = np.searchsorted(ends, drawn, side="right")
    return files.astype(np.int64), (drawn - (ends - np.asarray(lengths))[files]).astype(np.int64)


def _windows(
    ids: Sequence[NDArray[np.int64]], files: NDArray[np.int64], places: NDArray[np.int64], k: int
) -> NDArray[np.int64]:
    """(N, k): the k characters up to each place, -1 before the file's beginning."""
    found = np.empty((len(places), k), np.int64)
    for file, symbols in enumerate(ids):
        mine = files == file
        padded = np.concatenate([np.full(k - 1, -1, np.int64), symbols])
        found[mine] = np.lib.stride_tricks.sliding_window_view(padded, k)[places[mine]] if len(symbols) else 0
    return found


def _labels(
    texts: Sequence[str], chosen: Sequence[Label], files: NDArray[np.int64], places: NDArray[np.int64]
) -> Labels:
    values: Tensor = torch.full((len(chosen), len(places)), -1)
    for file, text in enumerate(texts):
        mine = files == file
        if mine.any():
            for row, label in zip(values, chosen, strict=True):
                row[torch.from_numpy(mine)] = torch.from_numpy(label(text)[places[mine]].astype(np.int64))
    return Labels(tuple(label.name for label in chosen), tuple(len(label.classes) for label in chosen), values)
