"""What an analysis reads: held-out text side by side, its labels, and the states of a net at some of its characters."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from deeprnn.analysis import labels as label_sets
from deeprnn.analysis.interventions.edited_cell import own_cell
from deeprnn.analysis.labels import Kind
from deeprnn.analysis.probes.examples import Labels
from deeprnn.analysis.statistics import Ints
from deeprnn.deep import DeepRNN
from deeprnn.tasks.text import BOUNDARY, Document, TextError, Vocabulary

LONGEST_WINDOW = 24
"""Characters of the widest window that a layer is compared with."""
_FEWEST_PIECES = 12
"""With fewer files than this, they are cut in pieces, so that there is something to hold out and to resample."""
_SHORTEST = 200
"""Characters; a shorter file or piece is left out."""
_CHUNK = 16_384
"""Characters, of all files together, that go through the net in one call, about."""


class Text(NamedTuple):
    """A file, or a piece of one: its name, symbols (N,), and labels by name, (N,) each."""

    name: str
    symbols: Ints
    labels: Mapping[str, Ints]


@dataclass(frozen=True)
class TextSample:
    """Texts side by side, and N of their characters, the ones that probes read.

    Attributes:
        names: B names of files or pieces.
        x: (T, B) symbols, each text after its boundary; what is behind a text's end is boundary too.
        targets: (T, B) the symbol after each; -1 behind a text's end.
        lengths: (B,) how many steps hold text, the boundary included.
        step, groups: (N,) where each of the N characters is: x[step, groups] is the character itself.
        labels: of these characters. kind: which set of labels they are from.
        notices: what a reader should know, such as files that were left out.
    """

    names: tuple[str, ...]
    x: Tensor
    targets: Tensor
    lengths: Tensor
    step: Tensor
    groups: Ints
    labels: Labels
    kind: Kind
    notices: tuple[str, ...]

    @property
    def window(self) -> Tensor:
        """(N, 24) the characters up to and with each, the last one first; -1 before the text's beginning."""
        place = self.step[:, None] - torch.arange(LONGEST_WINDOW)
        found = self.x[place.clamp(min=0), torch.from_numpy(self.groups)[:, None]]
        return torch.where(place >= 1, found, -1)

    @property
    def next_symbol(self) -> Tensor:
        """(N,) the symbol after each; -1 at a text's end."""
        return self.targets[self.step, torch.from_numpy(self.groups)]

    def states(self, net: DeepRNN) -> tuple[Tensor, ...]:
        """L tensors (N, H_l): every layer's state after it has read each of the N characters."""
        found = [torch.empty(len(self.step), cell.output_width) for cell in net.cells]
        column = torch.from_numpy(self.groups)
        steps, state = max(1, _CHUNK // self.x.shape[1]), None
        for start in range(0, len(self.x), steps):
            with torch.no_grad():
                result = net(self.x[start : start + steps].to(net.device), state)
            state = result.state
            here = ((self.step >= start) & (self.step < start + steps)).nonzero()[:, 0]
            for layer, hidden in zip(found, result.hidden, strict=True):
                layer[here] = hidden[self.step[here] - start, column[here]].float().cpu()
        return tuple(found)

    def check_longer_than(self, steps: int) -> None:
        """Raises TextError where no text is longer than this."""
        if int(self.lengths.max()) <= steps:
            raise TextError(f"no held-out text is longer than {steps} characters; there is too little to measure on.")

    def snippets(self, count: int, steps: int, seed: int) -> Tensor:
        """(steps, count) contiguous stretches of text from random places, each within one text.

        Raises:
            TextError: no text is so long.
        """
        self.check_longer_than(steps)
        rooms = (self.lengths - steps).clamp(min=0)
        random = torch.Generator().manual_seed(seed)
        columns = torch.multinomial(rooms.double(), count, replacement=True, generator=random)
        starts = 1 + (torch.rand(count, generator=random, dtype=torch.float64) * rooms[columns]).long()
        return self.x[starts + torch.arange(steps)[:, None], columns]


def sample_texts(
    documents: Sequence[Document],
    vocabulary: Vocabulary,
    *,
    files: int,
    per_file: int,
    characters: int,
    seed: int = 0,
) -> TextSample:
    """A sample of documents: labelled, side by side, with N of their characters drawn.

    Each text is read from its beginning, up to `per_file` characters; where there are few documents they are cut in
    pieces, which are then read from the initial state too. The N characters are drawn from all of these
    without replacement.

    Args:
        documents: held-out ones. files: the most that are used, drawn at random. per_file: characters. characters: N.

    Raises:
        TextError: there is too little text, or it can't be read with this vocabulary.
    """
    kind = kind_of(documents)
    notices: list[str] = []
    texts = [text for document in documents for text in _labelled(document, vocabulary, kind, notices)]
    pieces = _pieces(texts, notices)
    random = np.random.default_rng(seed)
    chosen = sorted(random.permutation(len(pieces))[:files].tolist())
    pieces = [_cut(pieces[index], 0, per_file) for index in chosen]
    x, targets, lengths = _side_by_side(pieces)
    columns = [np.full(len(piece.symbols), column) for column, piece in enumerate(pieces)]
    steps = [np.arange(len(column)) for column in columns]
    place = np.stack([np.concatenate(steps), np.concatenate(columns)])
    kept = np.sort(random.permutation(place.shape[1])[:characters])
    step, groups = place[:, kept]
    labels, unused = _label_matrix(pieces, step, groups, kind)
    notices += unused
    names = tuple(piece.name for piece in pieces)
    return TextSample(names, x, targets, lengths, torch.from_numpy(step + 1), groups, labels, kind, tuple(notices))


def kind_of(documents: Sequence[Document]) -> Kind:
    """Which set of labels suits the documents: Python's where all names end in .py, else those of any text."""
    return "python" if documents and all(document.name.endswith(".py") for document in documents) else "text"


def untrained(net: DeepRNN, seed: int) -> DeepRNN:
    """The same net as it was before training, from the same initialisation; with its run's seed, those very weights.

    An activation's own weights are initialised again where its modules have `reset_parameters`.
    """
    cells = copy.deepcopy([own_cell(cell) for cell in net.cells])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = DeepRNN(
            net.input_size,
            cells,
            net.output_size,
            dropout=net.dropout,
            variational_dropout=net.variational_dropout,
            residual=net.residual,
            input_to_all=net.input_to_all,
            output_from_all=net.output_from_all,
            one_hot=net.one_hot,
            dtype=net.dtype,
        )
        for module in dict.fromkeys(
            part for layer in fresh.layers for phi in layer.children() for part in phi.modules()
        ):
            reset: Any = getattr(module, "reset_parameters", None)
            if reset is not None:
                reset()
    return fresh.to(net.device).eval()


def _labelled(document: Document, vocabulary: Vocabulary, kind: Kind, notices: list[str]) -> list[Text]:
    symbols = vocabulary.read(document).astype(np.int64)
    text = document.content.decode(errors="replace")
    try:
        codes = {label.name: label(text).astype(np.int64) for label in label_sets.all_of(kind)}
    except label_sets.UnreadableSource as error:
        notices.append(f"left out {document.name}: {error}")
        return []
    if len(symbols) != len(text):
        # A vocabulary of bytes: every byte of a character has its label.
        sizes = np.array([len(c.encode(errors="surrogatepass")) for c in text])
        if sizes.sum() != len(symbols):
            notices.append(f"left out {document.name}: its characters and its symbols can't be matched")
            return []
        codes = {name: np.repeat(values, sizes) for name, values in codes.items()}
    return [Text(document.name, symbols, codes)]


def _pieces(texts: Sequence[Text], notices: list[str]) -> list[Text]:
    long_enough = [text for text in texts if len(text.symbols) >= _SHORTEST]
    total = sum(len(text.symbols) for text in long_enough)
    if total < _FEWEST_PIECES * _SHORTEST:
        raise TextError(
            f"there are {total:,} characters of held-out text to analyze, in files of {_SHORTEST} or more;\n"
            f"  it takes {_FEWEST_PIECES * _SHORTEST:,} at least."
        )
    if len(long_enough) >= _FEWEST_PIECES:
        return long_enough
    size = max(_SHORTEST, total // (2 * _FEWEST_PIECES))
    pieces = [
        _cut(text, start, start + size)
        for text in long_enough
        for start in range(0, len(text.symbols) - _SHORTEST + 1, size)
    ]
    notices.append(
        f"{len(long_enough)} held-out files were cut into {len(pieces)} pieces of {size:,} characters; pieces of one "
        f"file are not independent, so the intervals are too narrow"
    )
    return pieces


def _cut(text: Text, start: int, stop: int) -> Text:
    part = slice(start, stop)
    return Text(text.name, text.symbols[part], {name: values[part] for name, values in text.labels.items()})


def _side_by_side(pieces: Sequence[Text]) -> tuple[Tensor, Tensor, Tensor]:
    longest = max(len(piece.symbols) for piece in pieces)
    x = torch.full((longest + 1, len(pieces)), BOUNDARY)
    targets = torch.full_like(x, -1)
    for column, piece in enumerate(pieces):
        symbols = torch.from_numpy(piece.symbols)
        x[1 : len(symbols) + 1, column] = symbols
        targets[: len(symbols), column] = symbols
    return x, targets, torch.tensor([len(piece.symbols) + 1 for piece in pieces])


def _label_matrix(pieces: Sequence[Text], step: Ints, groups: Ints, kind: Kind) -> tuple[Labels, list[str]]:
    """The labels of the N characters; one that says nothing about them is left out, with a notice."""
    names, sizes, rows, notices = list[str](), list[int](), list[Ints](), list[str]()
    for label in label_sets.all_of(kind):
        values = np.full(len(step), -1, dtype=np.int64)
        for column, piece in enumerate(pieces):
            here = groups == column
            values[here] = piece.labels[label.name][step[here]]
        counts = np.bincount(values[values >= 0], minlength=2)
        if np.sort(counts)[-2] < 20:
            notices.append(f"left out the label {label.name!r}: hardly a character of a second class")
            continue
        names.append(label.name)
        sizes.append(len(label.classes))
        rows.append(values)
    if not rows:
        raise TextError("no label says anything about this text.")
    return Labels(tuple(names), tuple(sizes), torch.from_numpy(np.stack(rows))), notices
