"""Checkpoints: all that a training needs to go on bit for bit, in one safetensors file; no pickle."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from deeprnn.saving import read_tensors, write_tensors
from deeprnn.training.errors import RunError, writing

FORMAT = "deeprnn checkpoint 1"
KEPT = 2
"""How many checkpoints stay on disk: the newest, and one to fall back on."""

_NAME = re.compile(r"step-(\d{9})\.safetensors")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training between two steps.

    Attributes:
        step: steps that are done; with the run's seed it says which text comes next.
        tensors: weights, AdamW's moments, carried state, the random generators, what the next metrics row has
            gathered so far; by name.
    """

    step: int
    tensors: Mapping[str, Tensor]


def write_checkpoint(directory: Path, checkpoint: Checkpoint) -> Path:
    """Writes `step-*.safetensors`, whole or not at all, then removes all but the newest `KEPT`.

    Raises:
        RunError: the disk is full, or the directory can't be written.
    """
    path = directory / f"step-{checkpoint.step:09d}.safetensors"
    with writing(path):
        directory.mkdir(parents=True, exist_ok=True)
        write_tensors(path, checkpoint.tensors, {"format": FORMAT, "step": str(checkpoint.step)})
        for old in _paths(directory)[KEPT:]:
            old.unlink(missing_ok=True)
        for part in directory.glob(".step-*.part"):  # left by a process that was killed while it wrote
            part.unlink(missing_ok=True)
    return path


def newest_checkpoint(directory: Path) -> Path | None:
    """The checkpoint of the highest step; None where there is none."""
    paths = _paths(directory)
    return paths[0] if paths else None


def read_checkpoint(path: Path, expected: Mapping[str, Tensor]) -> Checkpoint:
    """A checkpoint, whose names, shapes and dtypes are checked before anything of their size is read.

    Args:
        path: the file.
        expected: tensors like those that it must hold (see `Checkpoint.tensors`).

    Raises:
        RunError: the file is truncated, of another kind, or of another network.
    """
    try:
        step = _read_step(path)
        tensors = read_tensors(path, expected)
        wrong = [name for name, tensor in tensors.items() if tensor.dtype != expected[name].dtype]
        if wrong:
            raise ValueError(f"{path}: {wrong[0]} is {tensors[wrong[0]].dtype}, not {expected[wrong[0]].dtype}.")
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise ValueError(f"{path}: {name} holds numbers that are not finite.")
    except (OSError, ValueError) as error:
        older = [other for other in _paths(path.parent) if other != path]
        remedy = (
            f"Delete it, and --resume goes on from {older[0].name}."
            if older
            else "Restore it from a copy, or train anew with --overwrite."
        )
        raise RunError(f"{error}\n  {remedy}") from error
    return Checkpoint(step, tensors)


def _read_step(path: Path) -> int:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata: Mapping[str, str] = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is no whole checkpoint ({error}); it is truncated, damaged, or of another kind."
        ) from error
    step = metadata.get("step", "")
    match = _NAME.fullmatch(path.name)
    if metadata.get("format") != FORMAT or not step.isdecimal() or match is None or int(match[1]) != int(step):
        raise ValueError(f"{path} was not written as a checkpoint of format {FORMAT!r} for that step.")
    return int(step)


def _paths(directory: Path) -> list[Path]:
    """The checkpoints, newest first."""
    return sorted((path for path in directory.glob("step-*.safetensors") if _NAME.fullmatch(path.name)), reverse=True)
