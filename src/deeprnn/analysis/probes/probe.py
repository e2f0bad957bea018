"""Linear probes: what can be read off each layer, and how much of it the last characters do not say already."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from deeprnn.analysis.probes.examples import Labels, Split
from deeprnn.analysis.probes.features import Features
from deeprnn.analysis.probes.scores import Score
from deeprnn.analysis.probes.softmax import Blocks, Linear, fit
from deeprnn.analysis.statistics import Floats, Interval, Ints, interval

PENALTIES = (10_000.0, 1_000.0, 100.0, 10.0)
"""The penalties that are tried, strongest first; each fit starts where the one before ended.

A label goes on to a weaker one only as long as that brings its bits on the validation files down.
"""
_TOLERANCE = 1e-3
_ITERATIONS = 40
_PORTIONS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Where the online code cuts its text: the first portion is coded uniformly, each next one by a fit on all before."""


@dataclass(frozen=True)
class Probe:
    """A fitted probe of all labels.

    Attributes:
        scores: one a label, on the measured files.
        linear: the classifiers, each label's with the penalty that the validation files chose.
        penalties: those, (M,).
    """

    scores: tuple[Score, ...]
    linear: Linear
    penalties: Tensor


def probe(features: Features, labels: Labels, split: Split, penalties: Sequence[float] = PENALTIES) -> Probe:
    """Fits linear classifiers of all labels on one layer, and measures them on other files.

    Definition: multinomial logistic regression of each label on the features, with the L2 penalty that gives the
    fewest bits on validation files; all labels are one fit with one shared product (see `softmax.fit`). From a score
    come accuracy, macro F1 and bits, the cross-entropy: an upper bound of H(y | features), and what a linear reader
    can make of them (the usable information of Xu et al. 2020).

    Args:
        features: N rows, such as `standardise(states, split.fit)`, `window_features(...)`, or both `Concatenated`.

    Cost: about 20 iterations a penalty, of two products (N, H) (H, all classes) each: 2-4 s for 20,000 characters,
    256 units and 50 classes on 2 cores.

    Pitfalls: a probe shows that something can be read, not that the net uses it (ablation does). Accuracy means
    nothing beside a frequent class: compare with the window and with the net untrained, which is a random but rich
    feature of the text. Characters of a file depend on one another, so 20,000 of them are fewer than they seem: with
    few files a wide layer memorises them, and bits (not accuracy) rise.

    Source: Alain & Bengio 2016; Belinkov 2022 (the pitfalls).
    """
    rows, validation, measured = (features.take(part) for part in (split.fit, split.validate, split.measure))
    fewest = torch.full((len(labels.sizes),), torch.inf, dtype=torch.float64)
    best: dict[int, tuple[Linear, float]] = {}
    active, start = list(range(len(labels.sizes))), None
    for penalty in penalties:
        fitted = fit(
            rows,
            labels.values[active][:, split.fit],
            [labels.sizes[label] for label in active],
            penalty=penalty,
            start=start,
            tolerance=_TOLERANCE,
            iterations=_ITERATIONS,
        )
        cost = _nats(fitted, validation, labels.values[active][:, split.validate])
        better = [place for place, label in enumerate(active) if not cost[place] >= fewest[label]]
        for place in better:
            fewest[active[place]] = cost[place]
            best[active[place]] = (fitted.only([place]), penalty)
        if not better:
            break
        active, start = [active[place] for place in better], fitted.only(better)
    chosen = [best[label] for label in range(len(labels.sizes))]
    linear = _side_by_side([one for one, _ in chosen])
    predictions = linear.log_probabilities(measured)
    scores = tuple(split.score(log_p, value) for log_p, value in zip(predictions, labels.values, strict=True))
    return Probe(scores, linear, torch.tensor([penalty for _, penalty in chosen]))


def bits_over(base: Score, joint: Score, weights: Floats) -> Interval:
    """The headline: I = H(y | w_k) - H(y | w_k, h), the bits that a layer adds over the window of k characters.

    Definition: the difference of two probes' cross-entropies on the same files: one reads the last k characters as
    one-hot, the other those and the layer. Paired bootstrap over files.

    Cost: a second probe, of windows and states together.

    Pitfalls: both readers are linear. What a *nonlinear* reader would get from the window alone (an exact word in
    it) counts as the layer's merit; a layer untrained earns such merit too, so look at the two side by side. Both
    terms are upper bounds of entropies, so I can come out below 0: the layer then adds nothing that makes up for its
    width.

    Source: conditional probing, Hewitt, Ethayarajh, Liang & Manning 2021.
    """
    return interval(lambda drawn: base.bits(drawn) - joint.bits(drawn), weights)


