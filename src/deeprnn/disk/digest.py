"""Digests: what a file carries so that damage to it is found when it is read."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deeprnn.disk.file_warning import FileWarning


def of_json(content: Any) -> str:
    """SHA-256 of what JSON says, whatever its layout and the order of its names."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def of_tensors(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> str:
    """SHA-256 of tensors on the CPU with their names, dtypes and shapes, and of what is said about them."""
    digest = hashlib.sha256(of_json(about).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        array: Any = tensor.reshape(-1).view(torch.uint8).numpy()
        digest.update(array)
    return digest.hexdigest()


def of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as `sha256sum` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(path: Path, carried: Any, actual: str, remedy: str) -> None:
    """Compares the digest that a file carries with that of its contents.

    Args:
        path: the file.
        carried: its digest; None where it has none.
        actual: the digest of what was read.
        remedy: what to do about a damaged file, a sentence.

    Raises:
        ValueError: they differ.

    Warns:
        FileWarning: the file carries none.
    """
    if carried is None:
        warn_missing(path)
    elif carried != actual:
        raise ValueError(f"{path} is damaged: its contents do not match the digest that it carries.\n  {remedy}")


def warn_missing(path: Path) -> None:
    """Warns, with a FileWarning, that a file carries no digest."""
    warnings.warn(
        f"{path} carries no digest (an older version or another program wrote it): damage to it would go unseen.",
        FileWarning,
        stacklevel=2,
    )
