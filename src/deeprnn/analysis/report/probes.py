"""What each layer knows: every label probed on every layer, beside all controls, over several splits of the files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from deeprnn.analysis.measurements.context_need import WINDOWS, need_of
from deeprnn.analysis.probes.examples import Labels, Split, standardise, window_features
from deeprnn.analysis.probes.features import Concatenated, Features
from deeprnn.analysis.probes.probe import (
    bits_over,
    centre_of_gravity,
    code_length,
    marginal_bits,
    probe,
    selectivity,
)
from deeprnn.analysis.probes.scores import Score
from deeprnn.analysis.progress import Progress
from deeprnn.analysis.report.table import Control, Metric, Table, Where
from deeprnn.analysis.report.text_sample import TextSample
from deeprnn.analysis.statistics import Floats, Interval, interval, resamples

HEADLINE = 8
"""The window that a layer's bits are counted over."""
_TYPE = 4
"""Characters whose combination is the type that a hashed control label belongs to."""
_CENTRE_SAMPLES = 200
_ONE_PENALTY = (100.0,)
_METRICS: dict[Metric, str] = {"accuracy": "accuracy", "macro F1": "macro_f1", "bits": "bits"}
"""By the table's names, those of `Score`."""


class Source(NamedTuple):
    """What a probe read.

    Attributes:
        control: the net or a control.
        layer: 1 and up; None for a window alone.
        window: characters, alone or beside the layer's states; None for the states alone.
    """

    control: Control
    layer: int | None
    window: int | None = None

    def where(self, label: str) -> Where:
        """Where the table has this source's figures of a label."""
        beside = self.layer is not None and self.window is not None
        return {
            "layer": self.layer,
            "label": label,
            "step": self.window,
            "change": "window" if beside else None,
            "control": self.control,
        }


_WINDOW = Source("window", None, HEADLINE)


@dataclass
class ProbeScores:
    """All scores, by what was read; `by_source[source][seed][label]`.

    Attributes:
        labels: their names, sizes and values.
        layers: L.
        weights: (R, files) the bootstrap, one for all figures, so that differences are paired.
        by_source: see above. splits: by seed.
        codes: by layer, (M,) the online code's bits, of the first seed.
    """

    labels: Labels
    layers: int
    weights: Floats
    by_source: dict[Source, list[tuple[Score, ...]]] = field(default_factory=dict[Source, list[tuple[Score, ...]]])
    splits: list[Split] = field(default_factory=list[Split])
    codes: dict[int, Floats] = field(default_factory=dict[int, Floats])

    def figure(self, source: Source, label: int, metric: str) -> Callable[[Floats | None], Floats]:
        """A metric ("accuracy", "macro_f1", "bits"), the mean over seeds, as a function of bootstrap weights."""
        per_seed = [getattr(scores[label], metric) for scores in self.by_source[source]]
        return lambda weights: np.mean([one(weights) for one in per_seed], axis=0)

    def marginal(self, label: int, weights: Floats | None = None, seed: int | None = None) -> Floats:
        """H(y) on the measured files; the mean over seeds, or one seed's."""
        seeds = range(len(self.splits)) if seed is None else [seed]
        found = [
            marginal_bits(self.labels, self.splits[s], self.by_source[_WINDOW][s][label], label, weights) for s in seeds
        ]
        return np.mean(found, axis=0)

    def centres(self, control: Control) -> Floats:
        """(S, R, M) centres of gravity, for each seed and bootstrap sample of the files."""
        weights = self.weights[:_CENTRE_SAMPLES]
        found = np.empty((len(self.splits), len(weights), len(self.labels.names)))
        for seed in range(len(self.splits)):
            for label in range(len(self.labels.names)):
                bits = [
                    self.by_source[Source(control, layer)][seed][label].bits(weights)
                    for layer in range(1, self.layers + 1)
                ]
                found[seed, :, label] = centre_of_gravity(np.stack(bits, -1), self.marginal(label, weights, seed))
        return found

    def need(self) -> Floats:
        """(M,) how much context each label needs, as `context_need` defines it, from these very windows."""
        left = [
            [float(self.figure(Source("window", None, k), label, "bits")(None)) for k in WINDOWS]
            for label in range(len(self.labels.names))
        ]
        whole = np.array([float(self.marginal(label)) for label in range(len(self.labels.names))])
        return need_of(np.array(left), whole)


