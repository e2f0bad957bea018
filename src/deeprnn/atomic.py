"""Files written whole or not at all."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def write(path: Path, fill: Callable[[Path], None]) -> None:
    """Lets `fill` write a file beside `path`, then puts it in place in one step, after it has reached the disk.

    A crash, a full disk or an interrupt leaves the file that stood there before.

    Args:
        path: the file to write; its directory exists.
        fill: writes its contents to the path that it is given.

    Raises:
        OSError: the directory is not writable or the disk is full; the message names `path`.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(descriptor)
    part = Path(name)
    try:
        fill(part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    _sync_directory(path.parent)


def write_text(path: Path, text: str) -> None:
    """`write` for a text, in UTF-8."""
    write(path, lambda part: _write_text(part, text))


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
