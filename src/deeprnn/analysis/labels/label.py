"""What a label is, and the sets of labels that there are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Codes: TypeAlias = NDArray[np.int16]
"""(N,), a class's index for each character of a text, UNSCORED where the label says nothing."""

UNSCORED = -1

Kind: TypeAlias = Literal["text", "python"]


@dataclass(frozen=True, eq=False)
class Label:
    """One thing that may be known about each character of a text.

    Args:
        name: how it is called in tables.
        classes: what its values mean; the first is value 0.
        causal: whether its value at a character is fixed by the text up to and with that character. Otherwise it is
            anticipatory: only what follows decides, and a net that knows it has guessed well.
        function: from a text of N characters to (N,) integers (or bools), `UNSCORED` (-1) where it does not apply.
        meaning: one sentence for a reader.

    >>> vowel = Label("vowel", ("no", "yes"), True, lambda text: np.array([c in "aeiou" for c in text]))
    >>> vowel("area").tolist()
    [1, 0, 1, 1]
    """

    name: str
    classes: tuple[str, ...]
    causal: bool
    function: Callable[[str], NDArray[np.generic]]
    meaning: str = ""

    def __post_init__(self) -> None:
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"Label({self.name!r}): classes={self.classes!r}; at least two, each named once.")

    def __call__(self, text: str) -> Codes:
        """(N,) int16, the label of each character of a text.

        Raises:
            ValueError: the function returned something else.
            UnreadableSource: the label is one of Python, and the text is not.
        """
        codes = np.asarray(self.function(text))
        if codes.shape != (len(text),) or codes.dtype.kind not in "iub":
            raise ValueError(
                f"the label {self.name!r} gave shape {codes.shape}, dtype {codes.dtype} for a text of {len(text)} "
                f"characters; it gives one integer for each."
            )
        codes = codes.astype(np.int64)
        if codes.size and not UNSCORED <= codes.min() <= codes.max() < len(self.classes):
            raise ValueError(
                f"the label {self.name!r} gave values from {codes.min()} to {codes.max()}; it has "
                f"{len(self.classes)} classes, 0 to {len(self.classes) - 1}, and -1 for characters that don't count."
            )
        return codes.astype(np.int16)


_SETS: dict[Kind, dict[str, Label]] = {"text": {}, "python": {}}


def add(label: Label, kind: Kind = "text") -> Label:
    """Enters a label among those of any text, or of Python text; `for_text` or `for_python` then gives it too.

    Raises:
        ValueError: there is one of that name, or no such set.

    >>> from deeprnn.analysis import labels
    >>> digit = Label("digit", ("no", "yes"), True, lambda text: np.array([c.isdigit() for c in text], np.int16))
    >>> _ = labels.add(digit)
    >>> labels.for_text("a1")["digit"].tolist()
    [0, 1]
    >>> labels.remove("digit")
    """
    if label.name in _set(kind):
        raise ValueError(f"there is a label {label.name!r} for {kind} already; remove it first, or choose a name.")
    _set(kind)[label.name] = label
    return label


def remove(name: str, kind: Kind = "text") -> None:
    """Takes a label out of a set.

    Raises:
        ValueError: there is none of that name.
    """
    if _set(kind).pop(name, None) is None:
        raise ValueError(f"there is no label {name!r} for {kind}; there are {', '.join(_SETS[kind])}.")


def all_of(kind: Kind) -> tuple[Label, ...]:
    """The labels of a set, in the order in which they were added."""
    return tuple(_set(kind).values())


def _set(kind: Kind) -> dict[str, Label]:
    if kind not in _SETS:
        raise ValueError(f"kind={kind!r}: labels are of 'text' or of 'python'.")
    return _SETS[kind]
