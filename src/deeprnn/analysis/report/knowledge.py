"""What each layer knows: every label probed on every layer, beside all controls, over several splits of the files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from deeprnn.analysis.measurements.context_need import WINDOWS, need_of
from deeprnn.analysis.probes.examples import Labels, Split, standardise, window_features
from deeprnn.analysis.probes.features import Beside, Features
from deeprnn.analysis.probes.probe import (
    bits_over,
    centre_of_gravity,
    code_length,
    marginal_bits,
    probe,
    selectivity,
)
from deeprnn.analysis.probes.scores import Floats, Interval, Score, interval, resamples
from deeprnn.analysis.report.material import Material, Progress
from deeprnn.analysis.report.results import Control, ProbeRow, Results

HEADLINE = 8
"""The window that a layer's bits are counted over."""
_TYPE = 4
"""Characters whose combination is the type that a hashed control label belongs to."""
_CENTRE_SAMPLES = 200
_ONE_PENALTY = (100.0,)

Key: TypeAlias = tuple[Control, int, str]
"""What a probe read: the net or a control, the layer (1 and up; 0 for none), and "states", "window 8" or "both"."""


@dataclass
class Knowledge:
    """All scores, by what was read; `scores[key][seed][label]`.

    Attributes:
        labels: their names, sizes and values.
        layers: L.
        weights: (R, files) the bootstrap, one for all figures, so that differences are paired.
        scores: see above. marginals: by seed, each label's entropy as a function of bootstrap weights.
        codes: by layer, (M,) the online code's bits, of the first seed.
    """

    labels: Labels
    layers: int
    weights: Floats
    scores: dict[Key, list[tuple[Score, ...]]] = field(default_factory=dict[Key, list[tuple[Score, ...]]])
    splits: list[Split] = field(default_factory=list[Split])
    codes: dict[int, Floats] = field(default_factory=dict[int, Floats])

    def figure(self, key: Key, label: int, metric: str) -> Callable[[Floats | None], Floats]:
        """A metric ("accuracy", "macro_f1", "bits"), the mean over seeds, as a function of bootstrap weights."""
        per_seed = [getattr(scores[label], metric) for scores in self.scores[key]]
        return lambda weights: np.mean([one(weights) for one in per_seed], axis=0)

    def marginal(self, label: int, weights: Floats | None = None, seed: int | None = None) -> Floats:
        """H(y) on the measured files; the mean over seeds, or one seed's."""
        seeds = range(len(self.splits)) if seed is None else [seed]
        any_key: Key = ("window", 0, f"window {HEADLINE}")
        found = [
            marginal_bits(self.labels, self.splits[s], self.scores[any_key][s][label], label, weights) for s in seeds
        ]
        return np.mean(found, axis=0)

    def centres(self, control: Control) -> Floats:
        """(S, R, M) centres of gravity, for each seed and bootstrap sample of the files."""
        weights = self.weights[:_CENTRE_SAMPLES]
        found = np.empty((len(self.splits), len(weights), len(self.labels.names)))
        for seed in range(len(self.splits)):
            for label in range(len(self.labels.names)):
                bits = [
                    self.scores[control, layer, "states"][seed][label].bits(weights)
                    for layer in range(1, self.layers + 1)
                ]
                found[seed, :, label] = centre_of_gravity(np.stack(bits, -1), self.marginal(label, weights, seed))
        return found

    def need(self) -> Floats:
        """(M,) how much context each label needs, as `context_need` defines it, from these very windows."""
        left = [
            [float(self.figure(("window", 0, f"window {k}"), label, "bits")(None)) for k in WINDOWS]
            for label in range(len(self.labels.names))
        ]
        whole = np.array([float(self.marginal(label)) for label in range(len(self.labels.names))])
        return need_of(np.array(left), whole)


def probe_layers(
    material: Material,
    symbols: int,
    trained: Sequence[Tensor],
    untrained: Sequence[Tensor],
    *,
    seeds: int,
    progress: Progress,
    against: Sequence[Tensor] = (),
) -> Knowledge:
    """All probes.

    Args:
        material: text and labels. symbols: how many symbols the vocabulary has.
        trained, untrained, against: states (N, H) of the layers of each net.
        seeds: splits of the files into fitted, validating and measured ones.

    Cost: a seed takes four window probes and three for each layer (the net, the net untrained, states beside a
    window), the first seed another three.
    """
    knowledge = Knowledge(material.labels, len(trained), resamples(len(material.names), 1000, seed=0))
    jobs = seeds * (len(WINDOWS) + 3 * len(trained) + len(against)) + 3 * len(trained)
    done = 0

    def add(key: Key, features: Features, labels: Labels, split: Split, **options: Any) -> Tensor:
        nonlocal done
        found = probe(features, labels, split, **options)
        knowledge.scores.setdefault(key, []).append(found.scores)
        done += 1
        progress("probing", done, jobs)
        return found.penalties

    window = material.window
    for seed in range(seeds):
        split = Split.of(material.groups, seed)
        knowledge.splits.append(split)
        for k in WINDOWS:
            add(("window", 0, f"window {k}"), window_features(window[:, :k], symbols), material.labels, split)
        last = window_features(window[:, :HEADLINE], symbols)
        for index, (ours, fresh) in enumerate(zip(trained, untrained, strict=True)):
            layer = index + 1
            states, bare = standardise(ours, split.fit), standardise(fresh, split.fit)
            penalties = add(("trained", layer, "states"), states, material.labels, split)
            add(("untrained", layer, "states"), bare, material.labels, split)
            add(("trained", layer, "both"), Beside(last, states), material.labels, split)
            if seed == 0:
                add(("untrained", layer, "both"), Beside(last, bare), material.labels, split)
                shuffled, hashed = material.labels.shuffled(seed), material.labels.hashed(window[:, :_TYPE], seed)
                add(("shuffled", layer, "states"), states, shuffled, split, penalties=_ONE_PENALTY)
                add(("hashed", layer, "states"), states, hashed, split, penalties=_ONE_PENALTY)
                knowledge.codes[layer] = code_length(states, material.labels, material.groups, penalties, seed)[0]
        for index, other in enumerate(against):
            add(("against", index + 1, "states"), standardise(other, split.fit), material.labels, split)
    return knowledge


