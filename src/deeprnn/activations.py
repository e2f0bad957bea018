"""phi by name: the function, and what a kernel must keep to differentiate it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Function: TypeAlias = Callable[[Tensor], Tensor]
Activation: TypeAlias = str | Function
"""A name of `ACTIVATIONS`, or any differentiable function that maps a tensor elementwise; with weights, a module."""


@dataclass(frozen=True)
class Phi:
    """One named activation.

    Attributes:
        function: what is computed, elementwise.
        formula: the same for a reader.
        derivative_from: what the derivative is a function of; a kernel keeps just that for its backward pass.
    """

    function: Function
    formula: str
    derivative_from: Literal["output", "argument"]


def _softplus(a: Tensor) -> Tensor:
    # F.softplus turns linear above 20, which is 1e-9 off there in float64.
    return torch.logaddexp(a, torch.zeros((), dtype=a.dtype, device=a.device))


def _identity(a: Tensor) -> Tensor:
    return a


ACTIVATIONS: Mapping[str, Phi] = MappingProxyType(
    {
        "tanh": Phi(torch.tanh, "tanh(a)", "output"),
        "relu": Phi(torch.relu, "max(a, 0)", "output"),
        "sigmoid": Phi(torch.sigmoid, "1 / (1 + exp(-a))", "output"),
        "identity": Phi(_identity, "a", "output"),
        "softplus": Phi(_softplus, "log(1 + exp(a))", "output"),
        "softsign": Phi(F.softsign, "a / (1 + |a|)", "output"),
        "elu": Phi(F.elu, "a if a > 0 else exp(a) - 1", "argument"),
        "leaky_relu": Phi(F.leaky_relu, "a if a > 0 else 0.01 a", "output"),
        "hardtanh": Phi(F.hardtanh, "min(max(a, -1), 1)", "output"),
        "hardsigmoid": Phi(F.hardsigmoid, "min(max(a / 6 + 1/2, 0), 1)", "output"),
        "selu": Phi(torch.selu, "1.0507 (a if a > 0 else 1.6733 (exp(a) - 1))", "argument"),
        "gelu": Phi(F.gelu, "a Phi(a), Phi the normal distribution function", "argument"),
        "silu": Phi(F.silu, "a / (1 + exp(-a))", "argument"),
        "sin": Phi(torch.sin, "sin(a)", "argument"),
    }
)


def function_of(activation: Activation) -> Function:
    """The function behind a name, or the callable itself.

    Raises:
        ValueError: no activation has that name.
        TypeError: neither a name nor callable.

    >>> function_of("relu")(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    if not isinstance(activation, str):
        if not callable(activation):
            raise TypeError(
                f"activation={activation!r} is neither a name nor a function of a tensor.\n"
                f"  names: {', '.join(ACTIVATIONS)}"
            )
        return activation
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"activation={activation!r} is not known.\n"
            f"  names: {', '.join(ACTIVATIONS)}; any function of a tensor does too."
        )
    return ACTIVATIONS[activation].function


def name_of(activation: Activation) -> str:
    """How an activation is written for a reader: its name, or its function's."""
    if isinstance(activation, str):
        return activation
    return getattr(activation, "__name__", type(activation).__name__)
