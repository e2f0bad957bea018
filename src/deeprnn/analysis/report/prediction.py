"""The next character as `deeprnn analyze` reports it: read off each layer, and priced with a layer taken away."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor

from deeprnn.analysis.measurements.ablation import ablate, surprise
from deeprnn.analysis.measurements.lens import lens
from deeprnn.analysis.probes.examples import Split
from deeprnn.analysis.probes.scores import Surprise, interval, resamples
from deeprnn.analysis.report.material import Material, Progress
from deeprnn.analysis.report.results import Results
from deeprnn.deep import DeepRNN

TARGET = "next character"
_RESAMPLES = 1000


def measure_lens(
    results: Results,
    material: Material,
    symbols: int,
    trained: Sequence[Tensor],
    untrained: Sequence[Tensor],
    *,
    progress: Progress,
) -> None:
    """Adds the bits and the accuracy of a head on each layer's states (N, H), of the net and of the net untrained."""
    split = Split.of(material.groups, seed=0)
    weights = resamples(split.files, _RESAMPLES, seed=0)
    jobs, done = 2 * len(trained), 0
    layers: list[dict[str, Any]] = [{"layer": layer + 1} for layer in range(len(trained))]
    for prefix, control, states in (("", "trained", trained), ("untrained_", "untrained", untrained)):
        for index, layer in enumerate(states):
            (head,) = lens([layer], material.next_symbol, symbols, split)
            for name, figure in (("bits", head.score.bits), ("accuracy", head.score.accuracy)):
                found = interval(figure, weights)
                results.add(
                    index + 1,
                    TARGET,
                    f"lens {name}",
                    found,
                    control="trained" if control == "trained" else "untrained",
                )
                layers[index][prefix + name] = asdict(found)
            done += 1
            progress("next character", done, jobs)
    results.parts["lens"] = {"n": len(split.measure), "seeds": 1, "layers": layers}


def measure_ablations(
    results: Results,
    material: Material,
    net: DeepRNN,
    *,
    characters: int,
    resets: Sequence[int],
    progress: Progress,
) -> None:
    """Adds the net's own bits a character, and what it loses without each layer's contribution or memory.

    Args:
        characters: of each file, from its beginning. resets: every how many characters a state is reset.
    """
    x, following = material.x[:characters], material.following[:characters]
    whole, changed = ablate(net, x, following, resets=resets, progress=lambda done, of: progress("ablations", done, of))
    weights = resamples(x.shape[1], _RESAMPLES, seed=0)
    own = interval(whole.bits, weights)
    results.add(0, TARGET, "bits", own)
    layers: list[dict[str, Any]] = [{"layer": layer + 1, "resets": {}} for layer in range(len(net.cells))]
    for one in changed:
        lost = one.bits_lost(whole, weights)
        results.add(one.layer + 1, TARGET, f"bits lost, {one.change}", lost)
        kind, _, every = one.change.partition(" ")
        if kind == "reset":
            layers[one.layer]["resets"][every] = asdict(lost)
        else:
            layers[one.layer][kind] = asdict(lost)
    n = int(whole.count.sum())
    results.parts["ablation"] = {"n": n, "seeds": 1, "bits": asdict(own), "layers": layers}


def price(material: Material, net: DeepRNN, *, characters: int) -> Surprise:
    """What a net pays for the very characters that `measure_ablations` reads."""
    return surprise(net, material.x[:characters], material.following[:characters])
