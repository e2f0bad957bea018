"""What every cell has: its options as a layer, its weights and how they start, the product that its step calls."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeprnn.activations import Activation, function_of, name_of
from deeprnn.cells import initialise
from deeprnn.quantities import flag, probability, whole
from deeprnn.reach import parameter_in_reach
from deeprnn.state import State

Direction: TypeAlias = Literal["forward", "reverse", "both"]
Init: TypeAlias = Literal["orthogonal", "uniform", "identity"]

_DIRECTIONS = ("forward", "reverse", "both")
_INITS = ("orthogonal", "uniform", "identity")


class Gate(NamedTuple):
    """One gate of a cell, at one step or at many.

    Attributes:
        pre: (..., H), the argument of the gate's nonlinearity: input, recurrent part and bias, each normalised where
            the layer has layer_norm.
        value: (..., H), the nonlinearity of it.
    """

    pre: Tensor
    value: Tensor


@dataclass(frozen=True, kw_only=True, repr=False)
class Cell:
    """The equations of one layer, and its options. Use a subclass: `Elman`, `GRU`, `LSTM`, or your own.

    A subclass is a frozen dataclass with a field `hidden_size`, the names of its gates and states, and `step`; all that
    is particular to a cell is in its class, and nothing else in this package asks which cell it is. docs/cells.md
    writes one.

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
    """What is carried from step to step, by name; one is h, which the layer writes."""
    cell_state: ClassVar[str | None] = None
    """The state that `return_cell_states` gives at every step, such as an LSTM's c; None for a cell without one."""
    gate_meanings: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """The gates that multiply something, values in 0..1, and what each does: {"f": "forget"}; what analysis counts."""
    gates_read: ClassVar[tuple[str, ...]] = ("h",)
    """The states that `gate_values` reads."""
    norm_groups: ClassVar[tuple[tuple[str, ...], ...]]
    """The gates that layer normalisation treats as one vector."""
    activation_fields: ClassVar[tuple[str, ...]] = ()
    """The fields that hold an activation."""

    def __post_init__(self) -> None:
        kind = type(self).__name__
        object.__setattr__(self, "hidden_size", whole(f"{kind}(hidden_size)", self.width))
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if isinstance(field.default, bool):
                object.__setattr__(self, name, flag(f"{kind}({name})", value))
            elif name == "recurrent_dropout" or name.startswith("zoneout"):
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
            state: the state before the step, (B, H) each.
            recur: the recurrent product: `recur(h)` is (B, G*H), `recur(h, "n")` the rows of gate n.

        Returns:
            The state after the step.
        """

    def gate_values(self, x_part: Tensor, state: State, recur: "Recur") -> dict[str, Gate]:
        """The gates of a step by name, by the equations that `step` is written in; none if the cell doesn't tell.

        The arguments are those of `step`, with any axes before the last: all steps of a sequence can be asked at once.
        """
        del x_part, state, recur
        return {}

    @property
    def tells_gates(self) -> bool:
        """Whether `gate_values` describes this class's own `step`, rather than one that the class has overridden."""
        order = type(self).__mro__
        gates, step = (next(c for c in order if name in vars(c)) for name in ("gate_values", "step"))
        return gates is not Cell and order.index(gates) <= order.index(step)

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
    def state_sizes(self) -> dict[str, int]:
        """The width of each state, by name."""
        return dict.fromkeys(self.states, self.width)

    @property
    def output_width(self) -> int:
        """Features that the layer writes at each step: h's, twice where it runs both ways."""
        return self.state_sizes["h"] * self.directions

    @property
    def zoneout_rates(self) -> dict[str, float]:
        """The probability that a unit keeps its previous value, for each state."""
        return {name: self.zoneout if name == "h" else 0.0 for name in self.states}

    @property
    def activations(self) -> dict[str, Activation]:
        """The cell's activations by the name of their field."""
        return {name: getattr(self, name) for name in self.activation_fields}

    def recurrent_weights(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights that multiply the state, by name; a cell without W_hh has its own, or none."""
        return {"weight_hh": (len(self.gates) * self.width, self.state_sizes["h"])}

    def recurrent_product(self, h: Tensor, weight_hh: Tensor) -> Tensor:
        """(..., rows) = h W_hh, for the rows of some gates; a cell whose W_hh is no dense matrix has its own."""
        return F.linear(h, weight_hh)

    def extra_weights(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights that this cell has beside W_xh, the recurrent weights and the bias, by name."""
        return {}

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        """Shapes of all weights of one direction, by name."""
        height = len(self.gates) * self.width
        shapes: dict[str, tuple[int, ...]] = {"weight_xh": (height, input_size), **self.recurrent_weights()}
        if self.bias:
            shapes["bias"] = (height,)
        if self.layer_norm:
            shapes["gain_xh"] = (height,)
            if "weight_hh" in shapes:
                shapes["gain_hh"] = (height,)
        shapes |= self.extra_weights()
        if self.learn_initial:
            shapes |= {f"initial_{name}": (size,) for name, size in self.state_sizes.items()}
        return shapes

    @property
    def weight_names(self) -> tuple[str, ...]:
        """The names of all weights, those of a second direction included."""
        names = self.__dict__.get("_weight_names")  # asked in every call; torch.compile knows no cached_property
        if names is None:
            suffixes = ("", "_reverse")[: self.directions]
            names = tuple(name + suffix for suffix in suffixes for name in self.weight_shapes(input_size=1))
            object.__setattr__(self, "_weight_names", names)
        return names

    def initialise(self, name: str, weight: Tensor, *, one_hot: int = 0) -> None:
        """Fills one weight as `init` says; a cell whose weights start otherwise extends this.

        Args:
            name: of the weight, as `weight_shapes` has it.
            weight: filled in place, without a gradient.
            one_hot: how many features of the layer's input, its last ones, are one symbol, one-hot.
        """
        initialise.fill(name, weight, self.init, self.width, one_hot)

    def describe(self) -> str:
        """Kind, width and phi in one short text, for tables and drawings."""
        phis = ", ".join(name_of(phi) for phi in self.activations.values())
        return f"{type(self).__name__} {self.width} {phis}".rstrip()

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
        product = self._cell.recurrent_product(h, self._rows[gates])
        if "gain_hh" not in self.weights:
            return product
        return normalise_gates(self._cell, product, self._slice(self.weights["gain_hh"], gates), gates)

    def _slice(self, weight: Tensor, gates: Sequence[str]) -> Tensor:
        every, count = self._cell.gates, len(gates)
        first = every.index(gates[0])
        if tuple(every[first : first + count]) != tuple(gates):
            raise ValueError(f"recur(h, {', '.join(map(repr, gates))}): not neighbours in the order of {every}.")
        return weight[first * self._cell.width : (first + count) * self._cell.width]


def normalise_gates(cell: Cell, product: Tensor, gain: Tensor, gates: Sequence[str]) -> Tensor:
    """Layer normalisation of a product (..., gates*H), each of the cell's `norm_groups` as one vector."""
    groups = [[g for g in group if g in gates] for group in cell.norm_groups]
    sizes = [len(group) * cell.width for group in groups if group]
    if len(sizes) == 1:
        return normalise(product, gain)
    parts = zip(product.split(sizes, dim=-1), gain.split(sizes), strict=True)
    return torch.cat([normalise(part, part_gain) for part, part_gain in parts], dim=-1)
