"""A cell whose states are changed after every step: how an intervention on a layer's state runs."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from torch import Tensor
from torch.utils.hooks import RemovableHandle

from deeprnn.activations import Activation
from deeprnn.cells import Cell, Gate, Recur
from deeprnn.layer import RecurrentLayer
from deeprnn.masks import ones_with
from deeprnn.state import State

Change: TypeAlias = Callable[[Tensor, int, int, int], Tensor]
"""(values (B, H), t, T, the layer's index of the direction's first unit) -> values."""


class Place:
    """Where a layer's run stands: which direction, which step. The layer's hooks and the cell's steps move it."""

    def __init__(self) -> None:
        self.steps = 0
        self.training = False
        self._directions: list[Recur] = []
        self._done = 0

    def start(self, layer: RecurrentLayer, args: tuple[Any, ...]) -> None:
        """Before the layer runs."""
        self.steps = args[0].shape[0]
        self.training = layer.training
        self._directions = []

    def end(self, _layer: RecurrentLayer, _args: Any, _result: Any) -> None:
        """After it has run."""
        self._directions = []

    def advance(self, recur: Recur) -> tuple[int, int]:
        """The direction (0 or 1) and the count of steps done in it, before one more; a pass has one `recur`."""
        if not self._directions or recur is not self._directions[-1]:
            self._directions.append(recur)
            self._done = 0
        self._done += 1
        return len(self._directions) - 1, self._done - 1


@dataclass(frozen=True, repr=False, eq=False)
class EditedCell(Cell):
    """A layer's cell within an intervention; no kernel but the reference knows it, so that is what runs.

    Zoneout is done here and not by the kernel, so that the changes come after it. It does not know its layer: whoever
    holds a cell for longer, as a choice of kernels does, must not hold a net.
    """

    hidden_size: int
    inner: Cell
    edits: list[tuple[str, Change]] = field(default_factory=list)
    place: Place = field(default_factory=Place)
    handles: list[RemovableHandle] = field(default_factory=list)

    @classmethod
    def around(cls, layer: RecurrentLayer) -> "EditedCell":
        """The layer's edited cell, put in place of its cell if it is not there yet."""
        if isinstance(layer.cell, EditedCell):
            return layer.cell
        inner = layer.cell
        options: dict[str, Any] = {f.name: getattr(inner, f.name) for f in fields(Cell) if f.name != "zoneout"}
        cell = cls(hidden_size=inner.width, inner=inner, **options)
        cell.handles.append(layer.register_forward_pre_hook(cell.place.start))
        cell.handles.append(layer.register_forward_hook(cell.place.end))
        layer.cell = cell
        return cell

    def __post_init__(self) -> None:
        for name in ("gates", "states", "cell_state", "gates_read", "norm_groups"):
            object.__setattr__(self, name, getattr(self.inner, name))
        object.__setattr__(self, "gate_meanings", dict(self.inner.gate_meanings))  # a mapping that can be copied
        super().__post_init__()

    def __repr__(self) -> str:
        return f"{self.inner!r} with its state changed"

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    @property
    def activations(self) -> dict[str, Activation]:
        return self.inner.activations

    @property
    def state_sizes(self) -> dict[str, int]:
        return self.inner.state_sizes

    def recurrent_weights(self) -> dict[str, tuple[int, ...]]:
        return self.inner.recurrent_weights()

    def recurrent_product(self, h: Tensor, weight_hh: Tensor) -> Tensor:
        return self.inner.recurrent_product(h, weight_hh)

    def extra_weights(self) -> dict[str, tuple[int, ...]]:
        return self.inner.extra_weights()

    def gate_values(self, x_part: Tensor, state: State, recur: Recur) -> dict[str, Gate]:
        return self.inner.gate_values(x_part, state, recur)

    def describe(self) -> str:
        return f"{self.inner.describe()}, state changed"

    def options(self) -> dict[str, object]:
        return self.inner.options()

    def add(self, part: str, change: Change) -> None:
        """One more change of a state of that name, made after those that are there."""
        self.edits.append((part, change))

    def remove(self, layer: RecurrentLayer, part: str, change: Change) -> None:
        """Takes a change out; with the last one, its layer has its own cell again."""
        self.edits.remove((part, change))
        if not self.edits:
            if layer.cell is self:
                layer.cell = self.inner
            for handle in self.handles:
                handle.remove()
            self.handles.clear()

    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:
        after = self._zone_out(state, self.inner.step(x_part, state, recur))
        direction, done = self.place.advance(recur)
        backwards = self.direction == "reverse" or direction == 1
        t = self.place.steps - 1 - done if backwards else done
        for part, change in self.edits:
            changed = change(after.parts[part], t, self.place.steps, direction * self.state_sizes[part])
            after = after.replace(**{part: changed})
        return after

    def _zone_out(self, before: State, after: State) -> State:
        rates = self.inner.zoneout_rates
        return State.of({name: self._keep(before.parts[name], part, rates[name]) for name, part in after.parts.items()})

    def _keep(self, before: Tensor, after: Tensor, rate: float) -> Tensor:
        if not rate:
            return after
        keep = ones_with(rate, after) if self.place.training else rate
        return keep * before + (1 - keep) * after


def own_cell(cell: Cell) -> Cell:
    """The cell itself, without the changes of interventions around it."""
    return cell.inner if isinstance(cell, EditedCell) else cell
