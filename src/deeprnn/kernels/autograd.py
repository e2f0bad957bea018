"""Derivatives of any order, and vmap, around a pair of operators: what a kernel gets that has a forward and a backward.

First derivatives are the backward operator's, under `create_graph=True` and `torch.func.grad` too; the derivative of
that one is the reference's, right to any order. Under vmap samples become rows of the batch where they share the
weights; where they don't, and for one gradient of a shared weight a sample, the operators run once a sample.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.autograd import Function

from deeprnn.kernels import reference
from deeprnn.kernels.interface import LayerCall, LayerOutput, transforms

Dims: TypeAlias = Sequence[int | None]

_vjp: Any = torch.func.vjp


class Kept(NamedTuple):
    """What a backward operator reads of what its forward operator returned; the cell states None where not returned."""

    hidden: Any
    cell_states: Any
    saved: Any


@dataclass(frozen=True, eq=False)
class OperatorPair:
    """A kernel's forward and backward operator, on flat arguments, and what differentiating them needs to know.

        forward(*read, *kind, return_cell_states, training) -> hidden, states after, cell states if returned, and in
            training `saved`: one tensor that the backward operator alone understands
        backward(*read, *kept, *given, *kind, wanted) -> the wanted gradients

    `kept` is `Kept`; `wanted` says for each differentiable tensor whether its gradient is wanted.

    Attributes:
        forward, backward: the operators. They return no views.
        read: a type of named tuple: the tensors that both read, None for what a call lacks, differentiable ones first.
        differentiable: how many those are.
        given: the same for the gradients of all outputs but `saved`, in order; None for zero.
        kind: the same for the numbers that say what is computed.
        batch_axes: a `read` of each tensor's batch axis, None for weights.
        given_axes: a `given` of the same.
        kept_of: (outputs, kind, return_cell_states) -> `Kept`, of a forward in training.
        call_of: (read, kind) -> the call that the reference runs for second derivatives; it returns its cell states.
        given_of: what the reference returned, as a `given`.
    """

    forward: Callable[..., Sequence[Tensor]]
    backward: Callable[..., Sequence[Tensor]]
    read: type[Any]
    differentiable: int
    given: type[Any]
    kind: type[Any]
    batch_axes: Any
    given_axes: Any
    kept_of: Callable[[Sequence[Tensor], Any, bool], Kept]
    call_of: Callable[[Any, Any], LayerCall]
    given_of: Callable[[LayerOutput], Any]

    @property
    def weights(self) -> tuple[int, ...]:
        """The places of the weights among the tensors."""
        return tuple(place for place, axis in enumerate(self.batch_axes[: self.differentiable]) if axis is None)

    def parts(self, arguments: Sequence[Any]) -> tuple[Any, Kept, Any, Any, Sequence[bool]]:
        """The backward operator's arguments: read, kept, given, kind, wanted."""
        rest = iter(arguments)
        read, kept, given, kind = (
            part(*(next(rest) for _ in part._fields)) for part in (self.read, Kept, self.given, self.kind)
        )
        return read, kept, given, kind, next(rest)


