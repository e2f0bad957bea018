"""Documents laid out as contiguous streams, cut into batches for truncated backpropagation through time."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from deeprnn.tasks.text.files import TextError
from deeprnn.tasks.text.vocabulary import BOUNDARY, Symbols
from deeprnn.training import Batch, rows_of_rank


class Streams:
    """All documents, again and again in new orders, as B streams that continue from batch to batch.

    For each pass the documents are put in a random order, each with its boundary before it, and the whole is
    closed to a ring: after the last document comes the first. B streams start at equal distances on the ring, the
    first at a random place, and are read in step, T symbols at a time; what is left over at their ends, less than
    T each, is another piece in each pass. A stream that starts within a document starts from the initial state all
    the same, so its first step is a reset.

    Args:
        documents: their symbols, without boundaries, all of one type.
        batch_size: B; where the text is too short for as many streams, fewer are made.
        bptt: T.
        seed: decides the orders. Batches depend on nothing but the arguments and the step.

    Raises:
        TextError: all documents together are shorter than one batch's T.
    """

    unit: str = "characters"

    def __init__(self, documents: Iterable[Symbols], *, batch_size: int, bptt: int, seed: int) -> None:
        filled = [document for document in documents if len(document)]
        # One array without a copy where there is one document: it may take a good part of the memory.
        self._text = filled[0] if len(filled) == 1 else np.concatenate([np.empty(0, np.uint8), *filled])
        self._sizes = np.array([len(document) for document in filled], dtype=np.int64)
        self.symbols = len(self._text) + len(filled)
        if self.symbols <= bptt:
            raise TextError(
                f"the training text has {len(self._text)} characters, fewer than the {bptt} steps of backpropagation "
                f"through time.\n  Give more text, or take fewer steps: `bptt={max(self.symbols // 2, 1)}`"
            )
        self.bptt = bptt
        self.batch_size = min(batch_size, self.symbols // bptt)
        self.steps_per_pass = self.symbols // self.batch_size // bptt
        self.units_per_batch = self.batch_size * bptt
        self._seed = seed
        self._ring: tuple[int, _Ring] | None = None

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """The batch of a step, 0 and up; steps may be asked for in any order, but going up is quick.

        Inputs and targets are (T, B) int64, the symbols that are read and the symbol after each; resets are (T, B),
        where a document or a stream starts.
        """
        passes, place = divmod(step, self.steps_per_pass)
        ring = self._ring_of(passes)
        rows = rows_of_rank(self.batch_size, rank, ranks)
        streams = np.arange(rows.start, rows.stop)
        starts = ring.first + streams * (self.symbols // self.batch_size) + place * self.bptt
        symbols = self._read(ring, (starts + np.arange(self.bptt + 1)[:, None]) % self.symbols)
        inputs = symbols[:-1]
        resets = inputs == BOUNDARY
        if place == 0:
            resets[0] = True
        return Batch(
            torch.from_numpy(inputs),
            torch.from_numpy(symbols[1:]),
            torch.from_numpy(resets) if resets.any() else None,
        )

    def _read(self, ring: "_Ring", places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The symbols at places of a ring."""
        index = np.searchsorted(ring.starts, places, side="right") - 1
        within = places - ring.starts[index]  # 0 is the boundary
        symbols = self._text[ring.texts[index] + np.maximum(within - 1, 0)].astype(np.int64)
        return np.where(within == 0, BOUNDARY, symbols)

    def _ring_of(self, passes: int) -> "_Ring":
        if self._ring is None or self._ring[0] != passes:
            random = np.random.Generator(np.random.PCG64([self._seed, passes]))
            order = random.permutation(len(self._sizes))
            sizes, texts = self._sizes[order] + 1, (np.cumsum(self._sizes) - self._sizes)[order]
            self._ring = (passes, _Ring(np.cumsum(sizes) - sizes, texts, int(random.integers(self.symbols))))
        return self._ring[1]


@dataclass(frozen=True)
class _Ring:
    """The order of the documents in one pass; the text itself stays where it is.

    Attributes:
        starts: the place of each document's boundary on the ring, ascending.
        texts: where in the text each of them begins.
        first: the place at which the first stream starts.
    """

    starts: NDArray[np.int64]
    texts: NDArray[np.int64]
    first: int
