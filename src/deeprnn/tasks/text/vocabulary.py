"""The symbols that a network reads and predicts: characters or bytes, and a mark between documents."""

import codecs
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeprnn.disk import json_file, marks
from deeprnn.tasks.text.corpus import Document
from deeprnn.tasks.text.files import TextError

Symbols: TypeAlias = NDArray[np.unsignedinteger[Any]]
"""Symbols as numbers below `len(vocabulary)`, in the smallest unsigned type that holds these: text is large."""

BOUNDARY = 0
"""The symbol that stands before each document's first character: what a network reads first, and, in training, what
it predicts after the last."""

FORMAT = "deeprnn vocabulary 1"
RARE = 1_000_000
"""A character enters a vocabulary if it makes up at least one in so many of the training text."""


class Vocabulary(ABC):
    """Text as numbers and back. Symbol 0 is the boundary before a document; what else there is, subclasses say."""

    kind: ClassVar[str]
    FIELDS: ClassVar[tuple[str, ...]]
    """What `to_json` gives."""

    @abstractmethod
    def __len__(self) -> int:
        """How many symbols there are, boundary included: I and Q of a network that models the text."""

    @property
    @abstractmethod
    def unknown(self) -> int | None:
        """The symbol that stands for whatever the vocabulary lacks; None where it lacks nothing."""

    @abstractmethod
    def encode(self, text: str) -> Symbols:
        """A text's symbols, without a boundary."""

    @abstractmethod
    def read(self, document: Document) -> Symbols:
        """A document's symbols, without a boundary.

        Raises:
            TextError: the document is not UTF-8, and the vocabulary is one of characters.
        """

    @abstractmethod
    def decode(self, symbols: Sequence[int] | Symbols) -> str:
        """The text; U+FFFD for what is none."""

    def decoder(self) -> Callable[[Sequence[int], bool], str]:
        """`decode` for symbols that come bit by bit: a function of the next ones, and whether they are the last.

        The beginning of a character is kept for the next call.
        """
        return lambda symbols, _: self.decode(symbols)

    @abstractmethod
    def count_characters(self, symbols: Symbols) -> int:
        """How many characters of text the symbols are; a byte that continues a UTF-8 character is none."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """What `save` writes, beside format and kind."""

    def save(self, path: Path) -> None:
        """Writes the vocabulary as JSON with a digest, whole or not at all.

        Raises:
            FileExistsError: a file that is not a vocabulary stands there. OSError: it can't be written.
        """
        json_file.write(path, {"format": FORMAT, "kind": self.kind, **self.to_json()}, marks.VOCABULARY)


class Characters(Vocabulary):
    """Unicode characters that were seen in training, and one symbol for all others.

    Args:
        characters: the known ones, each once.

    >>> vocabulary = Characters("abc")
    >>> vocabulary.decode(vocabulary.encode("cab!"))
    'cab\N{REPLACEMENT CHARACTER}'
    """

    kind = "characters"
    FIELDS = ("characters",)

    def __init__(self, characters: Iterable[str]) -> None:
        self.characters = "".join(characters)
        codes = _codes(self.characters)
        if len(set(self.characters)) != len(codes):
            raise ValueError("a vocabulary names each character once.")
        self._symbols = np.full(_CODES, 1, dtype=np.min_scalar_type(1 + len(codes)))
        self._symbols[codes] = np.arange(2, 2 + len(codes))

    @classmethod
    def of(cls, documents: Iterable[Document]) -> "Characters":
        """The characters of the documents, without those rarer than one in a million."""
        counts = np.zeros(_CODES, dtype=np.int64)
        for codes in (codes for document in documents for codes in _pieces(document)):
            found = np.bincount(codes)
            counts[: len(found)] += found
        return cls(map(chr, np.flatnonzero((counts > 0) & (counts >= counts.sum() / RARE))))

    def __len__(self) -> int:
        return 2 + len(self.characters)

    @property
    def unknown(self) -> int | None:
        return 1

    def encode(self, text: str) -> Symbols:
        return self._symbols[_codes(text)]

    def read(self, document: Document) -> Symbols:
        return np.concatenate([self._symbols[:0], *(self._symbols[codes] for codes in _pieces(document))])

    def decode(self, symbols: Sequence[int] | Symbols) -> str:
        return "".join(self.characters[int(s) - 2] if s >= 2 else "\N{REPLACEMENT CHARACTER}" for s in symbols)

    def count_characters(self, symbols: Symbols) -> int:
        return len(symbols)

    def to_json(self) -> dict[str, Any]:
        return {"characters": self.characters}


class Bytes(Vocabulary):
    """The 256 bytes: every file can be read, and nothing is unknown.

    >>> Bytes().decode(Bytes().encode("é"))
    'é'
    """

    kind = "bytes"
    FIELDS = ()

    @classmethod
    def of(cls, documents: Iterable[Document]) -> "Bytes":  # noqa: ARG003  # as Characters.of
        """The same for all documents."""
        return cls()

    def __len__(self) -> int:
        return 257

    @property
    def unknown(self) -> int | None:
        return None

    def encode(self, text: str) -> Symbols:
        return _bytes(text.encode(errors="surrogatepass"))

    def read(self, document: Document) -> Symbols:
        return _bytes(document.content)

    def decode(self, symbols: Sequence[int] | Symbols) -> str:
        return self.decoder()(symbols, True)

    def decoder(self) -> Callable[[Sequence[int] | Symbols, bool], str]:
        decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        return lambda symbols, last: decode(bytes(int(s) - 1 for s in symbols if s > 0), last)

    def count_characters(self, symbols: Symbols) -> int:
        continues = (symbols > 0x80) & (symbols <= 0xC0)  # one more than the bytes 0x80 to 0xbf
        return len(symbols) - int(np.count_nonzero(continues))

    def to_json(self) -> dict[str, Any]:
        return {}


VOCABULARIES: dict[str, type[Characters] | type[Bytes]] = {cls.kind: cls for cls in (Characters, Bytes)}
"""The vocabularies by their kind."""


def load_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary that `Vocabulary.save` wrote.

    Raises:
        FileNotFoundError, ValueError: the file is missing or damaged; the message names it.

    Warns:
        UserWarning: it carries no digest, since an older version or another program wrote it.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; without it a network's symbols have no meaning.")
    content = json_file.read(path, FORMAT)
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in VOCABULARIES:
        raise ValueError(f"{path} is of kind {kind!r:.80}, expected {' or '.join(VOCABULARIES)}; it is damaged.")
    expected = {"format", "kind", *VOCABULARIES[kind].FIELDS}
    if set(content) != expected:
        raise ValueError(f"{path} has the entries {sorted(content)}, expected {sorted(expected)}; it is damaged.")
    if kind == Bytes.kind:
        return Bytes()
    characters = content["characters"]
    if not isinstance(characters, str) or len(set(characters)) != len(characters):
        raise ValueError(f"{path}: 'characters' is not a text that names each character once; the file is damaged.")
    return Characters(characters)


_CODES = 0x110000
"""Unicode's code points."""
_PIECE = 1 << 18
"""Bytes that are decoded at once: text is large, and its code points are four times as large."""