def write_rows(knowledge: Knowledge, results: Results) -> None:
    """Puts everything into the tidy table: each seed's figures, and those of all seeds together (seed -1)."""
    names = knowledge.labels.names
    for key, per_seed in knowledge.scores.items():
        control, layer, read = key
        suffix = {"states": "", "both": f" with window {HEADLINE}"}.get(read, f" {read}")
        for label, name in enumerate(names):
            for metric, shown in (("accuracy", "accuracy"), ("macro_f1", "macro F1"), ("bits", "bits")):
                for seed, scores in enumerate(per_seed):
                    figure = float(getattr(scores[label], metric)())
                    results.add(layer, name, shown + suffix, figure, seed=seed, control=control)
                together = interval(knowledge.figure(key, label, metric), knowledge.weights)
                results.add(layer, name, shown + suffix, together, control=control)
    for label, name in enumerate(names):
        entropy = interval(lambda weights, m=label: knowledge.marginal(m, weights), knowledge.weights)
        results.add(0, name, "bits", entropy, control="marginal")
        for layer in range(1, knowledge.layers + 1):
            for control in ("trained", "untrained"):
                results.add(
                    layer,
                    name,
                    f"bits over window {HEADLINE}",
                    _added(knowledge, control, layer, label),
                    control=control,
                )
            results.add(layer, name, "code length", float(knowledge.codes[layer][label]), seed=0)
            real = knowledge.scores["trained", layer, "states"][0][label]
            hashed = knowledge.scores["hashed", layer, "states"][0][label]
            results.add(layer, name, "selectivity", selectivity(real, hashed, knowledge.weights), seed=0)
    for control in ("trained", "untrained"):
        centres = knowledge.centres(control)
        for label, name in enumerate(names):
            results.add(0, name, "centre of gravity", _centre(centres[:, :, label]), control=control)


def probe_rows(knowledge: Knowledge) -> list[ProbeRow]:
    """A row a label, the one that needs least context first."""
    need, centres = knowledge.need(), knowledge.centres("trained")
    layers = range(1, knowledge.layers + 1)
    rows: list[ProbeRow] = []
    for label in np.argsort(need, kind="stable").tolist():

        def accuracy(key: Key, m: int = label) -> float:
            return float(knowledge.figure(key, m, "accuracy")(None))

        ours = [
            interval(knowledge.figure(("trained", layer, "states"), label, "accuracy"), knowledge.weights)
            for layer in layers
        ]
        against = sorted(layer for control, layer, _ in knowledge.scores if control == "against")
        rows.append(
            ProbeRow(
                label=knowledge.labels.names[label],
                need=float(need[label]),
                chance=_chance(knowledge, label),
                window=accuracy(("window", 0, f"window {HEADLINE}")),
                untrained=tuple(accuracy(("untrained", layer, "states")) for layer in layers),
                layers=tuple(one.value for one in ours),
                low=tuple(one.low for one in ours),
                high=tuple(one.high for one in ours),
                bits=tuple(_added(knowledge, "trained", layer, label).value for layer in layers),
                centre=_centre(centres[:, :, label]).value,
                above=tuple(_is_above(knowledge, layer, label) for layer in layers),
                against=tuple(accuracy(("against", layer, "states")) for layer in against),
            )
        )
    return rows


def _centre(samples: Floats) -> Interval:
    """A label's centre of gravity from samples (S, R); nan where it can't be read in most, as in the verdict."""
    finite = samples[np.isfinite(samples)]
    if 2 * finite.size <= samples.size:
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(finite, [0.025, 0.975])
    return Interval(float(finite.mean()), float(low), float(high))


def _added(knowledge: Knowledge, control: Control, layer: int, label: int) -> Interval:
    """I = H(y | w_k) - H(y | w_k, h), over the seeds that have both."""
    joint = knowledge.scores[control, layer, "both"]
    base = knowledge.scores["window", 0, f"window {HEADLINE}"][: len(joint)]
    pairs = [(b[label], j[label]) for b, j in zip(base, joint, strict=True)]
    if len(pairs) == 1:
        return bits_over(*pairs[0], knowledge.weights)
    return interval(
        lambda weights: np.mean([b.bits(weights) - j.bits(weights) for b, j in pairs], axis=0), knowledge.weights
    )


def _is_above(knowledge: Knowledge, layer: int, label: int) -> bool:
    ours = knowledge.figure(("trained", layer, "states"), label, "accuracy")
    controls: tuple[Key, ...] = (("window", 0, f"window {HEADLINE}"), ("untrained", layer, "states"))
    for key in controls:
        theirs = knowledge.figure(key, label, "accuracy")
        if not interval(lambda weights, f=theirs: ours(weights) - f(weights), knowledge.weights).low > 0:
            return False
    return True


def _chance(knowledge: Knowledge, label: int) -> float:
    values = knowledge.labels.values[label]
    counts = torch.bincount(values[values >= 0])
    return float(counts.max() / counts.sum())
