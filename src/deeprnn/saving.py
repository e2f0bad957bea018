"""A net on disk: `config.json` says what to build, `model.safetensors` holds its weights. No pickle."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deeprnn.activations import Activation, Function, name_of
from deeprnn.cells import CELLS, Cell
from deeprnn.disk import digest, json_file, marks, tensor_file

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
FORMAT = "deeprnn 1"
WEIGHTS_FORMAT = "deeprnn weights 1"

_LARGEST = 1 << 28
"""The largest size that is read or written: torch must be able to count the product of two."""


def cells_to_json(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """The cells as JSON; an activation that is no name becomes {"function": its name}, with a warning."""
    layers: list[dict[str, Any]] = []
    for index, cell in enumerate(cells):
        if CELLS.get(type(cell).__name__) is not type(cell):
            raise ValueError(
                f"layers.{index} can't be saved: no file can name its cell, {cell!r} ({type(cell).__name__}).\n"
                f"  Register a cell of your own: @deeprnn.cells.register above its class. Within an intervention of "
                f"deeprnn.analysis, save the net after its block."
            )
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


def cells_from_json(layers: Any, functions: Mapping[str, Function], path: Path | str) -> list[Cell]:
    """The cells that `cells_to_json` wrote; `path` is named in errors."""
    if not isinstance(layers, list) or not layers:
        raise ValueError(f"{path}: 'layers' is not a list of cells; the file is damaged or was not written by deeprnn.")
    cells: list[Cell] = []
    for index, layer in enumerate(layers):
        if not isinstance(layer, dict) or not isinstance(layer.get("cell"), str) or layer["cell"] not in CELLS:
            known = ", ".join(sorted(CELLS))
            raise ValueError(
                f"{path}: layers[{index}] names no known cell ({known}); import the module that registers it first."
            )
        options = {str(name): value for name, value in layer.items() if name != "cell"}
        for name, value in options.items():
            options[name] = _read_option(value, f"layers.{index}.{name}", functions, path)
        try:
            cells.append(CELLS[layer["cell"]](**options))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: layers[{index}] is not a valid {layer['cell']}: {error}") from error
    unused = set(functions) - {f"layers.{i}.{f.name}" for i, cell in enumerate(cells) for f in fields(cell)}
    if unused:
        raise ValueError(f"functions={sorted(unused)}: {path} has no such place; one is 'layers.0.activation'.")
    return cells


def dtype_of(name: str) -> torch.dtype:
    """The parameters' dtype by the name that a configuration has for it.

    Raises:
        ValueError: there is no such dtype of parameters.
    """
    if name not in _DTYPES:
        raise ValueError(f"dtype is {name!r:.80}, expected {', '.join(_DTYPES)}.")
    return _DTYPES[name]


def write_net(
    directory: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Writes both files, each whole or not at all; makes the directory.

    The weights carry the digest of the configuration that they belong to: where a crash, or a copy, has put other
    weights beside a configuration, they are refused.

    Raises:
        ForeignFileError: a file of one of these names, which no DeepRNN.save wrote, stands there. OSError.
        ValueError: a size is larger than any that is read.
    """
    content = {"format": FORMAT, **config}
    _check_sizes(content, directory / CONFIG)
    directory.mkdir(parents=True, exist_ok=True)
    marks.check_replaceable(directory / CONFIG, marks.CONFIG)  # before either is written
    about = {"format": WEIGHTS_FORMAT, "config": digest.of_json(content), "metadata": dict(metadata)}
    tensor_file.write(directory / WEIGHTS, tensors, about, marks.WEIGHTS)
    if not json_file.holds(directory / CONFIG, content):
        json_file.write(directory / CONFIG, content, marks.CONFIG)


def read_config(directory: Path) -> dict[str, Any]:
    """The contents of `config.json`, checked to be such a file with believable sizes.

    Raises:
        FileNotFoundError: there is none. ValueError: it is damaged, or of another format.
    """
    path = directory / CONFIG
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; {directory} holds no saved DeepRNN.")
    config = json_file.read(path, FORMAT)
    _check_sizes(config, path)
    return config


def check_entries(config: Mapping[str, Any], kinds: Mapping[str, tuple[type, ...]], path: Path) -> None:
    """Raises ValueError unless a configuration has entries of these names and types, and no others."""
    unknown, missing = sorted(set(config) - set(kinds)), sorted(set(kinds) - set(config))
    if unknown or missing:
        said = [f"has entries that this version does not know: {', '.join(unknown)}"] if unknown else []
        said += [f"lacks {', '.join(missing)}"] if missing else []
        raise ValueError(f"{path} does not describe a DeepRNN: it {' and '.join(said)}.")
    for name, types in kinds.items():
        if type(config[name]) not in types:
            raise ValueError(f"{path} does not describe a DeepRNN: {name} is {config[name]!r:.80}.")


def read_metadata(directory: Path) -> dict[str, str] | None:
    """The strings that `write_net` was given with the weights; None where another program, or an older version, wrote
    them. Raises as `read_weights`."""
    about = tensor_file.read_metadata(directory / WEIGHTS)
    metadata = about.get("metadata")
    return metadata if about.get("format") == WEIGHTS_FORMAT and isinstance(metadata, dict) else None


def weights_digest(directory: Path) -> str:
    """What tells a directory's weights from any others: the digest that they carry, or else of their file."""
    carried = tensor_file.read_metadata(directory / WEIGHTS).get("digest")
    return str(carried) if carried is not None else digest.of_file(directory / WEIGHTS)


def read_weights(
    directory: Path,
    config: Mapping[str, Any],
    expected: Mapping[str, Tensor],
    device: torch.device | str | None = None,
) -> dict[str, Tensor]:
    """The weights that belong to a configuration.

    Args:
        directory: where both lie.
        config: what `read_config` gave.
        expected: tensors of the right names, shapes and dtypes.
        device: where they go.

    Raises:
        FileNotFoundError, ValueError, OSError: as `tensor_file.read`; or they were saved with another configuration.
    """
    path = directory / WEIGHTS
    about = tensor_file.read_metadata(path)
    if about.get("format") == WEIGHTS_FORMAT and about.get("config") != digest.of_json(config):
        raise ValueError(
            f"{path} was not saved with the {CONFIG} beside it: one of the two was replaced.\n"
            f"  Restore both from one copy, or save the network again."
        )
    return tensor_file.read(path, expected, device)


def _read_option(value: Any, place: str, functions: Mapping[str, Function], path: Path | str) -> Activation | Any:
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
        raise ValueError(f"{path}: sizes are 0 to {_LARGEST}, not {value}; the file is damaged, or the net too large.")


_DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}