def differentiable(pair: OperatorPair) -> Callable[..., tuple[Tensor, ...]]:
    """The pair's forward operator with its derivatives: the same arguments, the same outputs."""
    # What torch.compile reads below: it knows functions, types and numbers, but no `pair`.
    forward_operator, backward_operator, kept_of, kind_of = pair.forward, pair.backward, pair.kept_of, pair.kind
    reads, leaves, gives = len(pair.read._fields), pair.differentiable, len(pair.given._fields)

    class Forward(Function):
        @staticmethod
        def forward(*arguments: Any) -> tuple[Tensor, ...]:
            return tuple(forward_operator(*arguments))

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
            *kind, return_cell_states, training = inputs[reads:]
            ctx.kind = kind
            ctx.set_materialize_grads(False)
            if not training:
                return
            kept = kept_of(output, kind_of(*kind), return_cell_states)
            ctx.save_for_backward(*inputs[:reads], *kept)
            ctx.mark_non_differentiable(kept.saved)

        @staticmethod
        def backward(ctx: Any, *of_outputs: Tensor | None) -> tuple[Any, ...]:
            given = of_outputs[:-1]  # `saved` has no gradient
            given = (*given, *(None,) * (gives - len(given)))
            wanted = list(ctx.needs_input_grad[:leaves])
            if all(gradient is None for gradient in given) or not any(wanted):
                return (None,) * len(ctx.needs_input_grad)
            if any(gradient is not None and _is_batched_by_autograd(gradient) for gradient in given):
                raise RuntimeError(
                    "this kernel has no is_grads_batched=True (vectorize=True); "
                    "use torch.func.jacrev, or deeprnn.kernels.force('reference')."
                )
            arguments = (*ctx.saved_tensors, *given, *ctx.kind, wanted)
            # Only where someone may differentiate further; and torch.compile, which can't, needs the bare operator.
            further = (torch.is_grad_enabled() or transforms()) and not torch.compiler.is_compiling()
            remaining = iter(_apply(Backward, *arguments) if further else backward_operator(*arguments))
            nothing = (None,) * (len(ctx.needs_input_grad) - leaves)
            return (*(next(remaining) if want else None for want in wanted), *nothing)

        @staticmethod
        def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Any, Any]:
            return _vmap_forward(pair, Forward, info.batch_size, in_dims, arguments)

    class Backward(Function):
        @staticmethod
        def forward(*arguments: Any) -> tuple[Tensor, ...]:
            return tuple(pair.backward(*arguments))

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:  # noqa: ARG004
            read, _, given, ctx.kind, ctx.wanted = pair.parts(inputs)
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(*read, *given)

        @staticmethod
        def backward(ctx: Any, *of_results: Tensor | None) -> tuple[Any, ...]:
            read, given = ctx.saved_tensors[:reads], ctx.saved_tensors[reads:]
            of_read, of_given = _second_derivative(pair, read, given, ctx.kind, ctx.wanted, of_results)
            not_differentiable = (None,) * (reads - pair.differentiable + len(Kept._fields))
            return (*of_read, *not_differentiable, *of_given, *(None,) * (len(ctx.kind) + 1))

        @staticmethod
        def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Any, Any]:
            return _vmap_backward(pair, Forward, Backward, info.batch_size, in_dims, arguments)

    def apply(*arguments: Any) -> tuple[Tensor, ...]:
        return _apply(Forward, *arguments)

    return apply


def _apply(function: type[Function], *arguments: Any) -> Any:
    """`function.apply`, without the binding of arguments to names, which takes it as long as all the rest."""
    if transforms() or torch.compiler.is_compiling():
        return function.apply(*arguments)
    return super(Function, function).apply(*arguments)  # pyright: ignore[reportAttributeAccessIssue]  # made in C++


def _is_batched_by_autograd(gradient: Tensor) -> bool:
    if torch.compiler.is_compiling():
        return False
    return torch._C._functorch.is_legacy_batchedtensor(gradient)  # pyright: ignore  # no public way to ask


def _second_derivative(
    pair: OperatorPair, read: Sequence[Any], given: Sequence[Any], kind: Any, wanted: Sequence[bool], of_results: Any
) -> tuple[list[Tensor | None], list[Tensor | None]]:
    """The derivative of the first derivative, by the reference.

    Args:
        pair: whose backward operator was given the rest.
        read, given, kind, wanted: its arguments.
        of_results: what reaches each gradient that it returned.

    Returns:
        What reaches each of the differentiable inputs, and each of the given gradients; None where nothing does.
    """
    inputs = [i for i, want in enumerate(wanted) if want]
    outputs = [i for i, gradient in enumerate(given) if gradient is not None]

    def outputs_of(*values: Tensor) -> tuple[Tensor, ...]:
        result = reference.run(pair.call_of(pair.read(*_replaced(read, inputs, values)), kind))
        return tuple(part for i, part in enumerate(pair.given_of(result)) if i in outputs and part is not None)

    def gradients_of(values: Sequence[Tensor], arriving: Sequence[Tensor]) -> tuple[Tensor, ...]:
        _, pull = _vjp(outputs_of, *values)
        return pull(tuple(arriving))

    values, arriving = [read[i] for i in inputs], [given[i] for i in outputs]
    gradients, pull = _vjp(gradients_of, values, arriving)
    reaching = tuple(
        torch.zeros_like(gradient) if of is None else of for gradient, of in zip(gradients, of_results, strict=True)
    )
    of_values, of_arriving = pull(reaching)
    return (
        _replaced([None] * pair.differentiable, inputs, of_values),
        _replaced([None] * len(given), outputs, of_arriving),
    )


