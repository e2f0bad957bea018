"""h_t = a_t * h_{t-1} + b_t for every step of a sequence, in far fewer operations than steps.

Two steps (a, b) and (a', b') compose to one, (a' a, a' b + b'), and composition is associative (Blelloch 1990, "Prefix
sums and their applications", section 1.4). The sequence is cut into chunks of equal length that advance side by side.
A first pass composes the steps of each chunk to one; the same recurrence over the chunks gives the state before each;
a second pass computes the states within. A step costs three multiplications instead of one, but an operation does
`_AT_ONCE` of them. Nothing is divided and no logarithm is taken, so any a_t is safe, 0 and 1 too.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from deeprnn.kernels.interface import is_recorded

_AT_ONCE = 1 << 16
"""Elements that an operation works on: they hide its fixed cost and occupy two threads, and stay in cache."""
_FEWEST_CHUNKS, _SHORTEST_CHUNK = 4, 8
"""Below these, chunks don't pay: their two passes do three operations where a loop over the steps does one."""

_library = torch.library.Library("deeprnn", "FRAGMENT")
_library.define("linear_recurrence(Tensor a, Tensor b, Tensor? before, Tensor? restarts, bool reverse) -> Tensor")


def linear_recurrence(
    a: Tensor, b: Tensor, before: Tensor | None = None, restarts: Tensor | None = None, *, reverse: bool = False
) -> Tensor:
    """Every h_t of h_t = a_t * h_{t-1} + b_t; in reverse, of h_t = a_t * h_{t+1} + b_t.

    Differentiable to any order in a, b and before; torch.func's vmap and grad, torch.compile and torch.export know it.

    Args:
        a: (T, ...). Without `before`, (T-1, ...): a[t] joins the steps t and t+1.
        b: (T, ...), T at least 1.
        before: (...), the state before the first step (in reverse, the last one). None: the first state is its b.
        restarts: bool, (T, ...) or as many steps as `a` has, and broadcast to its shape: where it holds, h_t = b_t,
            whatever the state before may be, NaN included. None: nowhere.
        reverse: steps run from T-1 to 0.

    Returns:
        (T, ...).

    >>> linear_recurrence(torch.tensor([0.5, 0.5, 0.0]), torch.tensor([1.0, 1.0, 1.0]), torch.tensor(4.0))
    tensor([3.0000, 2.5000, 1.0000])
    """
    if torch.compiler.is_compiling() or is_recorded():  # the graph names the operator, which has its own derivative
        return torch.ops.deeprnn.linear_recurrence.default(a, b, before, restarts, reverse)
    return _Recurrence.apply(a, b, before, restarts, reverse)


def _run(a: Tensor, b: Tensor, before: Tensor | None, restarts: Tensor | None, reverse: bool) -> Tensor:
    hidden = b.new_empty(b.shape)
    if before is not None:
        _fill(hidden, a, b, before, restarts, reverse)
        return hidden
    first, others = _ends(reverse)
    hidden[first] = b[first]
    _fill(hidden[others], a, b[others], b[first], restarts, reverse)
    return hidden


