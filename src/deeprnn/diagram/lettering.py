"""How wide a text will be, before any font is known, and where to break it."""

import re
from collections.abc import Sequence
from unicodedata import east_asian_width

_NARROW = frozenset("ijltfrI.,:;'|! ()[]{}-/")
_WIDE = frozenset("mwMWOQ@%&=+<>~#^")

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def printable(text: str) -> str:
    """The text on one line, with a replacement for each character that XML cannot hold."""
    return " ".join(_NOT_XML.sub("\ufffd", text).split())


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """An upper bound, in pixels, of a text's width in common sans-serif fonts (DejaVu Sans is the widest of them).

    >>> text_width("layer", 10) < text_width("LAYER", 10)
    True
    """
    return sum(map(_em, text)) * size * (1.14 if bold else 1.0)


def wrap(text: str, size: float, limit: float) -> list[str]:
    """The text in lines no wider than `limit`: broken at spaces; a wider word at underscores, or anywhere.

    >>> wrap("one two", 10, 30)
    ['one', 'two']
    """
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if text_width(joined, size) <= limit:
            lines[-1:] = [joined]
        else:
            lines += _break_word(word, size, limit)
    return lines


def fill(items: Sequence[str], size: float, limit: float) -> list[str]:
    """The items with commas between them in lines no wider than `limit`, broken between items where that is enough.

    >>> fill(["no bias", "layer norm"], 10, 80)
    ['no bias,', 'layer norm']
    """
    lines: list[str] = []
    for item in [item + "," for item in items[:-1]] + list(items[-1:]):
        joined = f"{lines[-1]} {item}" if lines else item
        if text_width(joined, size) <= limit:
            lines[-1:] = [joined]
        else:
            lines += wrap(item, size, limit)
    return lines


def _break_word(word: str, size: float, limit: float) -> list[str]:
    lines = [""]
    for piece in re.findall("[^_]*_|[^_]+", word):
        if lines[-1] and text_width(lines[-1] + piece, size) > limit:
            lines.append("")
        for character in piece:
            if lines[-1] and text_width(lines[-1] + character, size) > limit:
                lines.append("")
            lines[-1] += character
    return lines


def widest(lines: Sequence[str], size: float) -> float:
    """The width of the widest line."""
    return max((text_width(line, size) for line in lines), default=0.0)


def _em(character: str) -> float:
    if character in _NARROW:
        return 0.42
    if character in _WIDE:
        return 1.0
    if ord(character) > 0x24F:
        return 1.25 if east_asian_width(character) in "WF" else 1.0
    return 0.8 if character.isupper() else 0.66
