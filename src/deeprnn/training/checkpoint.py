"""Checkpoints: all that a training needs to continue bit for bit, in one safetensors file; no pickle."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deeprnn.disk import atomic, marks, tensor_file
from deeprnn.training.errors import RunError, writing

FORMAT = "deeprnn checkpoint 2"
_FORMER = "deeprnn checkpoint 1"
"""Still read: the sums since the last row of `metrics.csv` were of the loss, where they are of its metrics now."""
KEPT = 2
"""How many checkpoints stay on disk: the newest, and one to fall back on."""
NAME = re.compile(r"step-(\d{9})\.safetensors", re.ASCII)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training between two steps.

    Attributes:
        step: steps that are done; with the run's seed it says which batch comes next.
        tensors: weights, AdamW's moments, carried state, the random generators, what the next metrics row has
            gathered so far; by name.
        identity: of the run that it belongs to (see `Plan.identity`); None for one of an older run.
        rows: the digest of the rows of `metrics.csv` up to this step; None likewise.
    """

    step: int
    tensors: Mapping[str, Tensor]
    identity: str | None = None
    rows: str | None = None


def write_checkpoint(directory: Path, checkpoint: Checkpoint) -> Path:
    """Writes `step-*.safetensors`, whole or not at all, then removes all but the newest `KEPT`.

    Only files that are checkpoints are ever removed.

    Raises:
        RunError: the disk is full, or the directory can't be written.
    """
    path = directory / f"step-{checkpoint.step:09d}.safetensors"
    about = {"format": FORMAT, "step": checkpoint.step, "identity": checkpoint.identity, "rows": checkpoint.rows}
    with writing(path):
        directory.mkdir(parents=True, exist_ok=True)
        tensor_file.write(path, checkpoint.tensors, about, marks.CHECKPOINT)
        for old in checkpoint_paths(directory)[KEPT:]:
            if marks.is_ours(old, marks.CHECKPOINT):
                old.unlink(missing_ok=True)
        atomic.sweep(directory, NAME.pattern)
    return path


def checkpoint_paths(directory: Path) -> list[Path]:
    """The checkpoints, newest first; none where there is no such directory."""
    if not directory.is_dir():
        return []
    return sorted((path for path in directory.iterdir() if NAME.fullmatch(path.name)), reverse=True)


def newest_checkpoint(directory: Path) -> Path | None:
    """The checkpoint of the highest step; None where there is none."""
    paths = checkpoint_paths(directory)
    return paths[0] if paths else None


def read_checkpoint(path: Path, expected: Mapping[str, Tensor], identity: str | None = None) -> Checkpoint:
    """A checkpoint, whose names, shapes and dtypes are checked before anything of their size is read.

    Args:
        path: the file.
        expected: tensors like those that it must hold (see `Checkpoint.tensors`).
        identity: of the run that it must belong to; None where that is not known.

    Raises:
        RunError: the file is damaged, of another kind, or of another run.

    Warns:
        UserWarning: it carries no digest, since an older version wrote it.
    """
    remedy = _remedy(path)
    try:
        about = tensor_file.read_metadata(path)
        _check_about(path, about)
        tensors = tensor_file.read(path, expected, remedy=remedy)
        wrong = [name for name, tensor in tensors.items() if tensor.dtype != expected[name].dtype]
        if wrong:
            raise ValueError(f"{path}: {wrong[0]} is {tensors[wrong[0]].dtype}, not {expected[wrong[0]].dtype}.")
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise ValueError(f"{path}: {name} holds numbers that are not finite.")
    except (OSError, ValueError) as error:
        message = str(error) if remedy in str(error) else f"{error}\n  {remedy}"
        raise RunError(message) from error
    if identity is not None and about.get("identity") not in (None, identity):
        raise RunError(f"{path} belongs to another run: another network, other data or other settings.\n  {remedy}")
    if about["format"] == _FORMER:
        tensors["metrics"][1:] = 0.0  # the next row is the mean of the steps from here on
    return Checkpoint(int(about["step"]), tensors, about.get("identity"), about.get("rows"))


def _remedy(path: Path) -> str:
    older = [other for other in checkpoint_paths(path.parent) if other != path]
    if older:
        return f"Delete it, and `resume(out)` continues from {older[0].name}."
    return "Restore it from a copy, or train again with `overwrite=True`."


def _check_about(path: Path, about: Mapping[str, Any]) -> None:
    step, name = str(about.get("step")), NAME.fullmatch(path.name)
    if (
        about.get("format") not in (FORMAT, _FORMER)
        or not (step.isascii() and step.isdecimal())
        or name is None
        or int(name[1]) != int(step)
    ):
        raise ValueError(f"{path} was not written as a checkpoint of format {FORMAT!r} for that step.")
    if not all(isinstance(about.get(entry), str | None) for entry in ("identity", "rows")):
        raise ValueError(f"{path} says of itself what no checkpoint says; it is damaged.")
