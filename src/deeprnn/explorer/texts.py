"""The held-out texts that the page shows, and those, apart from them, that its probes are fitted on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deeprnn.analysis import labels as label_sets
from deeprnn.analysis.labels import Codes, Kind, Label
from deeprnn.analysis.report.text_sample import kind_of
from deeprnn.tasks.text import Bytes, Characters, Document, TextError, Vocabulary

LENGTH = 1_200
"""Symbols of each text that the page shows, from the text's beginning."""
_SHOWN = 8
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""A class of a label as one character; "." where the label says nothing."""


@dataclass(frozen=True)
class Excerpt:
    """The beginning of a held-out text.

    Attributes:
        name: the document's.
        symbols: at most `LENGTH`.
        codes: by label, one of `_DIGITS` or "." for each symbol.
    """

    name: str
    symbols: tuple[int, ...]
    codes: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "symbols": list(self.symbols), "codes": dict(self.codes)}


@dataclass(frozen=True)
class Texts:
    """What is shown, and what is fitted on.

    Attributes:
        kind: which labels suit them.
        shown: excerpts. fitted: documents, or parts of them, that are not shown. every: all documents.
        notices: what a reader should know.
    """

    kind: Kind
    shown: tuple[Excerpt, ...]
    fitted: tuple[Document, ...]
    every: tuple[Document, ...]
    notices: tuple[str, ...]


def choose(documents: Sequence[Document], vocabulary: Vocabulary, *, seed: int = 0) -> Texts:
    """Takes a quarter of the held-out documents, eight at most, to be shown; the rest is fitted on.

    Of one or two documents of plain text the last fifth is shown. One or two files of Python can't be cut, since a
    part of a program does not parse: nothing is left to fit on apart from them.

    Raises:
        TextError: no document can be shown.
    """
    kind = kind_of(documents)
    order: list[int] = np.random.default_rng(seed).permutation(len(documents)).tolist()
    notices: list[str] = []
    if len(documents) >= 3:
        count = min(_SHOWN, len(documents) // 4) or 1
        # Long ones first: a text of a few lines shows nothing. Which of the long ones is left to chance.
        order.sort(key=lambda index: len(documents[index].content) < LENGTH)
        shown = [documents[index] for index in order[:count]]
        fitted = [documents[index] for index in sorted(order[count:])]
    elif kind == "text":
        parts = [_cut(document) for document in documents]
        shown, fitted = [last for _, last in parts], [first for first, _ in parts]
    else:
        shown, fitted = list(documents), []
    excerpts: list[Excerpt] = []
    for document in shown:
        try:
            excerpts.append(_excerpt(document, vocabulary, kind))
        except (TextError, label_sets.UnreadableSource) as error:
            notices.append(f"{document.name} is not shown: {error}")
    if not excerpts:
        raise TextError("no held-out text can be shown: " + "; ".join(notices or ["there is none"]))
    return Texts(kind, tuple(excerpts), tuple(fitted), tuple(documents), tuple(notices))


def describe_labels(kind: Kind) -> list[dict[str, Any]]:
    """The labels of a kind of text as JSON: name, classes, whether causal, meaning."""
    return [
        {"name": one.name, "classes": list(one.classes), "causal": one.causal, "meaning": one.meaning}
        for one in label_sets.all_of(kind)
    ]


def describe_vocabulary(vocabulary: Vocabulary) -> dict[str, Any]:
    """How the page turns typed text into symbols, and symbols into what is shown.

    >>> describe_vocabulary(Characters("ab"))
    {'kind': 'characters', 'characters': 'ab', 'size': 4}
    """
    if not isinstance(vocabulary, Characters | Bytes):
        raise ValueError(f"the page knows vocabularies of characters and of bytes, not {type(vocabulary).__name__}.")
    known = vocabulary.characters if isinstance(vocabulary, Characters) else ""
    return {"kind": vocabulary.kind, "characters": known, "size": len(vocabulary)}


def _excerpt(document: Document, vocabulary: Vocabulary, kind: Kind) -> Excerpt:
    symbols = vocabulary.read(document)
    text = document.content.decode(errors="replace")
    sizes = None
    if len(symbols) != len(text):
        sizes = np.array([len(c.encode(errors="surrogatepass")) for c in text])
        if sizes.sum() != len(symbols):
            raise TextError("its characters and its symbols can't be matched")
    codes = {label.name: _digits(label, label(text), sizes) for label in label_sets.all_of(kind)}
    return Excerpt(document.name, tuple(symbols[:LENGTH].tolist()), codes)


def _digits(label: Label, codes: Codes, sizes: np.ndarray[Any, np.dtype[np.int64]] | None) -> str:
    if len(label.classes) > len(_DIGITS):
        raise ValueError(f"the label {label.name!r} has {len(label.classes)} classes; the page shows {len(_DIGITS)}.")
    per_symbol = codes if sizes is None else np.repeat(codes, sizes)
    return "".join("." if code < 0 else _DIGITS[code] for code in per_symbol[:LENGTH].tolist())


def _cut(document: Document) -> tuple[Document, Document]:
    """The first four fifths of a text, and the rest, cut at a line's end where there is one."""
    content = document.content
    at = content.rfind(b"\n", 0, len(content) * 4 // 5) + 1 or len(content) * 4 // 5
    return Document(document.name, content[:at]), Document(f"{document.name}, its end", content[at:])
