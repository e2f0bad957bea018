"""What every cell has: its options as a layer, its weights' shapes, and the recurrent product its step calls."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeprnn.activations import Activation, function_of, name_of
from deeprnn.quantities import flag, probability, whole
from deeprnn.reach import parameter_in_reach
from deeprnn.state import State

Direction: TypeAlias = Literal["forward", "reverse", "both"]
Init: TypeAlias = Literal["orthogonal", "uniform", "identity"]

_DIRECTIONS = ("forward", "reverse", "both")
_INITS = ("orthogonal", "uniform", "identity")

CELLS: dict[str, type["Cell"]] = {}
"""Every cell by its class's name; a subclass enters itself, so that a saved net finds it again."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Cell:
    """The equations of one layer, and its options. Use a subclass: `Elman`, `GRU`, `LSTM`, or your own.

    A subclass is a frozen dataclass with a field `hidden_size`, the names of its gates and states, and `step`.

    Args:
        bias: whether the layer adds b_h.
        direction: "forward", "reverse" (from the last step to the first), or "both" (two sets of weights; the
            layer then writes (T, B, 2H), as Schuster & Paliwal 1997).
        layer_norm: normalise W_xh x and W_hh h, each on its own and before the bias, with a learned gain, as the
            GRU and LSTM equations in the supplement of Ba, Kiros & Hinton 2016 do; an LSTM also normalises c_t
            before its output activation. (For the plain RNN that paper normalises the sum of the two.)
        recurrent_dropout: probability of dropping a unit of h_{t-1} on its way into W_hh, with one mask for all
            steps of a sequence (Gal & Ghahramani 2016).
        zoneout: probability that a unit keeps its previous value (Krueger et al. 2017); in evaluation, the
            expectation. For an LSTM it acts on h; its `zoneout_cell` acts on c.
        learn_initial: make the state before the first step a parameter instead of zeros.
        init: "orthogonal": W_hh orthogonal for each gate (Saxe et al. 2014), W_xh Xavier uniform for each gate
            (Glorot & Bengio 2010; symbols otherwise, see `one_hot` of `DeepRNN`), biases 0, an LSTM's forget bias 1
            (Jozefowicz et al. 2015). "uniform": all from U(-1/sqrt(H), 1/sqrt(H)), as torch.nn. "identity": as
            "orthogonal", but W_hh the identity for each gate (Le et al. 2015, for relu).
    """

    bias: bool = True
    direction: Direction = "forward"
    layer_norm: bool = False
    recurrent_dropout: float = 0.0
    zoneout: float = 0.0
    learn_initial: bool = False
    init: Init = "orthogonal"

    gates: ClassVar[tuple[str, ...]]
    """The blocks of H rows in weight_xh, weight_hh and bias, in order."""
    states: ClassVar[tuple[str, ...]] = ("h",)
    """What is carried from step to step: ("h",) or ("h", "c")."""
    norm_groups: ClassVar[tuple[tuple[str, ...], ...]]
    """The gates that layer normalisation treats as one vector."""
    activation_fields: ClassVar[tuple[str, ...]] = ()
    """The fields that hold an activation."""

    def __init_subclass__(cls) -> None:
        CELLS[cls.__name__] = cls

    def __post_init__(self) -> None:
        kind = type(self).__name__
        object.__setattr__(self, "hidden_size", whole(f"{kind}(hidden_size)", self.width))
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if isinstance(field.default, bool):
                object.__setattr__(self, name, flag(f"{kind}({name})", value))
            elif name in ("recurrent_dropout", "zoneout", "zoneout_cell"):
                object.__setattr__(self, name, probability(f"{kind}({name})", value))
        if self.direction not in _DIRECTIONS:
            raise ValueError(f"{self!r}: direction is one of {', '.join(map(repr, _DIRECTIONS))}.")
        if self.init not in _INITS:
            raise ValueError(f"{self!r}: init is one of {', '.join(map(repr, _INITS))}.")
        for name in self.activation_fields:
            _check_activation(name, getattr(self, name))

    def __repr__(self) -> str:
        """As one would write it: `GRU(64, zoneout=0.1)`."""
        named = {f.name: repr(getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default}
        named |= {name: name_of(phi) for name, phi in self.activations.items() if name in named and callable(phi)}
        width = named.pop("hidden_size", "")
        return f"{type(self).__name__}({', '.join([width, *(f'{name}={value}' for name, value in named.items())])})"

    @abstractmethod
    def step(self, x_part: Tensor, state: State, recur: "Recur") -> State:
        """One step of the layer's equations, without lengths, resets or zoneout.

        Args:
            x_part: (B, G*H), W_xh x_t + b.
            state: (B, H) each, the state before the step.
            recur: the recurrent product: `recur(h)` is (B, G*H), `recur(h, "n")` the rows of gate n.

        Returns:
            The state after the step.
        """

    @property
    def width(self) -> int:
        """H, the layer's hidden units (of one direction)."""
        size: int = self.hidden_size  # type: ignore[attr-defined]  # each subclass declares it
        return size

    @property
    def directions(self) -> int:
        """2 where the layer runs both ways, else 1."""
        return 2 if self.direction == "both" else 1

    @property
    def output_width(self) -> int:
        """Features that the layer writes at each step: H, or 2H where it runs both ways."""
        return self.width * self.directions

    @property
    def activations(self) -> dict[str, Activation]:
        """The cell's activations by the name of their field."""
        return {name: getattr(self, name) for name in self.activation_fields}

    def extra_weights(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights that this cell has beside weight_xh, weight_hh and bias, by name."""
        return {}

    def describe(self) -> str:
        """Kind, width and phi in one short text, for tables and drawings."""
        phis = ", ".join(name_of(phi) for phi in self.activations.values())
        return f"{type(self).__name__} {self.width} {phis}"

    def options(self) -> dict[str, object]:
        """The options that differ from their defaults, for tables and drawings."""
        shown = {"hidden_size", *self.activation_fields}
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name not in shown and getattr(self, f.name) != f.default
        }


def _check_activation(field: str, activation: Activation) -> None:
    """Refuses what a layer could not run or not own: a class, what has no hash, a function that reads a weight."""
    function_of(activation)
    name = name_of(activation)
    if isinstance(activation, type):
        raise TypeError(f"{field}={name} is a class; give an instance: {field}={name}().")
    try:
        hash(activation)
    except TypeError as error:
        raise TypeError(
            f"{field}={name} has no hash ({error}), and cells are told apart by theirs; "
            f"for a dataclass, @dataclass(frozen=True) gives it one."
        ) from error
    weight = None if isinstance(activation, str | nn.Module) else parameter_in_reach(activation)
    if weight is not None:
        raise TypeError(
            f"{field}={name} is a function that reads the parameter {weight!r}: the net could neither train, move nor "
            f"save it.\n  Give a torch.nn.Module, such as torch.nn.PReLU() or one of your own, whose parameters "
            f"become the net's; a parameter that is not to be learned: {weight}.detach()."
        )


def normalise(value: Tensor, gain: Tensor) -> Tensor:
    """Layer normalisation over the last axis with a gain and no bias (Ba, Kiros & Hinton 2016)."""
    return F.layer_norm(value, gain.shape, gain, None, eps=1e-5)


class Recur:
    """The recurrent product of a layer, with the dropout mask and the normalisation that surround it.

    Args:
        cell: whose gates name the rows.
        weights: the layer's weights of one direction, by name.
        mask: (B, H), what h is multiplied by on its way into the product; None for nothing.
    """

    def __init__(self, cell: Cell, weights: Mapping[str, Tensor], mask: Tensor | None) -> None:
        self._cell = cell
        self._mask = mask
        self._rows: dict[tuple[str, ...], Tensor] = {}
        self.weights = weights

    def __call__(self, h: Tensor, *gates: str) -> Tensor:
        """(B, G*H) = h W_hh, or only the rows of `gates` (neighbours, in the cell's order)."""
        if self._mask is not None:
            h = h * self._mask
        gates = gates or self._cell.gates
        if gates not in self._rows:
            self._rows[gates] = self._slice(self.weights["weight_hh"], gates)
        product = F.linear(h, self._rows[gates])
        if "gain_hh" not in self.weights:
            return product
        return normalise_gates(self._cell, product, self._slice(self.weights["gain_hh"], gates), gates)

    def normalise_cell(self, c: Tensor) -> Tensor:
        """c as an LSTM's output activation reads it: normalised where the layer has layer_norm."""
        if "gain_c" not in self.weights:
            return c
        return normalise(c, self.weights["gain_c"]) + self.weights["bias_c"]

    def _slice(self, weight: Tensor, gates: Sequence[str]) -> Tensor:
        first = self._cell.gates.index(gates[0])
        return weight[first * self._cell.width : (first + len(gates)) * self._cell.width]


def normalise_gates(cell: Cell, product: Tensor, gain: Tensor, gates: Sequence[str]) -> Tensor:
    """Layer normalisation of a product (..., gates*H), each of the cell's `norm_groups` as one vector."""
    groups = [[g for g in group if g in gates] for group in cell.norm_groups]
    sizes = [len(group) * cell.width for group in groups if group]
    if len(sizes) == 1:
        return normalise(product, gain)
    parts = zip(product.split(sizes, dim=-1), gain.split(sizes), strict=True)
    return torch.cat([normalise(part, part_gain) for part, part_gain in parts], dim=-1)
