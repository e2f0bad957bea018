"""What a layer, and a stack of layers, carries from step to step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

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


def _flatten_state(state: State) -> tuple[list[Any], tuple[bool, bool]]:
    # torch's pytrees count None as a leaf, which vmap refuses: absent parts stay out of the leaves.
    children = [part for part in (state.h, state.c, state.reverse) if part is not None]
    return children, (state.c is not None, state.reverse is not None)


def _unflatten_state(children: Any, present: Any) -> State:
    parts = iter(children)
    has_c, has_reverse = present
    h = next(parts)
    return State(h, next(parts) if has_c else None, next(parts) if has_reverse else None)


def _flatten_deep(state: DeepState) -> tuple[list[Any], None]:
    return list(state.layers), None


def _unflatten_deep(children: Any, _context: Any) -> DeepState:
    return DeepState(tuple(children))


pytree.register_pytree_node(State, _flatten_state, _unflatten_state, serialized_type_name="deeprnn.State")
pytree.register_pytree_node(DeepState, _flatten_deep, _unflatten_deep, serialized_type_name="deeprnn.DeepState")


def select(condition: Tensor, first: State, second: State) -> State:
    """`first` in the rows where `condition` (B, 1) holds, `second` elsewhere; one direction only."""
    h = torch.where(condition, first.h, second.h)
    if first.c is None or second.c is None:
        return State(h)
    return State(h, torch.where(condition, first.c, second.c))


def state_of(parts: Mapping[str, Tensor]) -> State:
    """A one-way state from its parts by name, {"h": ...} or {"h": ..., "c": ...}."""
    return State(parts["h"], parts.get("c"))
