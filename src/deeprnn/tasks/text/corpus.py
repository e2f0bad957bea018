"""Documents, and which of them are held out."""

import hashlib
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from deeprnn.tasks.text.files import Found, TextError, read_files, read_python_sources

HELD_OUT_OF_PYTHON = 0.05
"""The share of Python's source files that is held out."""
HELD_OUT_OF_FILES = 0.1
"""The share of a user's files, or the last part of a single one, that is held out."""


@dataclass(frozen=True)
class Document:
    """One text that stands on its own: a network reads it from its initial state.

    Attributes:
        name: a short name; a file's path relative to where its collection begins, with "/".
        content: its bytes, UTF-8 unless bytes are what is modelled.
        origin: how an error names it: the file's full path, or the name.
    """

    name: str
    content: bytes = field(repr=False)
    origin: str = ""

    @cached_property
    def sha256(self) -> str:
        """The hash of the content, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Corpus:
    """Documents to train on, and documents held out to measure by.

    Attributes:
        training, held_out: the two parts; no document is in both.
        source: how `Corpus.again` reads the same documents once more; None where they were given as texts.
        notices: what a reader should know, such as files that were left out.

    >>> corpus = Corpus.from_texts(["to be or not to be"], held_out=["that is the question"])
    >>> corpus.held_out[0].content
    b'that is the question'
    """

    training: tuple[Document, ...]
    held_out: tuple[Document, ...] = ()
    source: Mapping[str, Any] | None = None
    notices: tuple[str, ...] = ()

    @staticmethod
    def from_texts(training: Sequence[str], held_out: Sequence[str] = ()) -> "Corpus":
        """A corpus of texts that the program holds already, each its own document."""
        return Corpus(_named("training", training), _named("held_out", held_out))

    @staticmethod
    def from_files(paths: Sequence[str | Path]) -> "Corpus":
        """A corpus of files, and of the files below directories.

        With several files, about one in ten is held out, chosen by a hash of its relative path, so that the choice
        does not change when files are added. Of a single file the last tenth is held out.

        Args:
            paths: files and directories. A file that is reached in several ways is read once. Of a directory,
                hidden files, binary ones and what deeprnn has saved there are left out.

        Raises:
            TextError: a path does not exist, can't be read, or there is no text in any.
        """
        documents, notices = read_documents(paths)
        if len(documents) == 1:
            training, held_out = _split_single(documents[0])
            notices.append(f"one file: its last {HELD_OUT_OF_FILES:.0%} is held out")
        else:
            training, held_out = split(documents, HELD_OUT_OF_FILES)
        source = {"kind": "files", "paths": [str(Path(path).resolve()) for path in paths]}
        return Corpus(training, held_out, source, tuple(notices))

    @staticmethod
    def of_python() -> "Corpus":
        """The source text of the running Python's standard library, one document a module.

        Left out are test, encodings, pydoc_data, idlelib and lib2to3 (tables, or text of other kinds), and whatever
        is installed beside the library. One file in twenty is held out, chosen by a hash of its path.

        Raises:
            TextError: this installation of Python comes without its sources.
        """
        found = read_python_sources()
        documents = _as_documents(found)
        training, held_out = split(documents, HELD_OUT_OF_PYTHON)
        return Corpus(training, held_out, {"kind": "python"}, tuple(found.notices))

    @staticmethod
    def again(source: Mapping[str, Any]) -> "Corpus":
        """The documents that a corpus's `source` names, read again."""
        readers: dict[str, Callable[[], Corpus]] = {
            "python": Corpus.of_python,
            "files": lambda: Corpus.from_files([str(path) for path in paths]),
        }
        kind, paths = source.get("kind"), source.get("paths", [])
        if kind not in readers or not isinstance(paths, list):
            raise TextError(f"a corpus of kind {kind!r} can't be read again; give its texts.")
        return readers[kind]()

    def manifest(self) -> dict[str, Any]:
        """What the corpus holds, as JSON: each document's name, part, length in bytes and SHA-256."""
        parts = (("training", self.training), ("held_out", self.held_out))
        return {
            "source": None if self.source is None else dict(self.source),
            "python": platform.python_version(),
            "documents": [
                {"name": d.name, "part": part, "bytes": len(d.content), "sha256": d.sha256}
                for part, documents in parts
                for d in documents
            ],
        }

    def check_against(self, documents: Sequence[Mapping[str, str]], path: Path) -> None:
        """Raises TextError where the documents are not those of a manifest that was read from `path`.

        They are compared in their order, which decides what a training reads next; several may share a name.
        """
        before = [(d["part"], d["name"], d["sha256"]) for d in documents]
        now = [(d["part"], d["name"], d["sha256"]) for d in self.manifest()["documents"]]
        if before == now:
            return
        changed = sorted(
            {(part, name) for part, name, _ in (Counter(before) - Counter(now)) | (Counter(now) - Counter(before))}
        )
        differ = f"{len(changed)} differ, such as {changed[0][1]!r}" if changed else "they come in another order"
        raise TextError(
            f"the texts are no longer those that {path} lists: {differ}.\n"
            f"  Bring them back as they were, or train again into another directory."
        )


def read_documents(paths: Sequence[str | Path]) -> tuple[list[Document], list[str]]:
    """The files, and those below the directories, as documents, empty ones left out; and what to know about them.

    Raises:
        TextError: as `Corpus.from_files`.
    """
    found = read_files([Path(path) for path in paths])
    documents = _as_documents(found)
    if not documents:
        raise TextError(
            f"{', '.join(map(str, paths))}: no text was found; give a file that is not empty.{_noted(found)}"
        )
    return documents, list(found.notices)


def _noted(found: Found) -> str:
    return "".join(f"\n  ({notice})" for notice in found.notices)


def _as_documents(found: Found) -> list[Document]:
    return [Document(file.name, file.content, str(file.path)) for file in found.files if file.content]


def split(documents: Sequence[Document], share: float) -> tuple[tuple[Document, ...], tuple[Document, ...]]:
    """Training and held-out documents, chosen by a hash of each name; at least one document in each part.

    Args:
        documents: two or more.
        share: about which part of them is held out, 0 to 1.
    """
    ranked = sorted(documents, key=lambda document: _place(document.name))
    count = sum(_place(document.name) < share for document in ranked)
    count = min(max(count, 1), len(ranked) - 1)
    chosen = {id(document) for document in ranked[:count]}
    training = tuple(document for document in documents if id(document) not in chosen)
    return training, tuple(document for document in documents if id(document) in chosen)


def _named(part: str, texts: Sequence[str]) -> tuple[Document, ...]:
    return tuple(Document(f"{part}[{index}]", text.encode()) for index, text in enumerate(texts))


def _place(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    encoded = name.encode(errors="surrogatepass")  # a file's name need not be UTF-8
    return int.from_bytes(hashlib.sha256(encoded).digest()[:8], "big") / 2**64


def _split_single(document: Document) -> tuple[tuple[Document, ...], tuple[Document, ...]]:
    content = document.content
    cut = len(content) - max(1, round(len(content) * HELD_OUT_OF_FILES))
    while cut > 0 and content[cut] & 0xC0 == 0x80:  # not within a UTF-8 character
        cut -= 1
    first, last = content[:cut], content[cut:]
    if not first:
        raise TextError(f"{document.origin} holds a single character, too little to train on; give more text.")
    return (Document(document.name, first, document.origin),), (Document(document.name, last, document.origin),)
