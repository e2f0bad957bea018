"""The next character, as it can be read from each layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from deeprnn.analysis.probes.examples import Labels, Scaling, Split
from deeprnn.analysis.probes.probe import probe
from deeprnn.analysis.probes.scores import Score

_PENALTIES = (1_000.0, 100.0, 10.0)


@dataclass(frozen=True)
class Head:
    """A linear layer from one layer's state to the next character.

    Attributes:
        weight: (H, V). bias: (V,).
        score: on files that it was not fitted on.
    """

    weight: Tensor
    bias: Tensor
    score: Score

    def log_probabilities(self, states: Tensor) -> Tensor:
        """(..., V) ln p(next character) from states (..., H)."""
        return F.log_softmax(states @ self.weight + self.bias, dim=-1)


def fit_heads(states: Sequence[Tensor], targets: Tensor, symbols: int, split: Split) -> tuple[Head, ...]:
    """How much of the next character is ready at each layer: a head fitted to each layer's frozen states.

    Definition: multinomial logistic regression of the next symbol on the layer's state, penalty chosen on validation
    files; its cross-entropy on others, in bits a character, stands beside the net's own.

    Args:
        states: L tensors (N, H_l).
        targets: (N,) the symbol after each; -1 where none is.
        symbols: V.

    Cost: as a probe with V classes, for each layer: seconds for 20,000 characters.

    Pitfalls: the net's own output layer has seen all of the training text, a head only the fitted rows: the top
    layer's head comes out some tenths of a bit above the net's figure, so compare heads with heads. A layer whose
    head is poor is not useless: it may prepare what layers above make readable. The logit lens proper reads lower
    layers with the *top's* output layer; layers of an RNN share no coordinates, hence a head for each.

    Source: nostalgebraist 2020 (logit lens); Belrose et al. 2023 (a trained head for each layer); Alain & Bengio 2016.

    >>> import torch
    >>> states, targets = torch.randn(90, 4), torch.randint(3, (90,))
    >>> import numpy as np
    >>> (head,) = fit_heads([states], targets, 3, Split.of(np.arange(90) // 10, seed=0))
    >>> head.log_probabilities(states[0]).exp().sum().round(decimals=4).item()
    1.0
    """
    labels = Labels(("next character",), (symbols,), targets[None])
    heads: list[Head] = []
    for layer in states:
        scaling = Scaling.of(layer, split.fit)
        fitted = probe(scaling.features(layer), labels, split, _PENALTIES)
        raw = scaling.unscaled(fitted.linear)
        heads.append(Head(raw.weight, raw.bias, fitted.scores[0]))
    return tuple(heads)
