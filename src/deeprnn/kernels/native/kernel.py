"""The compiled CPU kernels of csrc/: every built-in cell and every named phi, float32, forward and backward."""

from typing import Any

import torch
from torch import Tensor

from deeprnn.activations import ACTIVATIONS
from deeprnn.cells import GRU, LSTM, Cell, Elman
from deeprnn.kernels.autograd import OperatorPair, differentiable
from deeprnn.kernels.interface import CallSpec, LayerCall, LayerOutput, is_recorded, transforms
from deeprnn.kernels.native import extension, operators
from deeprnn.kernels.native.fields import DIFFERENTIABLE, READ, WEIGHTS, Given, Kind, Read
from deeprnn.state import State

NAME = "native"

_CELLS: tuple[type[Cell], ...] = (Elman, GRU, LSTM)
"""In the order of `CellKind` in csrc/deeprnn.h."""
_PHIS = tuple(ACTIVATIONS)
"""In the order of `Phi` in csrc/deeprnn.h."""
_CELL_CODES: dict[type[Cell], int] = {cell: code for code, cell in enumerate(_CELLS)}
_PHI_CODES: dict[Any, int] = {phi: code for code, phi in enumerate(_PHIS)}

_BATCH_AXES = Read(
    x=1,
    weight_xh=None,
    weight_hh=None,
    bias=None,
    bias_hn=None,
    weight_ch=None,
    h0=0,
    c0=0,
    initial_h=0,
    initial_c=0,
    lengths=0,
    restarts=1,
    mask=0,
    keep_h=1,
    keep_c=1,
)
_GIVEN_AXES = Given(of_hidden=1, of_last_h=0, of_last_c=0, of_cells=1)


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
    if isinstance(cell, LSTM) and cell.proj_size:
        return "the compiled LSTM has no projection"
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
    kind = Kind(*codes(call.cell), call.reverse)
    transformed = bool(transforms())
    # A tensor under vmap doesn't tell whether the one below it requires a gradient.
    training = torch.is_grad_enabled() and (transformed or any(t is not None and t.requires_grad for t in tensors))
    if is_recorded():  # a trace records the operator, which has its own derivative
        outputs = operators.forward(*tensors, *kind, call.return_cell_states, False)
    elif training or transformed:
        outputs = _differentiable(*tensors, *kind, call.return_cell_states, training)
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
        weight_ch=weights.get("weight_ch"),
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


def codes(cell: Cell) -> tuple[int, bool, int, int]:
    """cell, reset_after, phi and gate_phi, as the operators take them."""
    phi, sigma = (_PHI_CODES[getattr(cell, name, _PHIS[0])] for name in ("activation", "gate_activation"))
    return _CELL_CODES[type(cell)], isinstance(cell, GRU) and cell.reset_after, phi, sigma


def _cell_of(kind: Kind, width: int, bias: bool, peephole: bool) -> Cell:
    """A cell with the equations that the codes name."""
    activation, gate_activation = _PHIS[kind.phi], _PHIS[kind.gate_phi]
    if _CELLS[kind.cell] is Elman:
        return Elman(width, activation, bias=bias)
    if _CELLS[kind.cell] is GRU:
        return GRU(width, kind.reset_after, activation, gate_activation, bias=bias)
    return LSTM(width, activation, gate_activation, peephole=peephole, bias=bias)


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
    return _differentiable(*given, True)[:-1]


operators.library.impl("forward", _forward_differentiably, "AutogradCPU")


def _call_of(read: Read, kind: Kind) -> LayerCall:
    """The call that the operators were given; c_t is always wanted."""
    weights = {name: getattr(read, name) for name in WEIGHTS}
    return LayerCall(
        cell=_cell_of(kind, read.weight_hh.shape[1], read.bias is not None, read.weight_ch is not None),
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


_differentiable = differentiable(
    OperatorPair(
        forward=operators.forward,
        backward=operators.backward,
        read=Read,
        differentiable=len(DIFFERENTIABLE),
        given=Given,
        kind=Kind,
        batch_axes=_BATCH_AXES,
        given_axes=_GIVEN_AXES,
        kept_of=operators.kept,
        call_of=_call_of,
        given_of=lambda output: Given(output.hidden, output.state.h, output.state.parts.get("c"), output.cell_states),
    )
)
"""The forward operator with its derivatives."""
