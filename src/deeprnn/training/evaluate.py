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
from deeprnn.text import BOUNDARY, Document, TextError, Vocabulary
from deeprnn.text.vocabulary import Symbols

_ROWS = 512
"""Documents that are read side by side at most."""
_CHUNK = 32_768
"""Symbols that go through the network in one call, about."""
_NONE = -100
"""The target behind a document's end."""


@dataclass(frozen=True)
class Evaluation:
    """The figures of one reading.

    Attributes:
        bits_per_character, nats_per_character: the mean of -log p over all characters of all documents, the first
            one of each included: before it the network has read the boundary alone.
        characters: how many they are.
        unknown_share: the part of them that the vocabulary lacks. All of those are one symbol, whose prediction is
            cheaper than that of the very character would be.
        documents: how many were read.
        seconds: how long it took.
    """

    bits_per_character: float
    nats_per_character: float
    characters: int
    unknown_share: float
    documents: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self)


def evaluate(
    net: DeepRNN,
    documents: Sequence[Document],
    vocabulary: Vocabulary,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Reads each document from the network's initial state to its end, and asks for every character in turn.

    The documents stand side by side as a batch, the state is carried through, and there are no windows: the figure
    is that of one pass over each document.

    Args:
        net: reads and writes `len(vocabulary)` symbols.
        documents: what to read; empty ones count for nothing.
        vocabulary: what the symbols mean.
        progress: called now and then with the characters done and all of them.

    Raises:
        TextError: there is no character to predict, or a document is not UTF-8.
    """
    began = time.perf_counter()
    read = [vocabulary.read(document) for document in documents]
    read = sorted((symbols for symbols in read if symbols.size), key=lambda symbols: symbols.size, reverse=True)
    total = sum(map(len, read))
    if total == 0:
        raise TextError("there is no text to evaluate on: no document with a character in it is held out or given.")
    nats, done = 0.0, 0
    was_training = net.training
    net.eval()
    try:
        for first in range(0, len(read), _ROWS):
            for loss, count in _read_side_by_side(net, read[first : first + _ROWS]):
                nats += loss
                done += count
                if progress is not None:
                    progress(done, total)
    finally:
        net.train(was_training)
    characters = sum(vocabulary.count_characters(symbols) for symbols in read)
    unknown = sum(int(np.count_nonzero(symbols == vocabulary.unknown)) for symbols in read)
    return Evaluation(
        bits_per_character=nats / characters / math.log(2),
        nats_per_character=nats / characters,
        characters=characters,
        unknown_share=unknown / total,
        documents=len(read),
        seconds=time.perf_counter() - began,
    )


def evaluation_seconds(net: DeepRNN, documents: Sequence[Document], vocabulary: Vocabulary) -> float:
    """About how long `evaluate` will take, from two short readings: a step's cost, and that of a row in it."""
    lengths = sorted((len(vocabulary.read(document)) for document in documents), reverse=True)
    lengths = [length for length in lengths if length]
    if not lengths:
        return 0.0
    rows = min(32, len(lengths))
    few, many = _time_steps(net, 1), _time_steps(net, rows)
    a_row = max(many - few, 0.0) / (rows - 1) if rows > 1 else 0.0
    return sum(
        block[0] * max(few - a_row, 0.0) + sum(block) * a_row
        for block in (lengths[first : first + _ROWS] for first in range(0, len(lengths), _ROWS))
    )


def _read_side_by_side(net: DeepRNN, documents: Sequence[Symbols]) -> Iterator[tuple[float, int]]:
    """Sums of -ln p, and how many symbols they are of, chunk by chunk; the longest document comes first."""
    lengths = np.array([len(symbols) for symbols in documents])
    state: DeepState | None = None
    start = 0
    while start < lengths[0]:
        rows = int(np.count_nonzero(lengths > start))
        steps = min(max(1, _CHUNK // rows), int(lengths[0]) - start)
        inputs, targets = _chunk(documents[:rows], start, steps)
        state = None if state is None else state.rows(slice(0, rows))
        with torch.inference_mode():
            result = net(inputs.to(net.device), state)
            state = result.state
            yield _loss(result.output, targets), int((targets != _NONE).sum())
        start += steps


def _chunk(documents: Sequence[Symbols], start: int, steps: int) -> tuple[Tensor, Tensor]:
    """(T, B) each: the symbols before those from `start` on, and these; what lies behind an end is not counted."""
    inputs = np.full((steps, len(documents)), BOUNDARY, dtype=np.int64)
    targets = np.full((steps, len(documents)), _NONE, dtype=np.int64)
    for row, symbols in enumerate(documents):
        part = symbols[start : start + steps]
        targets[: len(part), row] = part
        before = symbols[max(start - 1, 0) : start + len(part) - 1]
        inputs[len(part) - len(before) : len(part), row] = before
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
