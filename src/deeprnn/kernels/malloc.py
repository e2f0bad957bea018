"""Memory that a call frees and the next one takes again."""

import ctypes
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST_KEPT = 32 << 20  # the largest that glibc takes
_MOST_KEPT = 1 << 30


def keep_memory() -> bool:
    """Lets this process keep freed memory for its next call, instead of giving it back to the system.

    A call's states are some megabytes. Given back after each call, they are pages that the system clears and maps
    anew in the next, which can take a fifth of a call's time. From here on blocks of up to 32 MiB, 1 GiB in all, stay
    with the process when they are freed. It changes the C library's malloc for everything in the process, so no layer
    does it by itself; `deeprnn train` does.

    Source: mallopt(3), M_TRIM_THRESHOLD and M_MMAP_THRESHOLD.

    Returns:
        Whether the C library took it: GNU's does; another, which has its own ways, is left alone.

    >>> kept = keep_memory()  # once, where a program begins
    """
    mallopt: Any = getattr(_c_library(), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, _MOST_KEPT)) and bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT))


def _c_library() -> ctypes.CDLL | None:
    """The C library of this process, where it is GNU's."""
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows has no handle of that kind
        return None
    return library if hasattr(library, "gnu_get_libc_version") else None
