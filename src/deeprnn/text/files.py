"""Files found and read: what a user names, and the sources of Python itself."""

import os
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


class TextError(ValueError):
    """A text can't be used; the message names it and says what to do."""


@dataclass(frozen=True)
class TextFile:
    """A file's content, under the name that it has within its collection."""

    name: str
    path: Path
    content: bytes


@dataclass(frozen=True)
class Found:
    """Files in a fixed order, and what a reader should know about the search."""

    files: list[TextFile]
    notices: list[str]


def read_files(paths: Sequence[Path]) -> Found:
    """The files named, and those below the directories named.

    Below a directory, hidden files (and `__pycache__`) and binary ones (a zero byte near the start) are left out.

    Raises:
        TextError: a path does not exist. OSError: it can't be read.
    """
    files: list[TextFile] = []
    binary: list[Path] = []
    seen: set[Path] = set()
    for given in paths:
        if not given.exists():
            raise TextError(f"{given} does not exist; give a text file, or a directory of them.")
        top = given.resolve()
        for path in sorted(_below(top)) if top.is_dir() else [top]:
            if path in seen:
                continue
            seen.add(path)
            content = path.read_bytes()
            if path != top and b"\0" in content[:8192]:
                binary.append(path)
            else:
                files.append(TextFile(path.relative_to(top.parent).as_posix(), path, content))
    notices = [f"left out {len(binary)} binary files, such as {binary[0]}"] if binary else []
    return Found(files, notices)


_NOT_MODULES = {"site-packages", "dist-packages", "__pycache__"}
_NOT_PROSE = {"test", "tests", "encodings", "pydoc_data", "idlelib", "lib2to3"}


def read_python_sources(library: Path | None = None) -> Found:
    """The running Python's standard library as files, without tests, tables and what is installed beside it.

    Args:
        library: its directory; None for where the running Python keeps it.

    Raises:
        TextError: there are no sources.
    """
    library = library or Path(sysconfig.get_path("stdlib"))
    skipped = _NOT_MODULES | _NOT_PROSE
    files: list[TextFile] = []
    other = 0
    for path in sorted(library.rglob("*.py")):
        relative = path.relative_to(library)
        if skipped.intersection(relative.parts):
            continue
        content = path.read_bytes()
        if _is_utf8(content):
            files.append(TextFile(relative.as_posix(), path, content))
        else:
            other += 1
    if len(files) < 20:
        raise TextError(
            f"this Python keeps no source text of its standard library in {library}.\n"
            f"  Pass text of your own instead: --text FILE_OR_DIRECTORY"
        )
    return Found(files, [f"left out {other} files that are not UTF-8"] if other else [])


def _below(directory: Path) -> Iterator[Path]:
    for parent, directories, names in os.walk(directory):
        directories[:] = _visible(directories)
        for name in _visible(names):
            path = Path(parent, name)
            if path.is_file():
                yield path


def _visible(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith(".") and name != "__pycache__"]


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
