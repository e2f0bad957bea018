"""What the page holds its net's states against: probes, a head for each layer, the distance of unrelated texts."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from deeprnn.analysis.measurements.next_character import fit_heads
from deeprnn.analysis.probes.examples import Scaling, Split
from deeprnn.analysis.probes.probe import probe
from deeprnn.analysis.progress import Progress
from deeprnn.analysis.report.text_sample import TextSample, sample_texts
from deeprnn.analysis.study import QUICK
from deeprnn.deep import DeepRNN
from deeprnn.explorer.texts import Texts
from deeprnn.tasks.text import TextError, Vocabulary

_STEPS = 250
_ROWS = 96


@dataclass(frozen=True)
class Fitted:
    """Fitted on held-out texts that the page does not show.

    Attributes:
        tensors: "probe.{l}.weight" (C, H) and "probe.{l}.bias" (C,), all labels' classes side by side;
            "head.{l}.weight" (V, H) and "head.{l}.bias" (V,).
        probes: a row a label: its name, its first column, its classes, its accuracy at each layer.
        head_bits: of each layer's head.
        unrelated: the mean distance between the states of two unrelated texts, for each layer.
        characters, files: what was fitted and measured on.
        apart: whether none of the texts that are shown is among what was fitted on.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    probes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    head_bits: list[float] = field(default_factory=list[float])
    unrelated: list[float] = field(default_factory=list[float])
    characters: int = 0
    files: int = 0
    apart: bool = True

    def to_json(self) -> dict[str, Any]:
        """All but the tensors."""
        return {
            "probes": self.probes,
            "head_bits": self.head_bits,
            "unrelated": self.unrelated,
            "characters": self.characters,
            "files": self.files,
            "apart": self.apart,
        }


def fit(net: DeepRNN, texts: Texts, vocabulary: Vocabulary, progress: Progress) -> Fitted:
    """Fits everything.

    Raises:
        TextError: there is too little held-out text.
    """
    sample, apart = _sample(texts, vocabulary)
    states = sample.states(net)
    split = Split.of(sample.groups, seed=0)
    fitted = Fitted(
        unrelated=_unrelated(net, sample), characters=len(sample.step), files=len(sample.names), apart=apart
    )
    accuracies: list[list[float]] = []
    for index, layer in enumerate(states):
        scaling = Scaling.of(layer, split.fit)
        found = probe(scaling.features(layer), sample.labels, split)
        accuracies.append([float(score.accuracy()) for score in found.scores])
        linear = scaling.unscaled(found.linear)
        fitted.tensors[f"probe.{index}.weight"] = linear.weight.T
        fitted.tensors[f"probe.{index}.bias"] = linear.bias
        progress("fitting probes", 2 * index + 1, 2 * len(states))
        (head,) = fit_heads([layer], sample.next_symbol, len(vocabulary), split)
        fitted.tensors[f"head.{index}.weight"] = head.weight.T
        fitted.tensors[f"head.{index}.bias"] = head.bias
        fitted.head_bits.append(float(head.score.bits()))
        progress("fitting probes", 2 * index + 2, 2 * len(states))
    first = 0
    for label, (name, size) in enumerate(zip(sample.labels.names, sample.labels.sizes, strict=True)):
        layers = [of_layer[label] for of_layer in accuracies]
        fitted.probes.append({"label": name, "first": first, "classes": size, "accuracy": layers})
        first += size
    return fitted


def _sample(texts: Texts, vocabulary: Vocabulary) -> tuple[TextSample, bool]:
    """A sample of the texts that are not shown, or, where they are too few, from all; and which of the two."""
    sizes = {"files": QUICK.files, "per_file": QUICK.per_file, "characters": QUICK.characters}
    try:
        return sample_texts(texts.fitted, vocabulary, **sizes), True
    except TextError:
        return sample_texts(texts.every, vocabulary, **sizes), False


@torch.no_grad()
def _unrelated(net: DeepRNN, sample: TextSample) -> list[float]:
    """The distance that a ripple is relative to, as `deeprnn.analysis.measurements.ripple` has it."""
    steps = min(_STEPS, int(sample.lengths.max()) - 1)
    hidden = net(sample.snippets(_ROWS, steps, seed=1).to(net.device)).hidden
    return [float((layer - layer.roll(1, dims=1))[steps // 2 :].norm(dim=-1).mean()) for layer in hidden]
