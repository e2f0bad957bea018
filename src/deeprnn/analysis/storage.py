"""Where recorded values lie: in memory, or in memory-mapped .npy files that can be opened again."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deeprnn import atomic
from deeprnn.analysis.names import Name

INDEX = "recording.json"
FORMAT = "deeprnn recording 1"


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
    blocks: dict[str, Block] = {}
    for kind, members in kinds.items():
        layers, widths = tuple(name.layer for name in members), tuple(name.width for name in members)
        shape = (batch, steps, len(members), max(widths))
        if directory is None:
            values = torch.empty(shape, dtype=stored)
        else:
            directory.mkdir(parents=True, exist_ok=True)
            values = torch.from_numpy(_new_file(directory / f"{kind}.npy", shape, _NUMPY[stored]))
        for place, width in enumerate(widths):
            values[:, :, place, width:] = torch.nan
        blocks[kind] = Block(values, layers, widths)
    if directory is not None:
        index = {kind: {"layers": block.layers, "widths": block.widths} for kind, block in blocks.items()}
        atomic.write_text(directory / INDEX, json.dumps({"format": FORMAT, "kinds": index}, indent=2) + "\n")
    return blocks


def bytes_per_step(names: Iterable[Name], batch: int, dtype: torch.dtype) -> int:
    """What one step of all rows takes."""
    return sum(name.width for name in names) * batch * dtype.itemsize


def open_blocks(directory: Path) -> dict[str, Block]:
    """The blocks that `allocate` made there, memory-mapped; changes to them are not written back.

    Raises:
        FileNotFoundError: there is no recording. ValueError: its index is of another format.
    """
    path = directory / INDEX
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; {directory} holds no recording.")
    index = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise ValueError(f"{path} is not of format {FORMAT!r}; it was not written by this version of deeprnn.")
    kinds: Mapping[str, Any] = index["kinds"]
    return {
        kind: Block(
            torch.from_numpy(np.load(directory / f"{kind}.npy", mmap_mode="c", allow_pickle=False)),
            tuple(members["layers"]),
            tuple(members["widths"]),
        )
        for kind, members in kinds.items()
    }


def _new_file(path: Path, shape: tuple[int, ...], dtype: Any) -> Any:
    if 0 not in shape:
        return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    # No file maps zero bytes.
    np.save(path, np.empty(shape, dtype))
    return np.empty(shape, dtype)


_NUMPY: dict[torch.dtype, Any] = {torch.float16: np.float16, torch.float32: np.float32, torch.float64: np.float64}
