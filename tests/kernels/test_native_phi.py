"""The kernels' own exp, tanh, sigmoid and the rest: largest error in units in the last place over the float32 numbers.

Every `FLOATS_APART`th of the 2^32 floats is tried, 1009 by default; FLOATS_APART=1 tries all, which takes an hour.
"""

import os
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from deeprnn.activations import ACTIVATIONS
from deeprnn.kernels.native import extension

APART = int(os.environ.get("FLOATS_APART", "1009"))
BLOCK = 1 << 22

LARGEST = {
    "tanh": 2.6, "relu": 0.0, "sigmoid": 2.5, "identity": 0.0, "softplus": 2.8, "softsign": 1.5, "elu": 1.2,
    "leaky_relu": 0.9, "hardtanh": 0.0, "hardsigmoid": 1.4, "selu": 2.7, "gelu": 70.0, "silu": 13.0, "sin": 48.0,
    "exp": 1.1, "log1p": 0.9,
}  # fmt: skip
"""Units in the last place, on any instruction set. gelu's are where it is 1e-37, silu's where it is below 1e-38, and
sin's next to far multiples of pi, where it is nearly 0."""


def _exact(name: str) -> Callable[[Tensor], Tensor]:
    """The function in float64, where torch's own loses digits by other formulas."""
    if name == "gelu":
        return lambda a: 0.5 * a * torch.special.erfc(-a / 2**0.5)
    if name in ("exp", "log1p"):
        return getattr(torch, name)
    return ACTIVATIONS[name].function


def _computed(name: str, a: Tensor) -> Tensor:
    native, out = extension.native(), torch.empty_like(a)
    where = (a.data_ptr(), out.data_ptr(), a.numel())
    if name in ("exp", "log1p"):
        getattr(native, f"map_{name}")(extension.isa(), *where)
    else:
        native.map(extension.isa(), list(ACTIVATIONS).index(name), *where)
    return out


def _floats(start: int) -> Tensor:
    bits = torch.arange(start, min(start + BLOCK * APART, 1 << 32), APART)
    return (bits - (bits >= 1 << 31) * (1 << 32)).to(torch.int32).view(torch.float32)


def units(found: Tensor, exact: Tensor) -> Tensor:
    """The distance in units in the last place of float32 at `exact`."""
    exponent = torch.frexp(exact).exponent.clamp(-125, 128) - 24
    return (found.double() - exact).abs() / torch.ldexp(torch.ones_like(exact), exponent)


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("name", LARGEST)
def test_error_over_all_floats(name: str) -> None:
    worst = 0.0
    for start in range(0, 1 << 32, BLOCK * APART):
        a = _floats(start)
        a = a[torch.isfinite(a)]
        if name == "log1p":
            a = a[a > -1]
        found, exact = _computed(name, a), _exact(name)(a.double())
        ordinary = exact.abs() < torch.finfo(torch.float32).max
        assert torch.equal(found[~ordinary].isinf(), exact[~ordinary].float().isinf())
        if ordinary.any():
            worst = max(worst, float(units(found[ordinary], exact[ordinary]).max()))
    assert worst <= LARGEST[name], worst


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_limits(name: str) -> None:
    a = torch.tensor([torch.inf, -torch.inf, torch.nan, 0.0, -0.0])
    found, expected = _computed(name, a), ACTIVATIONS[name].function(a.double()).float()
    if name == "gelu":
        expected[1] = 0.0  # torch's formula multiplies by an infinity
    if name == "silu":
        expected[1] = 0.0
    if name == "softsign":
        expected[:2] = torch.tensor([1.0, -1.0])
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
