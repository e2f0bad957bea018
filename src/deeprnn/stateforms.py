"""The state that a call brings, in each form that says which layer a value belongs to, as one `State` a layer."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from deeprnn.cells import Cell
from deeprnn.inputs import Inputs, check_plain
from deeprnn.state import DeepState, State

LayerForm: TypeAlias = State | Tensor | Sequence[Tensor] | None
"""One layer's state: a `State`; h, or the cell's states in its order, such as (h, c); None for the initial state."""

StateForm: TypeAlias = DeepState | State | Tensor | Sequence[LayerForm]
"""What a `DeepRNN` takes as a state, see `DeepRNN.forward`."""


def one_a_layer(given: StateForm, cells: Sequence[Cell], inputs: Inputs) -> tuple[State | None, ...]:
    """A given state as each layer's State, with a batch axis, checked; None for the layer's initial state.

    Raises:
        ValueError, TypeError: it has no form that `DeepRNN` takes, or doesn't fit the net or x; the message shows the
            form.
    """
    entries = _entries(given, cells, inputs)
    if len(entries) != len(cells):
        raise ValueError(
            f"state has {len(entries)} layers, but this DeepRNN has {len(cells)}; give {_expected(cells)}."
        )
    return tuple(_layer(entry, index, cells, inputs) for index, entry in enumerate(entries))


def _entries(given: Any, cells: Sequence[Cell], inputs: Inputs) -> Sequence[Any]:
    if isinstance(given, DeepState):
        return given.layers
    if isinstance(given, State) and len(cells) == 1:
        return (given,)
    if isinstance(given, State):
        raise TypeError(f"state is one layer's State, but this DeepRNN has {len(cells)}; give {_expected(cells)}.")
    if isinstance(given, Tensor):
        return _unstacked("state", (given,), cells, inputs)
    if isinstance(getattr(given, "state", None), DeepState):
        raise TypeError("state is the whole result of a call; give its state: net(x, result.state).")
    if not isinstance(given, list | tuple):
        raise TypeError(f"state is a {type(given).__name__}; give {_expected(cells)}.")
    if _are_tensors(given) and all(len(cell.states) == len(given) > 1 for cell in cells):
        return _unstacked("state", given, cells, inputs)
    return given


def _layer(entry: Any, index: int, cells: Sequence[Cell], inputs: Inputs) -> State | None:
    cell = cells[index]
    if entry is None or (isinstance(entry, State) and not inputs.unbatched and _fits_as_it_is(entry, cell, inputs.x)):
        return entry
    name = f"state[{index}]"
    if isinstance(entry, Tensor):
        entry = (entry,)
    if isinstance(entry, list | tuple) and _are_tensors(entry):
        (entry,) = _unstacked(name, entry, (cell,), inputs)
    if not isinstance(entry, State):
        raise TypeError(f"{name} is a {type(entry).__name__}; give {_expected(cells)}.")
    _check(entry, name, f"layer {index + 1} (layers.{index}), {cell.describe()},", cell, inputs)
    return entry.map(lambda part: part.unsqueeze(0)) if inputs.unbatched else entry


def _fits_as_it_is(state: State, cell: Cell, x: Tensor) -> bool:
    """Whether a state is plainly what the layer reads, as what a call returned is; else `_check` says what is wrong."""
    if cell.directions == 2:
        reverse = state.reverse
        if reverse is None or not _fits_one_way(reverse, cell, x):
            return False
    elif state.reverse is not None:
        return False
    return _fits_one_way(state, cell, x)


def _fits_one_way(state: State, cell: Cell, x: Tensor) -> bool:
    parts, sizes, batch, device = state.parts, cell.state_sizes, x.shape[1], x.device
    if len(parts) != len(sizes):
        return False
    for name, size in sizes.items():
        part = parts.get(name)
        if type(part) is not Tensor or part.is_nested or part.shape != (batch, size) or not part.is_floating_point():
            return False
        if part.device != device or part.layout is not torch.strided:
            return False
    return True


def _unstacked(name: str, parts: Sequence[Tensor], cells: Sequence[Cell], inputs: Inputs) -> list[State]:
    """torch.nn's layout, h or (h, c) with layers and directions along the first axis, as one State a layer."""
    if {len(cell.states) for cell in cells} != {len(parts)}:
        wanted = sorted({"h alone" if len(cell.states) == 1 else f"({', '.join(cell.states)})" for cell in cells})
        raise ValueError(
            f"{name} is {'one tensor' if len(parts) == 1 else f'{len(parts)} tensors'}, but "
            f"{', '.join(cell.describe() for cell in cells)} carries {' or '.join(wanted)}; give {_expected(cells)}."
        )
    count = sum(cell.directions for cell in cells)
    rows: list[Sequence[Tensor]] = []
    for part_name, part in zip(cells[0].states, parts, strict=True):
        check_plain(f"{name}'s {part_name}", part, inputs.x.device)
        stacked = part.unsqueeze(0) if count == 1 and part.dim() == inputs.state_axes else part
        if stacked.dim() != inputs.state_axes + 1 or stacked.shape[0] != count:
            axes = "(H,)" if inputs.unbatched else "(B, H)"
            raise ValueError(
                f"{name}'s {part_name} has shape {tuple(part.shape)}, expected torch.nn's layout: {count} states "
                f"{axes}, one for each layer and direction, along the first axis."
            )
        rows.append(stacked.unbind(0))
    directions = iter(zip(*rows, strict=True))
    layers: list[State] = []
    for cell in cells:
        forward = dict(zip(cell.states, next(directions), strict=True))
        reverse = State.of(dict(zip(cell.states, next(directions), strict=True))) if cell.directions == 2 else None
        layers.append(State.of(forward, reverse))
    return layers


def _check(state: State, name: str, layer: str, cell: Cell, inputs: Inputs) -> None:
    parts = {**state.parts}
    if state.reverse is not None:
        parts |= {f"reverse.{part}": tensor for part, tensor in state.reverse.parts.items()}
    wanted = {*cell.states, *(f"reverse.{part}" for part in cell.states if cell.directions == 2)}
    if parts.keys() != wanted:
        raise ValueError(f"{name} holds {', '.join(sorted(parts))}, but {layer} carries {', '.join(sorted(wanted))}.")
    rows = inputs.x.shape[1]
    for part, tensor in parts.items():
        width = cell.state_sizes[part.removeprefix("reverse.")]
        shape, axes = ((width,), "(H,)") if inputs.unbatched else ((rows, width), "(B, H)")
        check_plain(f"{name}.{part}", tensor, inputs.x.device)
        if not tensor.is_floating_point():
            raise TypeError(
                f"{name}.{part} has dtype {tensor.dtype}, expected floats.\n"
                f"  lengths and resets are given by name: net(x, lengths=...)."
            )
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name}.{part} has shape {tuple(tensor.shape)}, expected {axes} = {shape}.")


def _are_tensors(parts: Sequence[Any]) -> bool:
    return len(parts) > 0 and all(isinstance(part, Tensor) for part in parts)


def _expected(cells: Sequence[Cell]) -> str:
    """How a state of such a net is written."""
    forms: list[str] = []
    for cell in cells[:3]:
        parts = [*cell.states, *([f"reverse=State({', '.join(cell.states)})"] if cell.directions == 2 else [])]
        forms.append(f"State({', '.join(parts)})")
    return f"result.state, or a state for each layer: [{', '.join(forms + ['...'] * (len(cells) > 3))}]"
