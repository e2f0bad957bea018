"""The real-gated linear recurrent unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from deeprnn.cells.base import Gate
from deeprnn.cells.linear import LinearCell, LinearForm
from deeprnn.cells.registry import register

_C = 8.0
"""The paper's c."""
_SLOWEST, _FASTEST = 0.999, 0.9
"""The range in which the paper lets a^c start."""


@register
@dataclass(frozen=True, repr=False)
class RGLRU(LinearCell):
    """The real-gated linear recurrent unit of Griffin (De et al. 2024, section 2.4).

        r = sigma(W_xr x + b_r)
        i = sigma(W_xi x + b_i)
        u = W_xu x + b_u
        a = sigma(Lambda)^(8 r)
        h = a * h + sqrt(1 - a^2) * (i * u)

    In the paper u is x itself, already as wide as the layer; here a layer reads any number of features, so x is
    projected to u (the paper's layer is W_xu = 1, b_u = 0). Its gates read x through blocks of a diagonal; here
    through whole matrices. Lambda is the weight `decay_logit` (H,), which starts such that sigma(Lambda)^8 is uniform
    in 0.9..0.999, whatever `init` says.

    Args:
        hidden_size: H.

    The layer's options (direction, layer_norm, zoneout, ...) are those of `Cell`, but for recurrent_dropout.

    >>> RGLRU(64).weight_shapes(28)["decay_logit"]
    (64,)
    """

    hidden_size: int

    gates: ClassVar = ("r", "i", "u")
    gate_meanings: ClassVar = MappingProxyType({"r": "recurrence", "i": "input"})
    norm_groups: ClassVar = (("r",), ("i",), ("u",))

    def extra_weights(self) -> dict[str, tuple[int, ...]]:
        return {"decay_logit": (self.hidden_size,)}

    @torch.no_grad()
    def initialise(self, name: str, weight: Tensor, *, one_hot: int = 0) -> None:
        if name != "decay_logit":
            super().initialise(name, weight, one_hot=one_hot)
            return
        start = torch.empty_like(weight, dtype=torch.float64).uniform_(_FASTEST, _SLOWEST)
        weight.copy_(torch.logit(start ** (1 / _C)))

    def input_gates(self, x_part: Tensor, weights: Mapping[str, Tensor]) -> dict[str, Gate]:  # noqa: ARG002
        x_r, x_i, x_u = x_part.chunk(3, dim=-1)
        return {"r": Gate(x_r, torch.sigmoid(x_r)), "i": Gate(x_i, torch.sigmoid(x_i)), "u": Gate(x_u, x_u)}

    def linear_form(self, x_part: Tensor, weights: Mapping[str, Tensor]) -> LinearForm:
        gates = self.input_gates(x_part, weights)
        log_a = _C * gates["r"].value * F.logsigmoid(weights["decay_logit"])
        # 1 - a^2 without cancellation; at a = 1 a square root has no derivative, so a stays a rounding error below.
        least = torch.finfo(log_a.dtype).eps ** 2
        scale = torch.sqrt(-torch.expm1((2 * log_a).clamp(max=-least)))
        return LinearForm(torch.exp(log_a), scale * gates["i"].value * gates["u"].value)
