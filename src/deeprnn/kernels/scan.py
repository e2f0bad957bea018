"""Cells that are linear in their state, all steps of a sequence at once: the composition of steps is associative."""

from dataclasses import replace

import torch
from torch import Tensor

from deeprnn.cells import LinearCell, LinearForm
from deeprnn.kernels import reference
from deeprnn.kernels.interface import CallSpec, LayerCall, LayerOutput, is_recorded
from deeprnn.kernels.linear_recurrence import linear_recurrence
from deeprnn.state import State

NAME = "scan"

_BLOCK = 1 << 20
"""Elements of a block of steps: what lies between x and hidden, a dozen tensors of this size, stays near."""
_FEWEST_STEPS = 8
"""Fewer are done sooner one by one."""


def why_not(spec: CallSpec) -> str | None:
    """Why the scan cannot run such a call, in a few words; None if it can."""
    cell = spec.cell
    if not isinstance(cell, LinearCell):
        return "not linear in its state, so its steps don't compose"
    if type(cell).step is not LinearCell.step:
        return "has a step of its own beside its linear form"
    if spec.steps == 0:
        return "there is no step to compose"
    if "jvp" in spec.transforms:
        return "the scan has no forward-mode derivative"
    return None


def run(call: LayerCall) -> LayerOutput:
    """The layer, one block of steps after the other. See `LayerCall` for the meaning of each part."""
    if call.steps < _FEWEST_STEPS and not _is_traced():
        return reference.run(call)
    valid, state = call.valid(), call.state.h
    hidden: list[Tensor] = []
    for steps, x in _blocks(call):
        form = _linear_form(call, steps, x, valid)
        restarts = None if call.restarts is None else _restarts(call.restarts, steps, valid)
        hidden.append(linear_recurrence(form.a, form.b, state, restarts, reverse=call.reverse))
        state = hidden[-1][0 if call.reverse else -1]
    every = hidden[0] if len(hidden) == 1 else torch.cat(hidden[::-1] if call.reverse else hidden)
    if valid is not None:
        every = torch.where(valid, every, 0)
    return LayerOutput(every, State(h=state.clone()))  # a view would keep every step in memory


def _blocks(call: LayerCall) -> list[tuple[slice, Tensor]]:
    """The steps and x, block by block in the order in which they are computed; one block in a graph for any T."""
    x = call.readable_x()
    if _is_traced():
        return [(slice(None), x)]
    length = max(1, _BLOCK // max(1, call.state.h.numel()))
    # `split`, since the gradient of a slice is as large as x, and there is one for each block.
    blocks = [(slice(n * length, (n + 1) * length), part) for n, part in enumerate(x.split(length))]
    return blocks[::-1] if call.reverse else blocks


def _linear_form(call: LayerCall, steps: slice, x: Tensor, valid: Tensor | None) -> LinearForm:
    """What a block's steps do to the state before. Zoneout, restarts and lengths are linear in it, too."""
    cell = call.cell
    assert isinstance(cell, LinearCell)
    a, b = cell.linear_form(reference.input_part(replace(call, x=x, lengths=None)), call.weights)
    if call.zoneout is not None:
        keep = call.zoneout.h[steps]
        a, b = keep + (1 - keep) * a, (1 - keep) * b
    if call.restarts is not None and call.initial is not None:
        b = torch.where(call.restarts[steps].unsqueeze(-1), a * call.initial.h + b, b)
    if valid is not None:
        a, b = torch.where(valid[steps], a, 1), torch.where(valid[steps], b, 0)
    return LinearForm(a, b)


def _restarts(restarts: Tensor, steps: slice, valid: Tensor | None) -> Tensor:
    """(steps, B, 1): where the state before is not read."""
    marked = restarts[steps].unsqueeze(-1)
    return marked if valid is None else marked & valid[steps]


def _is_traced() -> bool:
    return torch.compiler.is_compiling() or is_recorded()