def _fill(hidden: Tensor, a: Tensor, b: Tensor, before: Tensor, restarts: Tensor | None, reverse: bool) -> None:
    """Writes every state into `hidden` (T, ...)."""
    steps = b.shape[0]
    chunks = min(_AT_ONCE // max(before.numel(), 1), steps // _SHORTEST_CHUNK)
    if chunks < _FEWEST_CHUNKS:
        _advance(before, *(_in_order(part, 0, reverse) for part in (a, b, restarts, hidden)))
        return
    length = steps // chunks
    left = steps - chunks * length
    whole, rest = (slice(left, None), slice(left)) if reverse else (slice(steps - left), slice(steps - left, steps))
    side_by_side = [
        None if part is None else part[whole].unflatten(0, (chunks, length)) for part in (a, b, restarts, hidden)
    ]
    a_s, b_s, restarts_s, hidden_s = (_in_order(part, 1, reverse) for part in side_by_side)
    ends = torch.empty_like(b_s[0], memory_format=torch.contiguous_format)
    any_restart = None if side_by_side[2] is None else side_by_side[2].any(1)
    _fill(ends, *_compose(a_s, b_s, restarts_s), before, any_restart, reverse)
    before = before.unsqueeze(0)
    _advance(torch.cat([ends[1:], before] if reverse else [before, ends[:-1]]), a_s, b_s, restarts_s, hidden_s)
    if left:
        restarts = None if restarts is None else restarts[rest]
        _fill(hidden[rest], a[rest], b[rest], ends[0 if reverse else -1], restarts, reverse)


def _compose(a: Sequence[Tensor], b: Sequence[Tensor], restarts: Sequence[Tensor] | None) -> tuple[Tensor, Tensor]:
    """Several steps as one. Where one of them restarts, the composed a is of no use to anyone."""
    product, state = a[0].clone(), b[0].clone()
    for index in range(1, len(a)):
        product.mul_(a[index])
        torch.addcmul(b[index], a[index], state, out=state)
        if restarts is not None:
            torch.where(restarts[index], b[index], state, out=state)
    return product, state


def _advance(
    state: Tensor, a: Sequence[Tensor], b: Sequence[Tensor], restarts: Sequence[Tensor] | None, into: Sequence[Tensor]
) -> None:
    """One step after the other, each state into its place."""
    for index, place in enumerate(into):
        state = torch.addcmul(b[index], a[index], state, out=place)
        if restarts is not None:
            torch.where(restarts[index], b[index], state, out=place)


def _in_order(part: Tensor | None, axis: int, reverse: bool) -> Any:
    """A tensor's slices along an axis in the order in which they are computed."""
    if part is None:
        return None
    slices = part.unbind(axis)
    return slices[::-1] if reverse else slices


def _ends(reverse: bool) -> tuple[int, slice]:
    """The first step to be computed, and the others."""
    return (-1, slice(None, -1)) if reverse else (0, slice(1, None))


class _Recurrence(Function):
    """The operator with its derivative, which is the operator once more."""

    @staticmethod
    def forward(*arguments: Any) -> Tensor:
        return torch.ops.deeprnn.linear_recurrence.default(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        a, _, before, restarts, ctx.reverse = inputs
        ctx.save_for_backward(a, before, restarts, output)

    @staticmethod
    def backward(ctx: Any, *of_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """What reaches h_t reaches b_t, and through a_t the state before: the same recurrence, the other way."""
        (of_hidden,) = of_outputs
        a, before, restarts, hidden = ctx.saved_tensors
        first, others = _ends(ctx.reverse)
        _, earlier = _ends(not ctx.reverse)
        between, cuts = a, restarts
        if before is not None:
            between, cuts = a[others], None if restarts is None else restarts[others]
        of_b = linear_recurrence(between, of_hidden, None, cuts, reverse=not ctx.reverse)
        of_a, of_before = of_b[others] * hidden[earlier], None
        if before is not None:
            parts = [of_a, (of_b[first] * before).unsqueeze(0)]
            of_a = torch.cat(parts if ctx.reverse else parts[::-1])
            of_before = of_b[first] * a[first]
        if restarts is not None:
            of_a = of_a.masked_fill(restarts, 0)
            of_before = None if of_before is None else of_before.masked_fill(restarts[first], 0)
        return of_a, of_b, of_before, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
        """Samples stand beside the batch, for no element reads another."""
        *tensors, reverse = arguments
        axes = (1, 1, 0, 1)  # after the steps, which `before` has none of
        samples: list[Any] = []
        for tensor, dim, axis in zip(tensors, in_dims[:-1], axes, strict=True):
            if tensor is None:
                samples.append(None)
            elif dim is None:
                samples.append(
                    tensor.unsqueeze(axis).expand(*tensor.shape[:axis], info.batch_size, *tensor.shape[axis:])
                )
            else:
                samples.append(tensor.movedim(dim, axis))
        return _Recurrence.apply(*samples, reverse), 1


def _with_derivative(*arguments: Any) -> Tensor:
    """The operator where autograd stands before it: in a graph that was traced or exported."""
    if torch.is_grad_enabled() and any(isinstance(part, Tensor) and part.requires_grad for part in arguments):
        return _Recurrence.apply(*arguments)
    with torch._C._AutoDispatchBelowAutograd():  # pyright: ignore  # no public way
        return torch.ops.deeprnn.linear_recurrence.default(*arguments)


def _shape(_a: Tensor, b: Tensor, *_rest: Any) -> Tensor:
    return b.new_empty(b.shape)


_library.impl("linear_recurrence", _run, "CompositeExplicitAutograd")
_library.impl("linear_recurrence", _with_derivative, "Autograd")
torch.library.register_fake("deeprnn::linear_recurrence", _shape, lib=_library)