def _replaced(tensors: Sequence[Any], places: Sequence[int], values: Sequence[Tensor]) -> list[Any]:
    replaced = list(tensors)
    for place, value in zip(places, values, strict=True):
        replaced[place] = value
    return replaced


def _vmap_forward(
    pair: OperatorPair, function: Any, size: int, in_dims: Dims, arguments: Sequence[Any]
) -> tuple[Any, Any]:
    """`function`, the pair's forward, over `size` samples, as `Function.vmap` wants it: outputs, and their axes."""
    reads = len(pair.read._fields)
    read, dims, rest = arguments[:reads], in_dims[:reads], arguments[reads:]
    if any(dims[place] is not None for place in pair.weights):
        samples = [function.apply(*_sample(read, dims, n), *rest) for n in range(size)]
        return _stacked(samples)
    outputs = function.apply(*_fold(read, dims, pair.batch_axes, size), *rest)
    training = rest[-1]
    axes = pair.given_axes[: len(outputs) - int(training)]
    unfolded = [_unfold(output, axis, size) for output, axis in zip(outputs, axes, strict=False)]
    # What is saved has an order of its own and can't be unfolded; `_vmap_backward` computes it anew.
    saved = (outputs[-1],) if training else ()
    return (*unfolded, *saved), (*axes, *(None for _ in saved))


def _vmap_backward(
    pair: OperatorPair, forward: Any, backward: Any, size: int, in_dims: Dims, arguments: Sequence[Any]
) -> tuple[Any, Any]:
    """`backward` over `size` samples."""
    read, kept, given, kind, wanted = pair.parts(arguments)
    read_dims, _, given_dims, _, _ = pair.parts(in_dims)
    return_cell_states = kept.cell_states is not None

    def run(read: Sequence[Any], given: Sequence[Any]) -> tuple[Tensor, ...]:
        again = pair.kept_of(forward.apply(*read, *kind, return_cell_states, True), kind, return_cell_states)
        return backward.apply(*read, *again, *given, *kind, wanted)

    if any(read_dims[place] is not None or wanted[place] for place in pair.weights):
        samples = range(size)
        return _stacked([run(_sample(read, read_dims, n), _sample(given, given_dims, n)) for n in samples])
    gradients = run(_fold(read, read_dims, pair.batch_axes, size), _fold(given, given_dims, pair.given_axes, size))
    differentiable = zip(pair.batch_axes[: pair.differentiable], wanted, strict=True)
    axes = [axis for axis, want in differentiable if want and axis is not None]
    return tuple(_unfold(gradient, axis, size) for gradient, axis in zip(gradients, axes, strict=True)), tuple(axes)


def _sample(tensors: Sequence[Any], dims: Dims, n: int) -> list[Any]:
    return [
        tensor if tensor is None or dim is None else tensor.select(dim, n)
        for tensor, dim in zip(tensors, dims, strict=True)
    ]


def _stacked(samples: list[tuple[Tensor, ...]]) -> tuple[Any, Any]:
    stacked = tuple(torch.stack(parts) for parts in zip(*samples, strict=True))
    return stacked, (0,) * len(stacked)


def _fold(tensors: Sequence[Any], dims: Dims, axes: Dims, size: int) -> list[Any]:
    """Samples and rows as one batch axis."""
    folded: list[Any] = []
    for tensor, dim, axis in zip(tensors, dims, axes, strict=True):
        if tensor is None or axis is None:
            folded.append(tensor)
            continue
        if dim is None:
            shape = list(tensor.shape)
            shape.insert(axis, size)
            spread = tensor.unsqueeze(axis).expand(shape)
        else:
            spread = tensor.movedim(dim, axis)
        folded.append(spread.flatten(axis, axis + 1))
    return folded


def _unfold(tensor: Tensor, axis: int, size: int) -> Tensor:
    return tensor.unflatten(axis, (size, tensor.shape[axis] // size))
