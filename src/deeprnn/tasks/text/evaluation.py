"""How well a network predicts text that it was not trained on."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deeprnn.deep import DeepRNN
from deeprnn.state import DeepState
from deeprnn.tasks.text.corpus import Document
from deeprnn.tasks.text.files import TextError
from deeprnn.tasks.text.fits import check_fits
from deeprnn.tasks.text.vocabulary import BOUNDARY, Symbols, Vocabulary

PIECE = 4096
"""Characters of a document that are counted in one row; a longer document is cut into pieces of this length."""
CONTEXT = 512
"""Characters before a piece that are read with it, uncounted, so that the state is that of a reader of the whole."""

_ROWS = 512
"""Pieces that are read side by side at most."""
_CHUNK = 32_768
"""Symbols that go through the network in one call, about;"""
_OUTPUTS = 1 << 22
"""fewer where they give more outputs than these."""
_NONE = -100
"""The target where nothing is counted: in a piece's context, and behind its end."""


@dataclass(frozen=True)
class Evaluation:
    """The figures of one reading.

    Attributes:
        bits_per_character, nats_per_character: the mean of -log p over all characters that were counted, the first
            one of each document included: before it the network has read the boundary alone.
        characters: how many they are.
        unknown_share: the part of them that the vocabulary lacks. All of those are one symbol, whose prediction is
            cheaper than that of the character itself would be.
        documents: how many were read.
        seconds: how long it took.
        not_read: characters of the documents that were left out because of `at_most`.
    """

    bits_per_character: float
    nats_per_character: float
    characters: int
    unknown_share: float
    documents: int
    seconds: float
    not_read: int = 0

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self)


