"""The system's lock on an open file: it ends with the process that holds it, however that ends."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


def try_lock(descriptor: int) -> bool | None:
    """Takes the lock of an open file.

    Returns:
        True: it is taken. False: another process holds it. None: this file system has no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _HELD else None
    return True


def run_if_free(path: Path, action: Callable[[Path], None]) -> None:
    """Calls `action(path)` with the file's lock held; does nothing where it is held by another, or can't be known."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        try:
            if try_lock(descriptor):
                action(path)
        finally:
            os.close(descriptor)
