"""Tensors on disk: safetensors files that say what they are and carry a digest. No pickle."""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from deeprnn.disk import atomic, digest
from deeprnn.disk.marks import Mark

_KEY = "deeprnn"
"""The one entry of a file's metadata: safetensors writes several in an order of its own each time, and equal tensors
are to give equal files."""


def write(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any], mark: Mark) -> None:
    """Writes tensors, and what is said about them, whole or not at all.

    Args:
        path: the file.
        tensors: by name; no two share memory.
        about: JSON that stays with them; it holds a "format".
        mark: what a file that is replaced must be.
    """
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    said = {**about, "digest": digest.of_tensors(on_cpu, about)}
    metadata = {_KEY: json.dumps(said, sort_keys=True)}
    atomic.write(path, lambda part: save_file(on_cpu, part, metadata), mark)


def read_metadata(path: Path) -> dict[str, Any]:
    """What is said about the tensors, with their digest, which is not checked; {} in a file of another program.

    Raises:
        FileNotFoundError, ValueError, OSError: as `read`.
    """
    _check_is_file(path)
    try:
        with _opened(path) as file:
            metadata: Mapping[str, str] = file.metadata() or {}
    except SafetensorError as error:
        raise _damaged(path, error) from error
    if _KEY not in metadata:
        return dict(metadata)
    try:
        about = json.loads(metadata[_KEY])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: its metadata is not valid JSON ({error}).") from None
    if not isinstance(about, dict):
        raise ValueError(f"{path} is damaged: its metadata is not an object.")
    return about


def read(
    path: Path,
    expected: Mapping[str, Tensor] | None = None,
    device: torch.device | str | None = None,
    remedy: str = "Restore it from a copy.",
) -> dict[str, Tensor]:
    """The tensors of a file, checked against its digest.

    Args:
        path: the file.
        expected: tensors of the right names, shapes and dtypes (on any device, meta too); None for no check.
        device: where they go.
        remedy: what to do about a damaged file, a sentence.

    Raises:
        FileNotFoundError: there is none. OSError: it can't be read.
        ValueError: damaged, truncated, of another kind, or not what is expected; nothing large is allocated before.

    Warns:
        FileWarning: it carries no digest.
    """
    about = read_metadata(path)
    try:
        with _opened(path) as file:
            if expected is not None:
                _check_expected(file, expected, path)
            # Copies: safetensors maps the file, and a process that reads it after it was cut short is killed.
            tensors: dict[str, Tensor] = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise _damaged(path, error) from error
    carried = about.pop("digest", None)
    digest.check(path, carried, "" if carried is None else digest.of_tensors(tensors, about), remedy)
    return {name: tensor.to(device or "cpu") for name, tensor in tensors.items()}


@contextmanager
def _opened(path: Path) -> Generator[Any]:
    """A safetensors file; one whose path is not UTF-8, which the library refuses, by its descriptor."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with path.open("rb") as file, safe_open(f"/dev/fd/{file.fileno()}", framework="pt") as tensors:
            yield tensors
    else:
        with safe_open(path, framework="pt") as tensors:
            yield tensors


def _check_is_file(path: Path) -> None:
    if path.is_file():
        with path.open("rb"):
            return  # safetensors calls a file that can't be opened damaged
    if path.exists():
        raise ValueError(f"{path} is not a file.")
    raise FileNotFoundError(f"{path} does not exist.")


def _damaged(path: Path, error: SafetensorError) -> ValueError:
    return ValueError(
        f"{path} is not a complete safetensors file ({error}): it is truncated, damaged, or of another kind."
    )


def _check_expected(file: Any, expected: Mapping[str, Tensor], path: Path) -> None:
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
