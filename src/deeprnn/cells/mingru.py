"""The minimal gated recurrent unit that a scan can run."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from deeprnn.cells.base import Gate
from deeprnn.cells.linear import LinearCell, LinearForm
from deeprnn.cells.registry import register


@register
@dataclass(frozen=True, repr=False)
class MinGRU(LinearCell):
    """minGRU (Feng et al. 2024, "Were RNNs all we needed?", section 3.1): a GRU whose gates don't read the state.

        z = sigma(W_xz x + b_z)
        n = W_xn x + b_n                  or g(W_xn x + b_n) with positive
        h = (1 - z) * h + z * n

        g(a) = a + 1/2 where a >= 0, else sigma(a)

    The paper's first form has no g; g belongs to its second one, for computing with logarithms, where h stays positive.
    Here nothing is computed with logarithms, and `positive` is a choice of the model alone.

    Args:
        hidden_size: H.
        positive: whether the candidate n goes through g.

    The layer's options (direction, layer_norm, zoneout, ...) are those of `Cell`, but for recurrent_dropout.

    >>> MinGRU(64).describe()
    'MinGRU 64'
    """

    hidden_size: int
    positive: bool = False

    gates: ClassVar = ("z", "n")
    gate_meanings: ClassVar = MappingProxyType({"z": "update"})
    norm_groups: ClassVar = (("z",), ("n",))

    def input_gates(self, x_part: Tensor, weights: Mapping[str, Tensor]) -> dict[str, Gate]:  # noqa: ARG002
        x_z, x_n = x_part.chunk(2, dim=-1)
        return {"z": Gate(x_z, torch.sigmoid(x_z)), "n": candidate(x_n, positive=self.positive)}

    def linear_form(self, x_part: Tensor, weights: Mapping[str, Tensor]) -> LinearForm:
        gates = self.input_gates(x_part, weights)
        z, n = gates["z"].value, gates["n"].value
        return LinearForm(1 - z, z * n)


def candidate(pre: Tensor, *, positive: bool) -> Gate:
    """The candidate of minGRU and minLSTM: what it is given, or g of that (Feng et al. 2024, appendix B)."""
    return Gate(pre, torch.where(pre >= 0, pre + 0.5, torch.sigmoid(pre)) if positive else pre)
