"""Recorded values by name, in memory or read from disk as they are used."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from deeprnn.analysis.recording.storage import Block, open_blocks
from deeprnn.state import DeepState

if TYPE_CHECKING:
    import xarray


class Recording(Mapping[str, Tensor]):
    """Recorded values by name, each (batch, time, unit), whatever axes the net itself has.

    Attributes:
        blocks: the same by kind, all layers together (see `Block`).
        state: what the next call continues from; None for a recording opened from disk.

    A recording that lies on disk is read from there as it is used; its values are views of memory-mapped files.
    """

    def __init__(self, blocks: Mapping[str, Block], state: DeepState | None, *, keep: object = None) -> None:
        self.blocks = dict(blocks)
        self.state = state
        self._keep = keep
        self._places = {
            f"layers.{layer}.{kind}": (kind, layer) for kind, block in self.blocks.items() for layer in block.layers
        }

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._places:
            raise KeyError(f"{name!r} was not recorded; there are {', '.join(self._places)}.")
        kind, layer = self._places[name]
        return self.blocks[kind].of_layer(layer)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def stacked(self, kind: str = "hidden") -> Tensor:
        """(batch, time, layer, unit): the recorded layers' values of one kind; NaN beyond a narrower layer's width.

        Args:
            kind: a name without its layer, such as "hidden" or "gate.f".
        """
        return self._block(kind).values

    def xarray(self, kind: str = "hidden") -> "xarray.DataArray":
        """`stacked(kind)` with its axes named batch, time, layer, unit; `layer` holds the layers' indices.

        No copy: on disk it stays on disk. Needs the extra `analysis`.

        >>> import torch
        >>> from deeprnn import DeepRNN, GRU
        >>> from deeprnn.analysis import record
        >>> net = DeepRNN(3, [GRU(4), GRU(4)])
        >>> hidden = record(net, torch.randn(5, 2, 3)).xarray()
        >>> dict(hidden.sel(layer=1).sizes)
        {'batch': 2, 'time': 5, 'unit': 4}
        """
        import xarray

        block = self._block(kind)
        coordinates = {"layer": list(block.layers)}
        return xarray.DataArray(
            block.values.numpy(), dims=("batch", "time", "layer", "unit"), coords=coordinates, name=kind
        )

    @classmethod
    def open(cls, directory: str | Path) -> "Recording":
        """The recording that `record(..., directory=directory)` wrote.

        Raises:
            FileNotFoundError, ValueError: there is none, or it is of another format.
        """
        return cls(open_blocks(Path(directory)), None)

    def _block(self, kind: str) -> Block:
        if kind not in self.blocks:
            raise KeyError(f"nothing of kind {kind!r} was recorded; there are {', '.join(self.blocks)}.")
        return self.blocks[kind]
