"""The compiled CPU kernels of csrc/: every built-in cell and every named phi, float32, forward and backward."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from deeprnn.activations import ACTIVATIONS
from deeprnn.cells import GRU, LSTM, Cell, Elman
from deeprnn.kernels import reference, vmapped
from deeprnn.kernels.interface import CallSpec, LayerCall, LayerOutput, is_recorded, transforms
from deeprnn.kernels.native import extension, operators
from deeprnn.kernels.native.fields import (
    DIFFERENTIABLE,
    READ,
    Given,
    Kept,
    Kind,
    Read,
    backward_arguments,
    forward_arguments,
)
from deeprnn.state import State

NAME = "native"

_CELLS: tuple[type[Cell], ...] = (Elman, GRU, LSTM)
"""In the order of `CellKind` in csrc/deeprnn.h."""
_PHIS = tuple(ACTIVATIONS)
"""In the order of `Phi` in csrc/deeprnn.h."""

_vjp: Any = torch.func.vjp


def why_not(spec: CallSpec) -> str | None:
    """Why the compiled kernels cannot run such a call, in a few words; None if they can."""
    cell = spec.cell
    if spec.device != "cpu":
        return f"the compiled kernels run on the CPU, not on {spec.device}"
    if spec.dtype != torch.float32:
        return f"the compiled kernels compute in float32, not in {str(spec.dtype).removeprefix('torch.')}"
    # A subclass may have equations of its own.
    if type(cell) not in _CELLS:
        return f"the compiled kernels know Elman, GRU and LSTM, not {type(cell).__name__}"
    if any(phi not in _PHIS for phi in cell.activations.values()):
        return "the compiled kernels know phi by name only"
    if cell.layer_norm:
        return "the compiled kernels have no layer normalisation"
    if spec.empty:
        return "the compiled kernels refuse empty sequences"
    if "jvp" in spec.transforms:
        return "the compiled kernels have no forward-mode derivative"
    if not extension.built():
        if not spec.tracing:
            extension.say_missing_once()
        return "deeprnn was installed without its compiled kernels"
    return None


def run(call: LayerCall) -> LayerOutput:
    """The layer in one call. See `LayerCall` for the meaning of each part."""
    tensors = _tensors(call)
    kind = Kind(*_codes(call.cell), call.reverse)
    transformed = bool(transforms())
    # A tensor under vmap doesn't tell whether the one below it requires a gradient.
    training = torch.is_grad_enabled() and (transformed or any(t is not None and t.requires_grad for t in tensors))
    if is_recorded():  # a trace records the operator, which has its own derivative
        outputs = operators.forward(*tensors, *kind, call.return_cell_states, False)
    elif training or transformed:
        outputs = _apply(_Forward, *tensors, *kind, call.return_cell_states, training)
    else:
        outputs = operators.forward(*tensors, *kind, call.return_cell_states, training)
    named = operators.outputs_by_name(outputs, kind.cell, call.return_cell_states, training=False)
    return LayerOutput(named.hidden, _state(named.last_h, named.last_c), named.cells)


def _tensors(call: LayerCall) -> Read:
    """What the operators read of a call."""
    weights, state, zoneout = call.weights, call.state.parts, call.zoneout
    initial = call.initial if call.restarts is not None else None
    weight_hh = weights["weight_hh"]
    if torch.compiler.is_compiling():
        # torch.compile refuses a Function that is given one tensor twice: (z, z) as h and c, restarts to the state, or
        # a layer whose two matrices are one.
        if weight_hh is weights["weight_xh"]:
            weight_hh = weight_hh.clone()
        if state.get("c") is state["h"]:
            state = {"h": state["h"], "c": state["h"].clone()}
        if initial is not None:
            initial = initial.map(torch.clone)
    restart_to = {} if initial is None else initial.parts
    keep = {} if zoneout is None else zoneout.parts
    return Read(
        x=call.x,
        weight_xh=weights["weight_xh"],
        weight_hh=weight_hh,
        bias=weights.get("bias"),
        bias_hn=weights.get("bias_hn"),
        h0=state["h"],
        c0=state.get("c"),
        initial_h=restart_to.get("h"),
        initial_c=restart_to.get("c"),
        lengths=call.lengths,
        restarts=call.restarts,
        mask=call.recurrent_mask,
        keep_h=keep.get("h"),
        keep_c=keep.get("c"),
    )


def _codes(cell: Cell) -> tuple[int, bool, int, int]:
    """cell, reset_after, phi and gate_phi, as the operators take them."""
    phi, sigma = (_PHIS.index(cell.activations.get(name, _PHIS[0])) for name in ("activation", "gate_activation"))
    return _CELLS.index(type(cell)), isinstance(cell, GRU) and cell.reset_after, phi, sigma


def _cell_of(kind: Kind, width: int, bias: bool) -> Cell:
    """A cell with the equations that the codes name."""
    activation, gate_activation = _PHIS[kind.phi], _PHIS[kind.gate_phi]
    if _CELLS[kind.cell] is Elman:
        return Elman(width, activation, bias=bias)
    if _CELLS[kind.cell] is GRU:
        return GRU(width, kind.reset_after, activation, gate_activation, bias=bias)
    return LSTM(width, activation, gate_activation, bias=bias)


class _Forward(Function):
    """`operators.forward` with its derivative."""

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, ...]:
        return tuple(operators.forward(*arguments))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        given = forward_arguments(inputs)
        ctx.kind = given.kind
        ctx.set_materialize_grads(False)
        if not given.training:
            return
        outputs = operators.outputs_by_name(output, given.kind.cell, given.return_cell_states, training=True)
        ctx.save_for_backward(*given.read, *Kept(outputs.hidden, outputs.cells, outputs.saved))
        ctx.mark_non_differentiable(outputs.saved)

    @staticmethod
    def backward(ctx: Any, *of_outputs: Tensor | None) -> tuple[Any, ...]:
        of_hidden, of_last_h, *of_rest = of_outputs[:-1]  # there is none of `saved`
        given = Given(of_hidden, of_last_h, *of_rest, *(None,) * (len(Given._fields) - 2 - len(of_rest)))
        wanted = list(ctx.needs_input_grad[: len(DIFFERENTIABLE)])
        nothing = (None,) * (len(ctx.needs_input_grad) - len(DIFFERENTIABLE))
        if all(gradient is None for gradient in given) or not any(wanted):
            return (None,) * len(ctx.needs_input_grad)
        if any(gradient is not None and _is_batched_by_autograd(gradient) for gradient in given):
            raise RuntimeError(
                "the compiled kernels have no is_grads_batched=True (vectorize=True); "
                "use torch.func.jacrev, or deeprnn.kernels.force('reference')."
            )
        arguments = (*ctx.saved_tensors, *given, *ctx.kind, wanted)
        # Only where someone may differentiate further; and torch.compile, which can't, needs the bare operator.
        further = (torch.is_grad_enabled() or transforms()) and not torch.compiler.is_compiling()
        remaining = iter(_apply(_Backward, *arguments) if further else operators.backward(*arguments))
        return (*(next(remaining) if want else None for want in wanted), *nothing)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Any, Any]:
        return vmapped.forward(_Forward, info.batch_size, in_dims, arguments)


def _forward_differentiably(*arguments: Any) -> tuple[Tensor, ...]:
    """`deeprnn::forward` where autograd stands before it: in a graph that was traced or exported."""
    *given, training = arguments
    if (
        training
        or not torch.is_grad_enabled()
        or not any(t is not None and t.requires_grad for t in given[: len(READ)])
    ):
        with torch._C._AutoDispatchBelowAutograd():  # pyright: ignore  # no public way
            return tuple(torch.ops.deeprnn.forward.default(*arguments))
    return tuple(_Forward.apply(*given, True))[:-1]


operators.library.impl("forward", _forward_differentiably, "AutogradCPU")


def _is_batched_by_autograd(gradient: Tensor) -> bool:
    if torch.compiler.is_compiling():
        return False
    return torch._C._functorch.is_legacy_batchedtensor(gradient)  # pyright: ignore  # no public way to ask


class _Backward(Function):
    """`operators.backward` with its derivative, which is the reference's: right to any order, fused only to first."""

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, ...]:
        return tuple(operators.backward(*arguments))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:  # noqa: ARG004
        given = backward_arguments(inputs)
        ctx.kind, ctx.wanted = given.kind, given.wanted
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*given.read, *given.given)

    @staticmethod
    def backward(ctx: Any, *of_results: Tensor | None) -> tuple[Any, ...]:
        read, given = Read(*ctx.saved_tensors[: len(READ)]), Given(*ctx.saved_tensors[len(READ) :])
        of_read, of_given = _second_derivative(read, given, ctx.kind, ctx.wanted, of_results)
        not_differentiable = (None,) * (len(READ) - len(DIFFERENTIABLE) + len(Kept._fields))
        return (*of_read, *not_differentiable, *of_given, *(None,) * (len(Kind._fields) + 1))

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Any, Any]:
        return vmapped.backward(_Forward, _Backward, info.batch_size, in_dims, arguments)