def selectivity(real: Score, control: Score, weights: Floats) -> Interval:
    """Accuracy on a label minus accuracy on its hashed control labels (`Labels.hashed`).

    Definition: near 0, the probe has merely learned which class goes with which few characters; far above, the
    layer has the label in its own terms.

    Cost: the control labels are more columns in the same fit.

    Pitfalls: it falls as the probe's fit grows, and is low by construction for a label that *is* a function of the
    last characters (character class). It judges the probe, not the layer: compare layers by bits.

    Source: Hewitt & Liang 2019.
    """
    return interval(lambda drawn: real.accuracy(drawn) - control.accuracy(drawn), weights)


def code_length(
    features: Features, labels: Labels, groups: Ints, penalties: Tensor, seed: int
) -> tuple[Floats, Floats]:
    """The online code: how many bits it takes to send the labels to someone who has the features.

    Definition: files in random order, cut at 1/64, 1/32, ... 1/2, 1 of the characters. The first portion costs
    log2(classes) a label; each next one -log2 p of a probe fitted on all before it. The sum, divided by the scored
    characters, is what is returned: low where a label is both readable and readable from few examples.

    Args:
        penalties: (M,) as `probe` chose them.

    Returns:
        (M,) bits a scored character, and (M,) those of the uniform code.

    Cost: six fits on 63/64 as many rows, in all, as one.

    Pitfalls: it is a figure of the probe's learning as much as of the layer; it depends on the order of the files
    and on the portions, and has no interval by itself: repeat it over seeds.

    Source: Voita & Titov 2020, section 2.2.2.
    """
    names = np.unique(groups)
    place = np.empty(int(names.max()) + 1, dtype=np.int64)
    place[np.random.default_rng(seed).permutation(names)] = np.arange(len(names))
    order = torch.from_numpy(np.argsort(place[groups], kind="stable"))
    ends = [max(1, round(share * len(order))) for share in _PORTIONS]
    scored = (labels.values >= 0).sum(1).double()
    uniform = torch.tensor(labels.sizes, dtype=torch.float64).log2()
    total = uniform * (labels.values[:, order[: ends[0]]] >= 0).sum(1)
    linear: Linear | None = None
    for seen, end in pairwise(ends):
        known, new = order[:seen], order[seen:end]
        linear = fit(
            features.take(known),
            labels.values[:, known],
            labels.sizes,
            penalty=penalties,
            start=linear,
            tolerance=_TOLERANCE,
            iterations=_ITERATIONS,
        )
        values = labels.values[:, new]
        total += _nats(linear, features.take(new), values) / np.log(2)
    return (total / scored.clamp(min=1)).numpy(), uniform.numpy()


def centre_of_gravity(bits: Floats, marginal: Floats | float) -> Floats:
    """The layer around which a label can be read, counted from 1.

    Definition: sum over layers of l w_l / sum of w_l, with w_l = max(0, H(y) - H(y | h_l)): the bits that layer l
    lets a linear reader know of the label. nan where no layer lets it know anything.

    Args:
        bits: (..., L) cross-entropies of a label's probes. marginal: (...,) its entropy H(y) on the same files.

    Cost: none.

    Pitfalls: all layers hold much of the same, so centres lie close together: their order tells more than their
    distance. Depth alone moves them too: compare with the net untrained.

    Source: the centre of gravity of Tenney, Das & Pavlick 2019, with bits in place of learned mixing weights.

    >>> float(centre_of_gravity(np.array([1.0, 0.5, 0.5]), 1.5))
    2.2
    """
    weight = np.maximum(0.0, np.asarray(marginal)[..., None] - bits)
    total = weight.sum(-1)
    layers = np.arange(1, bits.shape[-1] + 1)
    return np.divide((weight * layers).sum(-1), total, out=np.full(total.shape, np.nan), where=total > 0)


def marginal_bits(labels: Labels, split: Split, score: Score, label: int, weights: Floats | None = None) -> Floats:
    """H(y) of a label: the cross-entropy of its class shares in the fitted files, on the measured ones."""
    value = labels.values[label, split.fit]
    counts = torch.bincount(value[value >= 0], minlength=labels.sizes[label]).double().numpy() + 0.5
    log_share = np.log2(counts / counts.sum())
    true = score.true.sum(0) if weights is None else weights @ score.true
    return -(true * log_share).sum(-1) / np.maximum(true.sum(-1), 1)


def _nats(linear: Linear, features: Features, values: Tensor) -> Tensor:
    """(M,) sums of -ln p over the scored rows, in float64."""
    sums: list[Tensor] = []
    for log_p, value in zip(linear.log_probabilities(features), values, strict=True):
        chosen = log_p.gather(1, value.clamp(min=0)[:, None])[:, 0]
        sums.append(-(chosen.double() * (value >= 0)).sum())
    return torch.stack(sums)


def _side_by_side(parts: Sequence[Linear]) -> Linear:
    """Classifiers of one label each as those of all."""
    return Linear(
        torch.cat([one.weight for one in parts], dim=1),
        torch.cat([one.bias for one in parts]),
        Blocks(tuple(size for one in parts for size in one.blocks.sizes)),
        max(one.iterations for one in parts),
        max(one.gradient for one in parts),
    )
