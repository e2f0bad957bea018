"""A DeepRNN computed by the oracle, row by row, layer by layer."""

from dataclasses import fields

import numpy as np
import torch
from oracle import Layer, Row, Run, run_row
from torch import Tensor

from deeprnn import Cell, DeepRNN, DeepState, Result, State
from deeprnn.layer import RecurrentLayer


def randomise(net: DeepRNN, seed: int = 0) -> DeepRNN:
    """Every parameter, biases and initial states too, drawn anew, so that none is zero or one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.6 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return net


def some_state(net: DeepRNN, rows: int, seed: int = 5) -> DeepState:
    """A state that steps could have left: drawn, and the normaliser n of an sLSTM positive."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(state: State) -> State:
        parts = {
            name: torch.randn(part.shape, dtype=part.dtype, generator=generator) for name, part in state.parts.items()
        }
        if "n" in parts:
            parts["n"] = parts["n"].abs() + 0.5
        return State.of(parts, None if state.reverse is None else drawn(state.reverse))

    return DeepState(tuple(drawn(state) for state in net.initial_state(rows)))


def oracle_result(
    net: DeepRNN,
    x: np.ndarray,
    *,
    lengths: list[int] | None = None,
    resets: np.ndarray | None = None,
    state: DeepState | None = None,
) -> dict[str, np.ndarray]:
    """The net's outputs, hidden states, c_t and final states as float64 arrays by name; x is (T, B, I)."""
    steps, batch, _ = x.shape
    lengths = [steps] * batch if lengths is None else lengths
    resets = np.zeros((steps, batch), bool) if resets is None else resets
    found: dict[str, np.ndarray] = {}
    read, passed = x, []
    for index, layer in enumerate(net.recurrent_layers):
        hidden, cells = [], []
        for direction in range(layer.cell.directions):
            suffix = "_reverse" if direction else ""
            backwards = bool(direction) or layer.cell.direction == "reverse"
            runs = [
                run_row(
                    _oracle_layer(layer, suffix),
                    Row(read[:, b], lengths[b], resets[:, b], _given(state, index, direction, b)),
                    backwards=backwards,
                )
                for b in range(batch)
            ]
            hidden.append(_columns(runs, "hidden"))
            cells.append(_columns(runs, "cells"))
            for name in layer.cell.states:
                found[f"state.{index}.{name}{suffix}"] = np.stack([run.final[name] for run in runs])
        found[f"hidden.{index}"] = np.concatenate(hidden, axis=-1)
        if "c" in layer.cell.states:
            found[f"cells.{index}"] = np.concatenate(cells, axis=-1)
        up = found[f"hidden.{index}"]
        passed.append(up + passed[-1] if net.residual and passed else up)
        read = np.concatenate([passed[-1], x], axis=-1) if net.input_to_all else passed[-1]
    if net.output is not None:
        top = np.concatenate(passed, axis=-1) if net.output_from_all else passed[-1]
        found["output"] = top @ array(net.output.weight).T + array(net.output.bias)
    return found


def result_arrays(result: Result, cells: tuple[Cell, ...]) -> dict[str, np.ndarray]:
    """A Result by the same names."""
    found = {f"hidden.{index}": array(h) for index, h in enumerate(result.hidden)}
    if result.output is not None:
        found["output"] = array(result.output)
    found |= {f"cells.{i}": array(c) for i, c in enumerate(result.cell_states or ()) if c is not None}
    for index, state in enumerate(result.state):
        for suffix, part in (("", state), ("_reverse", state.reverse)):
            if part is not None:
                for name in cells[index].states:
                    found[f"state.{index}.{name}{suffix}"] = array(getattr(part, name))
    return found


def assert_same(got: dict[str, np.ndarray], expected: dict[str, np.ndarray], tolerance: float = 1e-12) -> None:
    """The same names, the same shapes, equal within `tolerance`."""
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=0, atol=tolerance, err_msg=name)


def array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def _oracle_layer(layer: RecurrentLayer, suffix: str) -> Layer:
    own = {name.removesuffix("_reverse"): array(p) for name, p in layer.named_parameters() if _is_of(name, suffix)}
    given = {field.name: getattr(layer.cell, field.name) for field in fields(layer.cell)}
    names = ("activation", "gate_activation", "reset_after", "zoneout", "zoneout_cell")
    options = {name: given[name] for name in names if name in given}
    return Layer(type(layer.cell).__name__, own, own=given, **options)


def _is_of(name: str, suffix: str) -> bool:
    return name.endswith("_reverse") == bool(suffix)


def _given(state: DeepState | None, index: int, direction: int, row: int) -> dict[str, np.ndarray] | None:
    if state is None:
        return None
    part = state[index].reverse if direction else state[index]
    assert part is not None
    return {name: array(value)[row] for name, value in part.parts.items()}


def _columns(runs: list[Run], name: str) -> np.ndarray:
    return np.stack([getattr(run, name) for run in runs], axis=1)