def _pieces(document: Document) -> Iterator[NDArray[np.uint32] | NDArray[np.uint8]]:
    """A document's code points, piece by piece.

    Raises:
        TextError: it is not UTF-8.
    """
    content = memoryview(document.content)
    if document.content.isascii():
        for start in range(0, len(content), _PIECE):
            yield np.frombuffer(content[start : start + _PIECE], dtype=np.uint8)
        return
    start = 0
    while start < len(content):
        end = _character_end(content, start + _PIECE)
        try:
            text = str(content[start:end], "utf-8")
        except UnicodeDecodeError as error:
            raise _not_utf8(document, start + error.start) from None
        yield _codes(text)
        start = end


def _character_end(content: memoryview, end: int) -> int:
    """`end`, or up to three bytes less, so that no UTF-8 character is cut in two."""
    if end >= len(content):
        return len(content)
    return next((place for place in range(end, end - 4, -1) if content[place] & 0xC0 != 0x80), end)


_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""How a text in another encoding begins."""


def _not_utf8(document: Document, place: int) -> TextError:
    name, encoding = document.origin or document.name, _MARKS.get(document.content[:2], "latin1")
    return TextError(
        f"{name} is not UTF-8 text: byte {place} is {document.content[place]:#04x}.\n"
        f"  Convert it (iconv -f {encoding} -t utf-8), leave it out, or model bytes: `Bytes()`"
    )


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), dtype="<u4")


def _bytes(content: bytes) -> Symbols:
    symbols = np.frombuffer(content, dtype=np.uint8).astype(np.uint16)
    symbols += 1
    return symbols
