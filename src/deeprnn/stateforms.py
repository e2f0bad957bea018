"""The state that a call brings, in each form that says which layer a value belongs to, as one `State` a layer."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from torch import Tensor

from deeprnn.cells import Cell
from deeprnn.inputs import Inputs, check_plain
from deeprnn.state import DeepState, State

LayerForm: TypeAlias = State | Tensor | Sequence[Tensor] | None
"""One layer's state: a `State`; h, or (h, c) for an LSTM; None for the layer's initial state."""

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
    if len(given) == 2 and _are_tensors(given) and all("c" in cell.states for cell in cells):
        return _unstacked("state", given, cells, inputs)
    return given


def _layer(entry: Any, index: int, cells: Sequence[Cell], inputs: Inputs) -> State | None:
    cell, name = cells[index], f"state[{index}]"
    if entry is None:
        return None
    if isinstance(entry, Tensor):
        entry = (entry,)
    if isinstance(entry, list | tuple) and _are_tensors(entry):
        (entry,) = _unstacked(name, entry, (cell,), inputs)
    if not isinstance(entry, State):
        raise TypeError(f"{name} is a {type(entry).__name__}; give {_expected(cells)}.")
    _check(entry, name, f"layer {index + 1} (layers.{index}), {cell.describe()},", cell, inputs)
    return entry.map(lambda part: part.unsqueeze(0)) if inputs.unbatched else entry


def _unstacked(name: str, parts: Sequence[Tensor], cells: Sequence[Cell], inputs: Inputs) -> list[State]:
    """torch.nn's layout, h or (h, c) with layers and directions along the first axis, as one State a layer."""
    wanted = sorted({"h alone" if cell.states == ("h",) else f"({', '.join(cell.states)})" for cell in cells})
    if {len(cell.states) for cell in cells} != {len(parts)}:
        raise ValueError(
            f"{name} is {'one tensor' if len(parts) == 1 else f'{len(parts)} tensors'}, but "
            f"{', '.join(cell.describe() for cell in cells)} carries {' or '.join(wanted)}; give {_expected(cells)}."
        )
    count = sum(cell.directions for cell in cells)
    rows: list[Sequence[Tensor]] = []
    for letter, part in zip("hc", parts, strict=False):
        check_plain(f"{name}'s {letter}", part, inputs.x.device)
        stacked = part.unsqueeze(0) if count == 1 and part.dim() == inputs.state_axes else part
        if stacked.dim() != inputs.state_axes + 1 or stacked.shape[0] != count:
            axes = "(H,)" if inputs.unbatched else "(B, H)"
            raise ValueError(
                f"{name}'s {letter} has shape {tuple(part.shape)}, expected torch.nn's layout: {count} states {axes}, "
                f"one for each layer and direction, along the first axis."
            )
        rows.append(stacked.unbind(0))
    states = [State(*one) for one in zip(*rows, strict=True)]
    layers: list[State] = []
    for cell in cells:
        forward = states.pop(0)
        layers.append(State(forward.h, forward.c, states.pop(0)) if cell.directions == 2 else forward)
    return layers


def _check(state: State, name: str, layer: str, cell: Cell, inputs: Inputs) -> None:
    parts = {"h": state.h, "c": state.c}
    if state.reverse is not None:
        parts |= {"reverse.h": state.reverse.h, "reverse.c": state.reverse.c}
    wanted = {*cell.states, *(f"reverse.{part}" for part in cell.states if cell.directions == 2)}
    present = {part for part, tensor in parts.items() if tensor is not None}
    if present != wanted:
        raise ValueError(f"{name} holds {', '.join(sorted(present))}, but {layer} carries {', '.join(sorted(wanted))}.")
    rows = inputs.x.shape[1]
    shape, axes = ((cell.width,), "(H,)") if inputs.unbatched else ((rows, cell.width), "(B, H)")
    for part, tensor in parts.items():
        if tensor is None:
            continue
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
