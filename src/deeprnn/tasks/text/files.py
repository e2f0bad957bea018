"""Files found and read: what a user names, and the sources of Python itself."""

import os
import stat
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from deeprnn.disk import marks


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
    """The files named, and those below the directories named; each file once, by whatever names it is reached.

    Below a directory are left out: hidden files (and `__pycache__`), binary ones (a zero byte near the start),
    directories in which deeprnn has saved something, links to directories, and what is neither file nor directory.

    Raises:
        TextError: a path does not exist, is no regular file or directory, holds a run, or can't be read.
    """
    search = _Search()
    for given in paths:
        search.add(given)
    return Found(search.files, search.notices())


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
            f"  Pass text of your own instead, as `corpus`."
        )
    return Found(files, [f"left out {other} files that are not UTF-8"] if other else [])


class _Search:
    """Gathers files, and what it leaves out."""

    def __init__(self) -> None:
        self.files: list[TextFile] = []
        self._left_out: dict[tuple[str, str], list[Path]] = {}
        self._remarks: list[str] = []
        self._seen: set[tuple[int, int]] = set()

    def add(self, given: Path) -> None:
        """Reads a file, or all below a directory."""
        status = _status(given)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise TextError(
                f"{given} is {_kind(status.st_mode)}, which can be read only once, while a resumed training "
                f"and an evaluation read the text again.\n  Write it to a file first, and give that."
            )
        top = given.resolve()
        if not top.exists():  # a here-document, a file deleted while it is open
            raise TextError(f"{given} is a file that no longer has a name.\n  Write it to a file first, and give that.")
        if stat.S_ISREG(status.st_mode):
            self._read(top, top, named=True)
            return
        if _holds_saved(top):
            raise TextError(
                f"{given} holds a run or a network saved by deeprnn, not text; give the path of the text itself."
            )
        for path in sorted(self._below(top)):
            self._read(path, top, named=False)

    def notices(self) -> list[str]:
        """What a reader should know, a line each: remarks, and what was left out for which reason."""
        return self._remarks + [
            f"left out {len(paths)} {one if len(paths) == 1 else several}, such as {paths[0]}"
            for (one, several), paths in self._left_out.items()
        ]

    def _below(self, top: Path) -> Iterator[Path]:
        """The regular files below a directory."""
        for parent, directories, names in os.walk(top, onerror=_refuse):
            kept: list[str] = []
            for name in _visible(directories):
                path = Path(parent, name)
                if path.is_symlink():
                    self._leave_out(path, ("link to a directory", "links to directories"))
                elif _holds_saved(path):
                    self._leave_out(path, ("run or saved network", "runs or saved networks"))
                else:
                    kept.append(name)
            directories[:] = kept
            for name in _visible(names):
                path = Path(parent, name)
                if path.is_file():
                    yield path
                elif path.is_symlink() and not path.exists():
                    self._leave_out(path, ("link that leads nowhere", "links that lead nowhere"))
                else:
                    self._leave_out(path, ("pipe, socket or device", "pipes, sockets or devices"))

    def _read(self, path: Path, top: Path, *, named: bool) -> None:
        try:
            with _opened(path) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):  # another thing by now than when it was found
                    raise TextError(f"{path} has become {_kind(status.st_mode)} while the texts were read; try again.")
                if (status.st_dev, status.st_ino) in self._seen:
                    return
                self._seen.add((status.st_dev, status.st_ino))
                if b"\0" in file.read(_BEGINNING):
                    if not named:
                        self._leave_out(path, ("binary file", "binary files"))
                        return
                    self._remarks.append(f"{path} holds zero bytes: is it text, and UTF-8?")
                file.seek(0)
                content = file.read()
        except FileNotFoundError:
            if named:
                raise TextError(f"{path} has been deleted while the texts were read.") from None
            self._leave_out(path, ("file deleted while the texts were read", "files deleted while the texts were read"))
            return
        except OSError as error:
            raise _unreadable(path, error) from error
        self.files.append(TextFile(path.relative_to(top.parent).as_posix(), path, content))

    def _leave_out(self, path: Path, reason: tuple[str, str]) -> None:
        self._left_out.setdefault(reason, []).append(path)


_BEGINNING = 8192
"""The bytes that tell a binary file."""
_MARKED = ("training.json", "config.json", "vocabulary.json")
"""Files by which a run or a saved network is known."""


def _holds_saved(directory: Path) -> bool:
    """Whether deeprnn has saved a run or a network in a directory; such files are the product of texts, not texts."""
    for name in _MARKED:
        with suppress(OSError):  # what can't be read is reported when it is read as a text
            if marks.carries(directory / name, marks.ANY):
                return True
    return False


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: a zero byte, which no path holds
        raise TextError(f"{path} does not exist; give a text file, or a directory of them.") from None
    except OSError as error:
        raise _unreadable(path, error) from error


def _refuse(error: OSError) -> None:
    raise _unreadable(error.filename, error) from error


def _unreadable(path: str | Path, error: OSError) -> TextError:
    return TextError(
        f"{path} can't be read: {error.strerror or error}.\n  Allow reading it, or leave it out of the texts."
    )


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISDIR, "a directory"))
    return next((kind for is_kind, kind in kinds if is_kind(mode)), "a device")


def _opened(path: Path) -> BinaryIO:
    """A file opened to be read, without waiting for the other end where it is a pipe."""
    return os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb")


def _visible(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith(".") and name != "__pycache__"]


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