def evaluate(
    net: DeepRNN,
    documents: Sequence[Document],
    vocabulary: Vocabulary,
    *,
    at_most: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Reads documents from the network's initial state on, and asks for every character in turn.

    Each character is predicted from all before it in its document, or, in a document longer than `PIECE`, from
    `CONTEXT` to `CONTEXT + PIECE` characters before it: such a document is cut into pieces, and each is read with the
    characters before it, so that pieces can be read side by side. The figure does not depend on how many are.

    Args:
        net: reads and writes `len(vocabulary)` symbols.
        documents: what to read; empty ones count for nothing.
        vocabulary: what the symbols mean.
        at_most: about how many characters to read, as pieces spread evenly over all documents; None for all.
        progress: called now and then with the symbols done and all of them.

    Raises:
        ValueError: the network does not fit the vocabulary.
        TextError: there is no character to predict, or a document is not UTF-8.
    """
    check_fits(net, vocabulary)
    began = time.perf_counter()
    read = [symbols for symbols in map(vocabulary.read, documents) if symbols.size]
    if not read:
        raise TextError("there is no text to evaluate on: no document with a character in it is held out or given.")
    every = [piece for index, symbols in enumerate(read) for piece in _pieces(index, len(symbols))]
    pieces = sorted(_spread(every, at_most), key=lambda piece: piece.end - piece.start, reverse=True)
    total = sum(piece.end - piece.counted for piece in pieces)
    counted = [read[piece.document][piece.counted : piece.end] for piece in pieces]
    characters = sum(map(vocabulary.count_characters, counted))
    if not characters:
        raise TextError("there is no text to evaluate on: the input contains no valid UTF-8.")
    nats, done = 0.0, 0
    was_training = net.training
    net.eval()
    try:
        for first in range(0, len(pieces), _ROWS):
            for loss, count in _read_side_by_side(net, read, pieces[first : first + _ROWS]):
                nats += loss
                done += count
                if progress is not None:
                    progress(done, total)
    finally:
        net.train(was_training)
    unknown = sum(int(np.count_nonzero(symbols == vocabulary.unknown)) for symbols in counted)
    return Evaluation(
        bits_per_character=nats / characters / math.log(2),
        nats_per_character=nats / characters,
        characters=characters,
        unknown_share=unknown / total,
        documents=len({piece.document for piece in pieces}),
        seconds=time.perf_counter() - began,
        not_read=0 if len(pieces) == len(every) else sum(map(vocabulary.count_characters, read)) - characters,
    )


@dataclass(frozen=True)
class EvaluationSpeed:
    """What `evaluate` takes here, from two short readings.

    Attributes:
        step: seconds of one step, whatever its rows.
        row: seconds of each row in a step.
    """

    step: float
    row: float

    @staticmethod
    def measure(net: DeepRNN, rows: int = 32) -> "EvaluationSpeed":
        """The speed of a network, which stays as it is."""
        few, many = _time_steps(net, 1), _time_steps(net, rows)
        row = max(many - few, 0.0) / (rows - 1)
        return EvaluationSpeed(max(few - row, 0.0), row)

    def seconds(self, lengths: Sequence[int], at_most: int | None = None) -> float:
        """About how long it takes to evaluate documents of so many symbols; `at_most` as for `evaluate`."""
        every = [piece for index, length in enumerate(lengths) for piece in _pieces(index, length)]
        steps = sorted((piece.end - piece.start for piece in _spread(every, at_most)), reverse=True)
        blocks = (steps[first : first + _ROWS] for first in range(0, len(steps), _ROWS))
        return sum(block[0] * self.step + sum(block) * self.row for block in blocks)


@dataclass(frozen=True)
class _Piece:
    """Symbols of a document, from `start` to `end`; those from `counted` on are counted."""

    document: int
    start: int
    counted: int
    end: int


def _pieces(document: int, length: int) -> list[_Piece]:
    return [
        _Piece(document, max(counted - CONTEXT, 0), counted, min(counted + PIECE, length))
        for counted in range(0, length, PIECE)
    ]


def _spread(pieces: Sequence[_Piece], at_most: int | None) -> Sequence[_Piece]:
    """Pieces at even distances that hold about `at_most` counted symbols together; one at least."""
    total = sum(piece.end - piece.counted for piece in pieces)
    if at_most is None or total <= at_most:
        return pieces
    count = max(1, len(pieces) * at_most // total)
    return [pieces[(2 * place + 1) * len(pieces) // (2 * count)] for place in range(count)]


def _read_side_by_side(
    net: DeepRNN, documents: Sequence[Symbols], pieces: Sequence[_Piece]
) -> Iterator[tuple[float, int]]:
    """Sums of -ln p, and how many symbols they are of, chunk by chunk; the longest piece comes first."""
    lengths = np.array([piece.end - piece.start for piece in pieces])
    at_once = min(_CHUNK, _OUTPUTS // (net.output_size or 1))
    state: DeepState | None = None
    start = 0
    while start < lengths[0]:
        rows = int(np.count_nonzero(lengths > start))
        steps = min(max(1, at_once // rows), int(lengths[0]) - start)
        inputs, targets = _chunk(documents, pieces[:rows], start, steps)
        state = None if state is None else state.rows(slice(0, rows))
        with torch.inference_mode():
            result = net(inputs.to(net.device), state)
            state = result.state
            loss = _loss(result.output, targets)
        yield loss, int((targets != _NONE).sum())
        start += steps


def _chunk(documents: Sequence[Symbols], pieces: Sequence[_Piece], first: int, steps: int) -> tuple[Tensor, Tensor]:
    """(T, B) each: the symbols before those from `first` on in each piece, and these, where they are counted."""
    inputs = np.full((steps, len(pieces)), BOUNDARY, dtype=np.int64)
    targets = np.full((steps, len(pieces)), _NONE, dtype=np.int64)
    for row, piece in enumerate(pieces):
        symbols = documents[piece.document]
        start, end = piece.start + first, min(piece.start + first + steps, piece.end)
        counted = max(start, piece.counted)
        if counted < end:
            targets[counted - start : end - start, row] = symbols[counted:end]
        before = symbols[max(start - 1, 0) : end - 1]
        inputs[end - start - len(before) : end - start, row] = before
    return torch.from_numpy(inputs), torch.from_numpy(targets)


def _loss(output: Tensor | None, targets: Tensor) -> float:
    assert output is not None
    flat = targets.flatten().to(output.device)
    losses = F.cross_entropy(output.flatten(0, 1).float(), flat, ignore_index=_NONE, reduction="none")
    return float(losses.double().sum())


def _time_steps(net: DeepRNN, rows: int, steps: int = 128) -> float:
    """Seconds of one step with so many rows."""
    inputs = torch.zeros((steps, rows), dtype=torch.int64, device=net.device)
    was_training = net.training
    net.eval()
    times: list[float] = []
    with torch.inference_mode():
        for _ in range(3):
            began = time.perf_counter()
            _loss(net(inputs).output, inputs)
            times.append(time.perf_counter() - began)
    net.train(was_training)
    return sorted(times)[1] / steps
