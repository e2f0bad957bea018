"""What the page holds its own net's states against: probes, a head for each layer, and typical sizes of states."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

from deeprnn.analysis.examples import Scaling, Split
from deeprnn.analysis.lens import lens
from deeprnn.analysis.material import Material, gather
from deeprnn.analysis.probes import probe
from deeprnn.analysis.study import QUICK
from deeprnn.deep import DeepRNN
from deeprnn.explorer.texts import Texts
from deeprnn.text import TextError, Vocabulary

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_STEPS = 250
_ROWS = 96


@dataclass(frozen=True)
class Fitted:
    """Fitted on held-out texts that the page does not show.

    Attributes:
        tensors: "probe.{l}.weight" (C, H) with "probe.{l}.bias" (C,), "lens.{l}.weight" (V, H) with
            "lens.{l}.bias" (V,), and of each layer's units "mean.{l}" and "deviation.{l}" (H,).
        probes: a row a label: its name, its first column, its classes, its accuracy at each layer.
        lens_bits: of each layer's head.
        unrelated: the mean distance between the states of two unrelated texts, for each layer.
        characters, files: what was fitted and measured on.
        notices: what a reader should know.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    probes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    lens_bits: list[float] = field(default_factory=list[float])
    unrelated: list[float] = field(default_factory=list[float])
    characters: int = 0
    files: int = 0
    notices: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All but the tensors."""
        return {
            "probes": self.probes,
            "lens_bits": self.lens_bits,
            "unrelated": self.unrelated,
            "characters": self.characters,
            "files": self.files,
        }


def fit(net: DeepRNN, texts: Texts, vocabulary: Vocabulary, progress: Progress) -> Fitted:
    """Fits everything; where there is too little text for it, nothing, and a notice says so."""
    try:
        material = gather(
            texts.fitted, vocabulary, files=QUICK.files, per_file=QUICK.per_file, characters=QUICK.characters
        )
    except TextError as error:
        return Fitted(notices=(f"no probes, no lens: {error}",))
    states = material.states(net)
    split = Split.of(material.groups, seed=0)
    fitted = Fitted(unrelated=_unrelated(net, material), characters=len(material.step), files=len(material.names))
    accuracies: list[list[float]] = []
    for index, layer in enumerate(states):
        scaling = Scaling.of(layer, split.fit)
        found = probe(scaling.features(layer), material.labels, split)
        accuracies.append([float(score.accuracy()) for score in found.scores])
        linear = scaling.unscaled(found.linear)
        still = torch.isinf(scaling.deviation)
        fitted.tensors.update(
            {
                f"probe.{index}.weight": linear.weight.T,
                f"probe.{index}.bias": linear.bias,
                f"mean.{index}": scaling.mean,
                f"deviation.{index}": torch.where(still, 0.0, scaling.deviation),
            }
        )
        progress("fitting probes", 2 * index + 1, 2 * len(states))
        (head,) = lens([layer], material.next_symbol, len(vocabulary), split)
        fitted.tensors.update({f"lens.{index}.weight": head.weight.T, f"lens.{index}.bias": head.bias})
        fitted.lens_bits.append(float(head.score.bits()))
        progress("fitting probes", 2 * index + 2, 2 * len(states))
    first = 0
    for label, (name, size) in enumerate(zip(material.labels.names, material.labels.sizes, strict=True)):
        layers = [of_layer[label] for of_layer in accuracies]
        fitted.probes.append({"label": name, "first": first, "classes": size, "accuracy": layers})
        first += size
    return fitted


@torch.no_grad()
def _unrelated(net: DeepRNN, material: Material) -> list[float]:
    """The distance that a ripple is relative to, as `deeprnn.analysis.ripple` has it."""
    steps = min(_STEPS, int(material.lengths.max()) - 1)
    hidden = net(material.snippets(_ROWS, steps, seed=1).to(net.device)).hidden
    return [float((layer - layer.roll(1, dims=1))[steps // 2 :].norm(dim=-1).mean()) for layer in hidden]
