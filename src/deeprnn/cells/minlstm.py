"""The minimal LSTM that a scan can run."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from deeprnn.cells.base import Gate
from deeprnn.cells.linear import LinearCell, LinearForm
from deeprnn.cells.mingru import candidate
from deeprnn.cells.registry import register


@register
@dataclass(frozen=True, repr=False)
class MinLSTM(LinearCell):
    """minLSTM (Feng et al. 2024, "Were RNNs all we needed?", section 3.2): an LSTM whose gates don't read the state.

        f = sigma(W_xf x + b_f) / (sigma(W_xf x + b_f) + sigma(W_xi x + b_i))
        i = sigma(W_xi x + b_i) / (sigma(W_xf x + b_f) + sigma(W_xi x + b_i))
        n = W_xn x + b_n                  or g(W_xn x + b_n) with positive, see `MinGRU`
        h = f * h + i * n

    f and i add up to 1. It has one state, h; the paper drops c and the output gate.

    Args:
        hidden_size: H.
        positive: whether the candidate n goes through g.

    The layer's options (direction, layer_norm, zoneout, ...) are those of `Cell`, but for recurrent_dropout.

    >>> MinLSTM(64, positive=True).states
    ('h',)
    """

    hidden_size: int
    positive: bool = False

    gates: ClassVar = ("f", "i", "n")
    gate_meanings: ClassVar = MappingProxyType({"f": "forget", "i": "input"})
    norm_groups: ClassVar = (("f",), ("i",), ("n",))

    def input_gates(self, x_part: Tensor, weights: Mapping[str, Tensor]) -> dict[str, Gate]:  # noqa: ARG002
        x_f, x_i, x_n = x_part.chunk(3, dim=-1)
        # sigma(f) / (sigma(f) + sigma(i)) where both may be too small for a float: 0 / 0.
        odds = F.logsigmoid(x_f) - F.logsigmoid(x_i)
        return {
            "f": Gate(x_f, torch.sigmoid(odds)),
            "i": Gate(x_i, torch.sigmoid(-odds)),
            "n": candidate(x_n, positive=self.positive),
        }

    def linear_form(self, x_part: Tensor, weights: Mapping[str, Tensor]) -> LinearForm:
        gates = self.input_gates(x_part, weights)
        return LinearForm(gates["f"].value, gates["i"].value * gates["n"].value)