def _apply(function: type[Function], *arguments: Any) -> Any:
    """`function.apply`, without the binding of arguments to names, which takes it as long as all the rest."""
    if transforms() or torch.compiler.is_compiling():
        return function.apply(*arguments)
    return super(Function, function).apply(*arguments)  # pyright: ignore[reportAttributeAccessIssue]  # made in C++


def _second_derivative(
    read: Read, given: Given, kind: Kind, wanted: Sequence[bool], of_results: Any
) -> tuple[list[Tensor | None], list[Tensor | None]]:
    """The derivative of the first derivative, by the reference.

    Args:
        read, given, kind, wanted: as `operators.backward` was given them; `given` the gradients of its outputs.
        of_results: what reaches each gradient that it returned.

    Returns:
        What reaches each of the differentiable inputs, and each of the given gradients; None where nothing does.
    """
    inputs = [i for i, want in enumerate(wanted) if want]
    outputs = [i for i, gradient in enumerate(given) if gradient is not None]

    def outputs_of(*values: Tensor) -> tuple[Tensor, ...]:
        result = reference.run(_call_of(Read(*_replaced(read, inputs, values)), kind))
        every = Given(result.hidden, result.state.h, result.state.parts.get("c"), result.cell_states)
        return tuple(part for i, part in enumerate(every) if i in outputs and part is not None)

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
        _replaced([None] * len(DIFFERENTIABLE), inputs, of_values),
        _replaced([None] * len(given), outputs, of_arriving),
    )


def _replaced(tensors: Sequence[Any], places: Sequence[int], values: Sequence[Tensor]) -> list[Any]:
    replaced = list(tensors)
    for place, value in zip(places, values, strict=True):
        replaced[place] = value
    return replaced


def _call_of(read: Read, kind: Kind) -> LayerCall:
    """The call that the operators were given; c_t is always wanted."""
    weights = {
        "weight_xh": read.weight_xh,
        "weight_hh": read.weight_hh,
        "bias": read.bias,
        "bias_hn": read.bias_hn,
    }
    return LayerCall(
        cell=_cell_of(kind, read.weight_hh.shape[1], read.bias is not None),
        weights={name: weight for name, weight in weights.items() if weight is not None},
        x=read.x,
        state=_state(read.h0, read.c0),
        initial=None if read.initial_h is None else _state(read.initial_h, read.initial_c),
        reverse=kind.reverse,
        lengths=read.lengths,
        restarts=read.restarts,
        recurrent_mask=read.mask,
        zoneout=None if read.keep_h is None else _state(read.keep_h, read.keep_c),
        return_cell_states=True,
    )


def _state(h: Tensor, c: Tensor | None) -> State:
    return State(h=h) if c is None else State(h=h, c=c)
