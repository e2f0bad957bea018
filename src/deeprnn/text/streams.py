"""Documents laid out as contiguous streams, cut into windows for truncated backpropagation."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deeprnn.text.files import TextError
from deeprnn.text.vocabulary import BOUNDARY, Symbols


class Window(NamedTuple):
    """One step's worth of all streams.

    Attributes:
        inputs: (T, B) int64, the symbols that are read.
        targets: (T, B) int64, the symbol after each of them.
        resets: (T, B) bool, where a document or a stream starts; None where none does.
    """

    inputs: Tensor
    targets: Tensor
    resets: Tensor | None


class Streams:
    """All documents, again and again in new orders, as B streams that go on from window to window.

    For each pass the documents are put in a random order, each with its boundary before it, and the whole is
    closed to a ring: after the last document comes the first. B streams start at equal distances on the ring, the
    first at a random place, and are read in step, T symbols at a time; what is left over at their ends, less than
    a window each, is another piece in each pass. A stream that starts within a document starts from the initial
    state all the same, so its first step is a reset.

    Args:
        documents: their symbols, without boundaries.
        batch: B; where the text is too short for as many streams, fewer are made.
        window: T.
        seed: decides the orders. Windows depend on nothing but the arguments and the step.

    Raises:
        TextError: all documents together are shorter than one window.
    """

    def __init__(self, documents: Sequence[Symbols], *, batch: int, window: int, seed: int) -> None:
        self._documents = [np.concatenate([np.array([BOUNDARY], dtype=np.int32), d]) for d in documents if len(d)]
        self.symbols = sum(map(len, self._documents))
        if self.symbols <= window:
            raise TextError(
                f"the training text holds {max(self.symbols - len(self._documents), 0)} characters, "
                f"less than one window of {window}.\n  Give more text, or shorter windows: --window "
                f"{max(self.symbols // 2, 1)}"
            )
        self.window = window
        self.batch = min(batch, self.symbols // window)
        self.steps_per_pass = self.symbols // self.batch // window
        self.characters = self.batch * window
        self._seed = seed
        self._ring: tuple[int, NDArray[np.int32], int] | None = None

    def __getitem__(self, step: int) -> Window:
        """The window of a step, 0 and up; steps may be asked for in any order, but going up is quick."""
        passes, place = divmod(step, self.steps_per_pass)
        ring, offset = self._ring_of(passes)
        starts = offset + np.arange(self.batch) * (self.symbols // self.batch) + place * self.window
        symbols = ring[(starts + np.arange(self.window + 1)[:, None]) % self.symbols]
        inputs = symbols[:-1]
        resets = inputs == BOUNDARY
        if place == 0:
            resets[0] = True
        return Window(
            torch.from_numpy(inputs.astype(np.int64)),
            torch.from_numpy(symbols[1:].astype(np.int64)),
            torch.from_numpy(resets) if resets.any() else None,
        )

    def _ring_of(self, passes: int) -> tuple[NDArray[np.int32], int]:
        if self._ring is None or self._ring[0] != passes:
            random = np.random.Generator(np.random.PCG64([self._seed, passes]))
            order = random.permutation(len(self._documents))
            ring = np.concatenate([self._documents[index] for index in order])
            self._ring = (passes, ring, int(random.integers(self.symbols)))
        return self._ring[1], self._ring[2]