def probe_layers(
    sample: TextSample,
    symbols: int,
    trained: Sequence[Tensor],
    untrained: Sequence[Tensor],
    *,
    seeds: int,
    progress: Progress,
    against: Sequence[Tensor] = (),
) -> ProbeScores:
    """All probes.

    Args:
        sample: text and labels. symbols: how many symbols the vocabulary has.
        trained, untrained, against: states (N, H) of the layers of each net.
        seeds: splits of the files into fitted, validating and measured ones.

    Cost: a seed takes four window probes and three for each layer (the net, the net untrained, states beside a
    window), the first seed another three.
    """
    scores = ProbeScores(sample.labels, len(trained), resamples(len(sample.names), 1000, seed=0))
    jobs = seeds * (len(WINDOWS) + 3 * len(trained) + len(against)) + 3 * len(trained)
    done = 0

    def add(source: Source, features: Features, labels: Labels, split: Split, **options: Any) -> Tensor:
        nonlocal done
        found = probe(features, labels, split, **options)
        scores.by_source.setdefault(source, []).append(found.scores)
        done += 1
        progress("probing", done, jobs)
        return found.penalties

    window = sample.window
    for seed in range(seeds):
        split = Split.of(sample.groups, seed)
        scores.splits.append(split)
        for k in WINDOWS:
            add(Source("window", None, k), window_features(window[:, :k], symbols), sample.labels, split)
        last = window_features(window[:, :HEADLINE], symbols)
        for index, (ours, fresh) in enumerate(zip(trained, untrained, strict=True)):
            layer = index + 1
            states, bare = standardise(ours, split.fit), standardise(fresh, split.fit)
            penalties = add(Source("trained", layer), states, sample.labels, split)
            add(Source("untrained", layer), bare, sample.labels, split)
            add(Source("trained", layer, HEADLINE), Concatenated(last, states), sample.labels, split)
            if seed == 0:
                add(Source("untrained", layer, HEADLINE), Concatenated(last, bare), sample.labels, split)
                shuffled, hashed = sample.labels.shuffled(seed), sample.labels.hashed(window[:, :_TYPE], seed)
                add(Source("shuffled", layer), states, shuffled, split, penalties=_ONE_PENALTY)
                add(Source("hashed", layer), states, hashed, split, penalties=_ONE_PENALTY)
                scores.codes[layer] = code_length(states, sample.labels, sample.groups, penalties, seed)[0]
        for index, other in enumerate(against):
            add(Source("against", index + 1), standardise(other, split.fit), sample.labels, split)
    return scores


def add_figures(scores: ProbeScores, table: Table) -> None:
    """Adds everything: each seed's figures, and those of all seeds together."""
    names = scores.labels.names
    for source, per_seed in scores.by_source.items():
        for label, name in enumerate(names):
            where = source.where(name)
            for metric, method in _METRICS.items():
                for seed, of_labels in enumerate(per_seed):
                    table.add(metric, float(getattr(of_labels[label], method)()), **{**where, "seed": seed})
                table.add(metric, interval(scores.figure(source, label, method), scores.weights), **where)
    needs = scores.need().tolist()
    for label, name in enumerate(names):
        entropy = interval(lambda weights, m=label: scores.marginal(m, weights), scores.weights)
        table.add("bits", entropy, label=name, control="marginal")
        table.add("accuracy", _most_frequent(scores, label), label=name, control="marginal")
        table.add("context need", needs[label], label=name, control="window")
        for layer in range(1, scores.layers + 1):
            _add_comparisons(scores, table, layer, label)
    for control in ("trained", "untrained"):
        centres = scores.centres(control)
        for label, name in enumerate(names):
            table.add("centre of gravity", _centre(centres[:, :, label]), label=name, control=control)


def _add_comparisons(scores: ProbeScores, table: Table, layer: int, label: int) -> None:
    """What sets one layer's probe of one label beside its controls."""
    name = scores.labels.names[label]
    for control in ("trained", "untrained"):
        added = _added(scores, control, layer, label)
        table.add("bits over window", added, layer=layer, label=name, step=HEADLINE, control=control)
    table.add("code length", float(scores.codes[layer][label]), layer=layer, label=name, seed=0)
    real = scores.by_source[Source("trained", layer)][0][label]
    hashed = scores.by_source[Source("hashed", layer)][0][label]
    table.add("selectivity", selectivity(real, hashed, scores.weights), layer=layer, label=name, seed=0)
    ours = scores.figure(Source("trained", layer), label, "accuracy")
    for source in (_WINDOW, Source("untrained", layer)):
        theirs = scores.figure(source, label, "accuracy")
        lead = interval(lambda weights, f=theirs: ours(weights) - f(weights), scores.weights)
        table.add("accuracy over control", lead, layer=layer, label=name, step=source.window, control=source.control)


def _centre(samples: Floats) -> Interval:
    """A label's centre of gravity from samples (S, R); nan where it can't be read in most, as in the verdict."""
    finite = samples[np.isfinite(samples)]
    if 2 * finite.size <= samples.size:
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(finite, [0.025, 0.975])
    return Interval(float(finite.mean()), float(low), float(high))


def _added(scores: ProbeScores, control: Control, layer: int, label: int) -> Interval:
    """I = H(y | w_k) - H(y | w_k, h), over the seeds that have both."""
    joint = scores.by_source[Source(control, layer, HEADLINE)]
    base = scores.by_source[_WINDOW][: len(joint)]
    pairs = [(b[label], j[label]) for b, j in zip(base, joint, strict=True)]
    if len(pairs) == 1:
        return bits_over(*pairs[0], scores.weights)
    return interval(
        lambda weights: np.mean([b.bits(weights) - j.bits(weights) for b, j in pairs], axis=0), scores.weights
    )


def _most_frequent(scores: ProbeScores, label: int) -> float:
    values = scores.labels.values[label]
    counts = torch.bincount(values[values >= 0])
    return float(counts.max() / counts.sum())
