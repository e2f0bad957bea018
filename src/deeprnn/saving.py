"""A net on disk: `config.json` says what to build, `model.safetensors` holds its weights. No pickle."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from deeprnn import atomic
from deeprnn.activations import Activation, Function, name_of
from deeprnn.cells import CELLS, Cell

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
FORMAT = "deeprnn 1"

_LARGEST = 1 << 24
"""No size in a configuration is believed beyond this: a damaged file must not take all memory."""


def cells_to_json(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """The cells as JSON; an activation that is no name becomes {"function": its name}, with a warning."""
    layers: list[dict[str, Any]] = []
    for index, cell in enumerate(cells):
        layer: dict[str, Any] = {"cell": type(cell).__name__}
        layer |= {field.name: getattr(cell, field.name) for field in fields(cell)}
        for field_name, activation in cell.activations.items():
            if not isinstance(activation, str):
                name, place = name_of(activation), f"layers.{index}.{field_name}"
                warnings.warn(
                    f"{place} is the function {name}, which can't be written to {CONFIG};\n"
                    f"  pass it again: DeepRNN.load(directory, functions={{{place!r}: {name}}})",
                    UserWarning,
                    stacklevel=4,
                )
                layer[field_name] = {"function": name}
        layers.append(layer)
    return layers


def cells_from_json(layers: Any, functions: Mapping[str, Function], path: Path) -> list[Cell]:
    """The cells that `cells_to_json` wrote; `path` is named in errors."""
    if not isinstance(layers, list) or not layers:
        raise ValueError(f"{path}: 'layers' is no list of cells; the file is damaged or was not written by deeprnn.")
    cells: list[Cell] = []
    for index, layer in enumerate(layers):
        if not isinstance(layer, dict) or layer.get("cell") not in CELLS:
            known = ", ".join(sorted(CELLS))
            raise ValueError(
                f"{path}: layers[{index}] names no known cell ({known}); import the module that defines it first."
            )
        options = {str(name): value for name, value in layer.items() if name != "cell"}
        for name, value in options.items():
            options[name] = _read_option(value, f"layers.{index}.{name}", functions, path)
        try:
            cells.append(CELLS[layer["cell"]](**options))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: layers[{index}] is no {layer['cell']}: {error}") from error
    unused = set(functions) - {f"layers.{i}.{f.name}" for i, cell in enumerate(cells) for f in fields(cell)}
    if unused:
        raise ValueError(f"functions={sorted(unused)}: {path} has no such place; one is 'layers.0.activation'.")
    return cells


def write_net(directory: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Writes both files, each whole or not at all; makes the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"format": FORMAT, **config}, indent=2) + "\n"
    write_tensors(directory / WEIGHTS, tensors)
    atomic.write_text(directory / CONFIG, text)


def read_config(directory: Path) -> dict[str, Any]:
    """The contents of `config.json`, checked to be such a file with believable sizes.

    Raises:
        FileNotFoundError: there is none. ValueError: it is damaged, or of another format.
    """
    path = directory / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; {directory} holds no saved DeepRNN.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file ({error}); it is damaged, restore it from a copy.") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise ValueError(f"{path} is not of format {FORMAT!r}; it was not written by this version of deeprnn.")
    _check_sizes(config, path)
    return config


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Writes a safetensors file, whole or not at all."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    atomic.write(path, lambda part: save_file(on_cpu, part, dict(metadata) if metadata else None))


def read_tensors(
    path: Path, expected: Mapping[str, Tensor] | None = None, device: torch.device | str | None = None
) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Args:
        path: the file.
        expected: tensors of the right names, shapes and dtypes (on any device, meta too); None for no check.
        device: where they go.

    Raises:
        FileNotFoundError: there is none.
        ValueError: no safetensors file, truncated, or not what is expected; nothing large is allocated before.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist.")
    try:
        with safe_open(path, framework="pt", device=str(device or "cpu")) as file:
            if expected is not None:
                _check_tensors(file, expected, path)
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path} is no whole safetensors file ({error}); it is truncated, damaged, or of another kind."
        ) from error


def _read_option(value: Any, place: str, functions: Mapping[str, Function], path: Path) -> Activation | Any:
    if place in functions:
        return functions[place]
    if isinstance(value, dict):
        raise ValueError(
            f"{path}: {place} was the function {value.get('function')!r}, which no file can hold;\n"
            f"  pass it: DeepRNN.load(directory, functions={{{place!r}: ...}})"
        )
    return value


def _check_sizes(value: Any, path: Path) -> None:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            _check_sizes(part, path)
    elif isinstance(value, int) and not 0 <= value <= _LARGEST:
        raise ValueError(f"{path} holds the size {value}, outside 0..{_LARGEST}; the file is damaged.")


def _check_tensors(file: Any, expected: Mapping[str, Tensor], path: Path) -> None:
    present = set(file.keys())
    if present != set(expected):
        missing, foreign = sorted(set(expected) - present), sorted(present - set(expected))
        raise ValueError(f"{path} does not fit its configuration: missing {missing}, not expected {foreign}.")
    for name, tensor in expected.items():
        part = file.get_slice(name)
        shape, dtype = tuple(part.get_shape()), part.get_dtype()
        if shape != tuple(tensor.shape) or dtype != _DTYPES.get(tensor.dtype, dtype):
            raise ValueError(
                f"{path}: {name} is {dtype} {shape}, but its configuration says {tensor.dtype} {tuple(tensor.shape)}."
            )


_DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.bfloat16: "BF16", torch.float16: "F16"}
