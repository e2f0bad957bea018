"""The drawing's colours, on its own white ground.

Strokes are from the palette of Okabe & Ito (2008, "Color Universal Design"), which readers with a colour vision
deficiency tell apart, darkened where a thin line needs it; no colour is the only bearer of a meaning.
"""

import zlib
from typing import NamedTuple


class Paint(NamedTuple):
    """A box's outline and its filling."""

    stroke: str
    fill: str


GROUND = "#ffffff"
BAND = "#f3f4f6"
LINE = "#333333"
INK = "#111111"
MUTED = "#555555"

INPUT = Paint("#8a6d00", "#fbf3cf")
OUTPUT = Paint("#b0417c", "#f7e4ee")
START = Paint("#777777", "#ffffff")

_PAINTS = (
    Paint("#3d5a80", "#e0e7f0"),
    Paint("#0072b2", "#d9eaf4"),
    Paint("#00795a", "#d9f1ea"),
    Paint("#7a4e9e", "#ebe3f1"),
    Paint("#8c3b3b", "#f3dede"),
    Paint("#c45500", "#fae6d9"),
)


def of_kind(kind: str) -> Paint:
    """A kind of cell's colours, the same in every drawing; two kinds may share theirs.

    >>> of_kind("GRU") == of_kind("GRU") != of_kind("LSTM")
    True
    """
    return _PAINTS[zlib.crc32(kind.encode()) % len(_PAINTS)]
