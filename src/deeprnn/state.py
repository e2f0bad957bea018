"""What a layer, and a stack of layers, carries from step to step."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

import torch
from torch import Tensor
from torch.utils import _pytree as pytree


@dataclass(frozen=True, eq=False)
class State:
    """One layer's state after a step: what the next step continues from.

    Attributes:
        h: (B, H) hidden state.
        c: (B, H) an LSTM's cell state; None for other cells.
        reverse: the state of the layer's second direction; None where it runs one way.

    >>> state = State(torch.zeros(3, 8))
    >>> state.rows(slice(0, 2)).h.shape
    torch.Size([2, 8])
    """

    h: Tensor
    c: Tensor | None = None
    reverse: "State | None" = None

    def map(self, function: Callable[[Tensor], Tensor]) -> "State":
        """The same state with `function` applied to each of its tensors."""
        return State(
            function(self.h),
            None if self.c is None else function(self.c),
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
    # torch's pytrees count None as a leaf, which vmap refuses: absent parts stay out of the leaves.
    names = tuple(name for name in ("h", "c", "reverse") if getattr(state, name) is not None)
    return [getattr(state, name) for name in names], names


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
    h = torch.where(condition, first.h, second.h)
    if first.c is None or second.c is None:
        return State(h)
    return State(h, torch.where(condition, first.c, second.c))


def state_of(parts: Mapping[str, Tensor]) -> State:
    """A one-way state from its parts by name, {"h": ...} or {"h": ..., "c": ...}."""
    return State(parts["h"], parts.get("c"))
