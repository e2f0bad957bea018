"""How a file of this project is told from anybody else's of the same name.

Only a file that carries its mark is ever replaced or removed. The marks are looked for, not parsed: a file that was
truncated or damaged elsewhere is still known to be ours.
"""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

_HEAD, _TAIL = 1 << 20, 1 << 16
"""Bytes at the beginning and at the end of a file in which its mark stands."""


@dataclass(frozen=True)
class Mark:
    """One kind of file.

    Attributes:
        what: what such a file holds, in words.
        pattern: found in the first or the last bytes of every such file, and in no other.
    """

    what: str
    pattern: re.Pattern[bytes]


class ForeignFileError(FileExistsError):
    """A file that this project did not write stands where one of its own would go; it is left as it is."""

    def __str__(self) -> str:
        return str(self.args[0])


def _json(name: str) -> "re.Pattern[bytes]":
    return re.compile(rb'"format"\s*:\s*"deeprnn %s\d' % name.encode())


ANY = Mark("a file of deeprnn", re.compile(rb'"format"\s*:\s*"deeprnn '))
PLAN = Mark("the settings of a run", _json("run "))
CONFIG = Mark("the configuration of a network", _json(""))
# Weights that were saved before they had a mark are known by a name that every DeepRNN has.
WEIGHTS = Mark("the weights of a network", re.compile(rb'deeprnn weights \d|"layers\.0\.weight_hh"'))
VOCABULARY = Mark("a vocabulary", _json("vocabulary "))
MANIFEST = Mark(
    "the list of a run's texts",
    re.compile(
        _json("manifest ").pattern + rb'|\A\{\s*"source"\s*:[^\0]{0,9999}?"python"\s*:\s*"3[^\0]*"documents"\s*:'
    ),
)
METRICS = Mark("the metrics of a training", re.compile(rb"\Astep,\w+,seconds,[\w,]*learning_rate,gradient_norm"))
CHECKPOINT = Mark("a checkpoint", re.compile(rb"deeprnn checkpoint \d"))
EVALUATION = Mark(
    "a run's held-out figures", re.compile(_json("evaluation ").pattern + rb'|\A\{\s*"bits_per_character"\s*:')
)
DRAWING = Mark("a drawn network", re.compile(rb"<svg [^>]*>\s*<title>Deep RNN of "))
ANALYSIS = Mark("the results of an analysis", _json("analysis "))
TABLE = Mark(
    "the figures of an analysis",
    re.compile(rb"layer.*label.*metric.*value.*low.*high.*seed.*control.*PAR1\Z", re.DOTALL),
)
RECORDING = Mark("the index of a recording", _json("recording "))
PAGE = Mark("a page of deeprnn explore", _json("page "))
LOCK = Mark("the lock of a directory", _json("lock "))


def is_ours(path: Path, mark: Mark) -> bool:
    """Whether a file was written by this project as such a file; an empty one counts, since nothing is lost with it.

    A link is not ours, whatever it leads to. False where there is nothing.

    Raises:
        OSError: the file can't be read.
    """
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(found.st_mode) and (found.st_size == 0 or carries(path, mark))


def carries(path: Path, mark: Mark) -> bool:
    """Whether a mark stands in a file; False where there is no regular file, or it is a link.

    Raises:
        OSError: the file can't be read.
    """
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        if mark.pattern.search(file.read(_HEAD)):
            return True
        file.seek(max(0, path.stat().st_size - _TAIL))
        return mark.pattern.search(file.read(_TAIL)) is not None


def check_replaceable(path: Path, mark: Mark) -> None:
    """Raises ForeignFileError where something stands at `path` that is not such a file of ours."""
    # In this order: a file that is gone meanwhile is no hindrance.
    if not is_ours(path, mark) and os.path.lexists(path):
        kind = "is a symbolic link" if path.is_symlink() else "exists, and was not written by deeprnn"
        raise ForeignFileError(
            f"{path} {kind}, so it is not replaced by {mark.what}.\n"
            f"  Move or delete it if it is not needed, or choose another place."
        )
