"""What a layer, and a stack of layers, carries from step to step."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

_POSITIONAL = ("h", "c")
"""The parts that positional arguments of `State` are, torch's order."""


class State:
    """One layer's state after a step: what the next step continues from.

    It has the parts that the layer's cell names (`cell.states`): h, what the layer writes, and what the cell carries
    beside it, such as an LSTM's c. A state does not change; `replace` makes another.

    Args:
        values: h, and c, by position.
        reverse: the state of the layer's second direction; None where it runs one way.
        parts: the parts by name, (B, H) each.

    >>> state = State(h=torch.zeros(3, 8), c=torch.ones(3, 8))
    >>> state.rows(slice(0, 2)).c.shape
    torch.Size([2, 8])
    """

    parts: dict[str, Tensor]
    reverse: "State | None"

    def __init__(self, *values: Tensor, reverse: "State | None" = None, **parts: Tensor) -> None:
        if values:
            if len(values) > len(_POSITIONAL):
                raise TypeError(
                    f"State() takes h and c by position, got {len(values)} values; name the parts: State(h=...)."
                )
            parts = dict(zip(_POSITIONAL, values, strict=False)) | parts
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "reverse", reverse)

    @classmethod
    def of(cls, parts: Mapping[str, Tensor], reverse: "State | None" = None) -> "State":
        """A state of these parts."""
        state = cls(reverse=reverse)
        state.parts.update(parts)
        return state

    def __getattr__(self, name: str) -> Tensor:
        parts = self.__dict__.get("parts", {})  # without them while it is being unpickled
        if name not in parts:
            raise AttributeError(f"this State has no {name!r}; it holds {', '.join(parts)}.")
        return parts[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"state.{name} can't be set; make another: state.replace({name}=...).")

    def __repr__(self) -> str:
        shapes = [f"{name} {tuple(part.shape)}" for name, part in self.parts.items()]
        return f"State({', '.join([*shapes, *(['reverse'] if self.reverse is not None else [])])})"

    def replace(self, **parts: Tensor) -> "State":
        """The same state with other values of some parts."""
        return State.of({**self.parts, **parts}, self.reverse)

    def one_way(self) -> "State":
        """The first direction's state alone."""
        return self if self.reverse is None else State.of(self.parts)

    def map(self, function: Callable[[Tensor], Tensor]) -> "State":
        """The same state with `function` applied to each of its tensors."""
        return State.of(
            {name: function(part) for name, part in self.parts.items()},
            None if self.reverse is None else self.reverse.map(function),
        )

    def detach(self) -> "State":
        """The same values, cut from the graph that computed them (truncated backpropagation)."""
        return self.map(Tensor.detach)

    def rows(self, index: Any) -> "State":
        """The states of some rows of the batch; `index` is an int, a slice or a tensor, as in `h[index]`."""
        return self.map(lambda tensor: tensor[index])

    def to(self, *args: Any, **kwargs: Any) -> "State":
        """Moved or cast, as `Tensor.to` does."""
        return self.map(lambda tensor: tensor.to(*args, **kwargs))


@dataclass(frozen=True, eq=False)
class DeepState(Sequence[State]):
    """The states of all layers, bottom layer first: `state[l]` is layer l's."""

    layers: tuple[State, ...]

    @overload
    def __getitem__(self, index: int) -> State: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[State, ...]: ...
    def __getitem__(self, index: int | slice) -> State | tuple[State, ...]:
        return self.layers[index]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[State]:
        return iter(self.layers)

    def map(self, function: Callable[[Tensor], Tensor]) -> "DeepState":
        """The same states with `function` applied to each of their tensors."""
        return DeepState(tuple(layer.map(function) for layer in self.layers))

    def detach(self) -> "DeepState":
        """The same values, cut from the graph that computed them (truncated backpropagation)."""
        return self.map(Tensor.detach)

    def rows(self, index: Any) -> "DeepState":
        """The states of some rows of the batch; `index` is an int, a slice or a tensor."""
        return self.map(lambda tensor: tensor[index])

    def to(self, *args: Any, **kwargs: Any) -> "DeepState":
        """Moved or cast, as `Tensor.to` does."""
        return self.map(lambda tensor: tensor.to(*args, **kwargs))


_Keys: TypeAlias = list[tuple[Any, Any]]


def _flatten_state(state: State) -> tuple[list[Any], tuple[str, ...]]:
    # torch's pytrees count None as a leaf, which vmap refuses: an absent direction stays out of the leaves.
    if state.reverse is None:
        return [*state.parts.values()], tuple(state.parts)
    return [*state.parts.values(), state.reverse], (*state.parts, "reverse")


def _unflatten_state(children: Iterable[Any], names: tuple[str, ...]) -> State:
    return State(**dict(zip(names, children, strict=True)))


def _flatten_state_with_keys(state: State) -> tuple[_Keys, tuple[str, ...]]:
    children, names = _flatten_state(state)
    return [(pytree.GetAttrKey(name), child) for name, child in zip(names, children, strict=True)], names


def _flatten_deep(state: DeepState) -> tuple[list[Any], None]:
    return list(state.layers), None


def _unflatten_deep(children: Iterable[Any], _context: None) -> DeepState:
    return DeepState(tuple(children))


def _flatten_deep_with_keys(state: DeepState) -> tuple[_Keys, None]:
    return [(pytree.SequenceKey(index), layer) for index, layer in enumerate(state.layers)], None


def _names_from_json(text: str) -> tuple[str, ...]:
    # A list would differ from the names of a state that the loaded program is given.
    return tuple(json.loads(text))


pytree.register_pytree_node(
    State,
    _flatten_state,
    _unflatten_state,
    serialized_type_name="deeprnn.State",
    to_dumpable_context=json.dumps,
    from_dumpable_context=_names_from_json,
    flatten_with_keys_fn=_flatten_state_with_keys,
)
pytree.register_pytree_node(
    DeepState,
    _flatten_deep,
    _unflatten_deep,
    serialized_type_name="deeprnn.DeepState",
    flatten_with_keys_fn=_flatten_deep_with_keys,
)
# They hold tensors alone, so torch.load may build them without running anything else: a state can be saved by
# torch.save, and an exported program keeps the state that it was traced with.
torch.serialization.add_safe_globals([State, DeepState])


def select(condition: Tensor, first: State, second: State) -> State:
    """`first` in the rows where `condition` (B, 1) holds, `second` elsewhere; one direction only."""
    return State.of({name: torch.where(condition, part, second.parts[name]) for name, part in first.parts.items()})
