"""Where recorded values lie: in memory, or in memory-mapped .npy files that can be opened again."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deeprnn.analysis.recording.names import Name
from deeprnn.disk import json_file, marks

INDEX = "recording.json"
FORMAT = "deeprnn recording 1"
_REMEDY = "Restore it from a copy, or record again."


@dataclass(frozen=True, eq=False)
class Block:
    """All layers' values of one kind.

    Attributes:
        values: (B, T, layers, units) on the CPU; NaN where a layer has fewer units than the widest.
        layers: the layers' indices, along the third axis.
        widths: each one's units.
    """

    values: Tensor
    layers: tuple[int, ...]
    widths: tuple[int, ...]

    def of_layer(self, layer: int) -> Tensor:
        """(B, T, H), a view."""
        place = self.layers.index(layer)
        return self.values[:, :, place, : self.widths[place]]


def allocate(
    names: Iterable[Name], batch: int, steps: int, dtype: torch.dtype, directory: Path | None
) -> dict[str, Block]:
    """Room for the names' values, by kind; in `directory`, one file a kind and an index of them."""
    kinds: dict[str, list[Name]] = {}
    for name in names:
        kinds.setdefault(name.kind, []).append(name)
    # NumPy, and so its files, know no bfloat16.
    stored = torch.float32 if dtype == torch.bfloat16 else dtype
    if directory is not None:
        _begin(directory, kinds)
    blocks: dict[str, Block] = {}
    for kind, members in kinds.items():
        layers, widths = tuple(name.layer for name in members), tuple(name.width for name in members)
        shape = (batch, steps, len(members), max(widths))
        if directory is None:
            values = torch.empty(shape, dtype=stored)
        else:
            values = torch.from_numpy(_new_file(directory / f"{kind}.npy", shape, _NUMPY[stored]))
        for place, width in enumerate(widths):
            values[:, :, place, width:] = torch.nan
        blocks[kind] = Block(values, layers, widths)
    return blocks


def _begin(directory: Path, kinds: Mapping[str, Sequence[Name]]) -> None:
    """Writes the index, by which the files beside it are known to be a recording's; clears the way for them."""
    directory.mkdir(parents=True, exist_ok=True)
    files = [directory / f"{kind}.npy" for kind in kinds]
    earlier = _listed(directory)
    for kind, file in zip(kinds, files, strict=True):
        if kind not in earlier and os.path.lexists(file):
            raise marks.ForeignFileError(
                f"{file} exists, and belongs to no recording: it is left as it is; record into another directory."
            )
    listed = {
        kind: {"layers": [name.layer for name in members], "widths": [name.width for name in members]}
        for kind, members in kinds.items()
    }
    json_file.write(directory / INDEX, {"format": FORMAT, "kinds": listed}, marks.RECORDING)
    for kind in earlier:
        (directory / f"{kind}.npy").unlink(missing_ok=True)  # not written over: who has it open keeps its values


def _listed(directory: Path) -> set[str]:
    """The kinds of the recording that lies in a directory; none where it holds no recording."""
    if not marks.is_ours(directory / INDEX, marks.RECORDING):
        return set()
    try:
        kinds = set(json_file.read(directory / INDEX, FORMAT, _REMEDY).get("kinds") or {})
        return {kind for kind in kinds if Path(kind).name == kind}
    except (ValueError, TypeError):  # damaged: what it listed is not known
        return set()


def bytes_per_step(names: Iterable[Name], batch: int, dtype: torch.dtype) -> int:
    """What one step of all rows takes."""
    return sum(name.width for name in names) * batch * dtype.itemsize


def open_blocks(directory: Path) -> dict[str, Block]:
    """The blocks that `allocate` made there, memory-mapped; changes to them are not written back.

    Raises:
        FileNotFoundError: there is no recording. ValueError: a file is damaged, or of another format.
    """
    path = directory / INDEX
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; {directory} holds no recording.")
    kinds = json_file.read(path, FORMAT, _REMEDY).get("kinds")
    try:
        blocks = {
            str(kind): (tuple(map(index, members["layers"])), tuple(map(index, members["widths"])))
            for kind, members in kinds.items()  # pyright: ignore[reportOptionalMemberAccess]
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} lists no recording ({error!r}): it is damaged.\n  {_REMEDY}") from error
    return {
        kind: Block(_open_file(directory / f"{kind}.npy", layers, widths), layers, widths)
        for kind, (layers, widths) in blocks.items()
    }


def _open_file(path: Path, layers: tuple[int, ...], widths: tuple[int, ...]) -> Tensor:
    try:
        values = torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
    except FileNotFoundError:
        raise
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise ValueError(f"{path} is not a complete array ({error}): it is damaged.\n  {_REMEDY}") from error
    if values.dim() != 4 or tuple(values.shape[2:]) != (len(layers), max(widths, default=0)):
        raise ValueError(f"{path} has the shape {tuple(values.shape)}, which {INDEX} does not list.\n  {_REMEDY}")
    return values


def _new_file(path: Path, shape: tuple[int, ...], dtype: Any) -> Any:
    if 0 not in shape:
        return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    # No file maps zero bytes.
    np.save(path, np.empty(shape, dtype))
    return np.empty(shape, dtype)


_NUMPY: dict[torch.dtype, Any] = {torch.float16: np.float16, torch.float32: np.float32, torch.float64: np.float64}
