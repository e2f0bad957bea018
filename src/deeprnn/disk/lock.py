"""A directory held by one process at a time, by a lock that ends with the process: no stale file, no pid to trust."""

import json
import os
import socket
import stat
import time
import warnings
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from deeprnn.disk import flock
from deeprnn.disk.file_warning import FileWarning
from deeprnn.disk.marks import LOCK, ForeignFileError, is_ours

NAME = ".deeprnn.lock"
FORMAT = "deeprnn lock 1"


class HeldError(OSError):
    """Another process holds the directory; the message says which, where, and since when."""

    def __str__(self) -> str:
        return str(self.args[0])


class Lock:
    """The lock of a directory, held from the beginning of a `with` block to its end.

    The directory is made, and if nothing was put into it, removed again. While the lock is held its file says who
    holds it; a process that is killed leaves that file behind, and it hinders nobody.

    Args:
        directory: what is held.

    Raises (on entering):
        HeldError: another process holds it. OSError: it can't be made or written.

    Warns:
        FileWarning: its file system has no locks, so that nothing keeps a second process out.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / NAME
        self.found_abandoned = False
        self._made: list[Path] = []
        self._descriptor: int | None = None

    def __enter__(self) -> "Lock":
        self._made = [path for path in (self.directory, *self.directory.parents) if not path.exists()]
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            self._descriptor = self._open()
        except BaseException:
            self._remove_made()
            raise
        holder = {"format": FORMAT, "pid": os.getpid(), "host": socket.gethostname(), "since": int(time.time())}
        with suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(holder).encode(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._descriptor is not None
        if self.is_in_place:
            with suppress(OSError):  # a directory that has become read-only: the file that stays hinders nobody
                self.path.unlink(missing_ok=True)  # before it is let go: see `_open`
        os.close(self._descriptor)
        self._remove_made()

    @property
    def is_in_place(self) -> bool:
        """Whether the directory is still the one that was locked: not moved, removed, or made anew by another."""
        assert self._descriptor is not None
        try:
            found = self.path.lstat()
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(self._descriptor))

    def _open(self) -> int:
        while True:
            self.found_abandoned = os.path.lexists(self.path)
            # Looked for twice: its holder may remove it meanwhile.
            if self.found_abandoned and not is_ours(self.path, LOCK) and os.path.lexists(self.path):
                raise ForeignFileError(f"{self.path} was not written by deeprnn; move it, or choose another directory.")
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
            try:
                taken = flock.try_lock(descriptor)
                if taken is False:
                    raise HeldError(_who_holds(self.directory, os.pread(descriptor, 4096, 0)))
                # Between opening it and locking it, its holder may have removed it: then it locks nothing.
                current = self.path.lstat() if os.path.lexists(self.path) else None
                if current is None or not os.path.samestat(current, os.fstat(descriptor)):
                    os.close(descriptor)
                    continue
            except BaseException:
                with suppress(OSError):
                    os.close(descriptor)
                raise
            if taken is None:
                warnings.warn(
                    f"the file system of {self.directory} has no locks: nothing keeps a second training out of it.",
                    FileWarning,
                    stacklevel=3,
                )
            return descriptor

    def _remove_made(self) -> None:
        for path in self._made:
            with suppress(OSError):  # it holds something, or is gone
                path.rmdir()


def check_free(directory: Path) -> None:
    """Raises HeldError where another process holds the directory at this moment; takes nothing."""
    path = directory / NAME
    with suppress(OSError):
        if not stat.S_ISREG(path.lstat().st_mode):
            return
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        if flock.try_lock(descriptor) is False:
            raise HeldError(_who_holds(directory, os.pread(descriptor, 4096, 0)))
    finally:
        os.close(descriptor)


def claim_free_name(parent: Path, name: str) -> Path:
    """Makes parent/name, or parent/name-2 and so on where that exists: of several processes each gets its own."""
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = parent / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path


def _who_holds(directory: Path, content: bytes) -> str:
    try:
        holder = json.loads(content)
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(int(holder["since"])))
        who = f"process {int(holder['pid'])} on {str(holder['host'])[:80]!r} since {since}"
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        who = "another process"
    return (
        f"{directory} is being written by {who}.\n"
        f"  Wait until it ends, or stop it, or choose another directory: `out=runs/NAME`"
    )
