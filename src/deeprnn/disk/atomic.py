"""Files written whole or not at all."""

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from deeprnn.disk import flock
from deeprnn.disk.marks import Mark, check_replaceable


def write(path: Path, fill: Callable[[Path], None], mark: Mark) -> None:
    """Lets `fill` write a file beside `path`, then puts it in place in one step, after it has reached the disk.

    A crash, a full disk or an interrupt leaves the file that stood there before. What a process that was killed left
    half-written for the same `path` is removed.

    Args:
        path: the file to write; its directory exists.
        fill: writes its contents to the path that it is given.
        mark: what a file that is replaced must be.

    Raises:
        ForeignFileError: something else stands there.
        OSError: the directory is not writable or the disk is full; the message names `path`.
    """
    check_replaceable(path, mark)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    part = Path(name)
    try:
        flock.try_lock(descriptor)  # for as long as it is written: see `sweep`
        fill(part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
        os.close(descriptor)
    sweep(path.parent, re.escape(path.name))
    _sync_directory(path.parent)


def write_text(path: Path, text: str, mark: Mark) -> None:
    """`write` for a text, in UTF-8."""
    write(path, lambda part: _write_text(part, text), mark)


def sweep(directory: Path, names: str) -> None:
    """Removes the half-written files that killed processes left; those that a living one is writing stay.

    Args:
        names: a regular expression of the names of the files that were to be written.
    """
    for entry in os.scandir(directory):
        if is_part(entry.name, names) and entry.is_file(follow_symlinks=False):
            flock.run_if_free(Path(entry.path), lambda part: part.unlink(missing_ok=True))


def is_part(name: str, names: str) -> bool:
    """Whether a file's name is that of a half-written one; `names` as for `sweep`."""
    return re.fullmatch(rf"\.(?:{names})\.[a-z0-9_]+\.part", name) is not None


def _write_text(part: Path, text: str) -> None:
    part.write_text(text, encoding="utf-8", newline="")


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
