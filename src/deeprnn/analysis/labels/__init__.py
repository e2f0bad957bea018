"""Labels: what may be known about each character of a text, as arrays of integers."""

from collections.abc import Mapping
from typing import NamedTuple

from deeprnn.analysis.labels import python, text
from deeprnn.analysis.labels.label import UNSCORED as UNSCORED
from deeprnn.analysis.labels.label import Codes as Codes
from deeprnn.analysis.labels.label import Kind as Kind
from deeprnn.analysis.labels.label import Label as Label
from deeprnn.analysis.labels.label import add as add
from deeprnn.analysis.labels.label import all_of as all_of
from deeprnn.analysis.labels.label import remove as remove
from deeprnn.analysis.labels.source import UnreadableSource as UnreadableSource
from deeprnn.analysis.labels.source import read

word_frequency = text.word_frequency
BUILTINS = python.BUILTINS


class Readable(NamedTuple):
    """Files that can be labelled, and why each other one can't, by name."""

    texts: dict[str, str]
    skipped: dict[str, str]


def for_text(text: str) -> dict[str, Codes]:
    """Every label of any text, by name: (N,) int16 each, the index of a class, -1 where it does not apply.

    >>> codes = for_text("Go. Now!")["position in sentence"]
    >>> codes.tolist()
    [0, 0, -1, -1, 0, 0, 0, -1]
    """
    return {label.name: label(text) for label in all_of("text")}


def for_python(text: str) -> dict[str, Codes]:
    """Every label of Python text, by name, as `for_text`.

    Raises:
        UnreadableSource: the text does not parse; for many files see `readable`.

    >>> for_python("f(1)  # one")["in a comment"].tolist()
    [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    """
    return {label.name: label(text) for label in all_of("python")}


def readable(texts: Mapping[str, str]) -> Readable:
    """Which files can be labelled as Python; those that can't are to be left out, and named.

    Args:
        texts: contents by name.

    >>> readable({"a.py": "x = 1", "b.py": "x ="}).skipped.keys()
    dict_keys(['b.py'])
    """
    found = Readable({}, {})
    for name, contents in texts.items():
        try:
            read(contents)
        except UnreadableSource as error:
            found.skipped[name] = str(error)
        else:
            found.texts[name] = contents
    return found
