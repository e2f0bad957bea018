"""Labels of any text."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from deeprnn.analysis.labels.label import UNSCORED, Codes, Label, add

_CHARACTER_CLASSES = (
    "lower case",
    "upper case",
    "other letter",
    "digit",
    "space",
    "newline",
    "quote",
    "bracket",
    "underscore",
    "other mark",
)
_QUOTES = "\"'`“”‘’„«»"
_BRACKETS = "()[]{}<>"

WORD = re.compile(r"[^\W_]+")
"""A word: letters and digits without a break. An apostrophe ends it, since only what follows tells it from a quote."""

_PARAGRAPHS = re.compile(r"(?P<word>[^\W_]+)|(?P<pause>\n[ \t]*(?=\n))")
_SENTENCES = re.compile(r"(?P<word>[^\W_]+)|(?P<stop>[.!?…][)\]}\"'”’»]*\s)|(?P<pause>\n[ \t]*(?=\n))")


def bucket(counts: NDArray[np.integer], edges: Sequence[int]) -> Codes:
    """The index of the bucket of each count: below edges[0] is 0, from there below edges[1] is 1, and so on."""
    return np.searchsorted(np.asarray(edges), counts, side="right").astype(np.int16)


def _character_class(text: str) -> Codes:
    return each_character(text, lambda c: _CHARACTER_CLASSES.index(_class_of(c)))


def each_character(text: str, function: Callable[[str], int]) -> Codes:
    """(N,): a function of the character alone, computed once for each that occurs."""
    if not text:
        return np.empty(0, np.int16)
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    distinct, places = np.unique(points, return_inverse=True)
    return np.array([function(chr(int(point))) for point in distinct], np.int16)[places]


def _class_of(c: str) -> str:
    if c == "\n":
        return "newline"
    if c == "_":
        return "underscore"
    for marks, name in ((_QUOTES, "quote"), (_BRACKETS, "bracket")):
        if c in marks:
            return name
    tests = (
        (str.isspace, "space"),
        (str.isdigit, "digit"),
        (str.islower, "lower case"),
        (str.isupper, "upper case"),
        (str.isalpha, "other letter"),
    )
    return next((name for test, name in tests if test(c)), "other mark")


def _position_in_word(text: str) -> Codes:
    places = _unscored(text)
    for word in WORD.finditer(text):
        places[word.start() : word.end()] = bucket(np.arange(len(word[0])), POSITION_EDGES)
    return places


POSITION_CLASSES = ("1st", "2nd", "3rd", "4th", "5th to 8th", "9th on")
POSITION_EDGES = (1, 2, 3, 4, 8)


def word_frequency(reference: str | None = None) -> Label:
    """How frequent the word is, as a label: in which quarter of all words' occurrences it is.

    The words of a text, the most frequent first, are cut where they make up a quarter, a half and three quarters of
    all occurrences, so that the four classes are about equally full. Case is ignored.

    Args:
        reference: the text that is counted; None for the text that is labelled itself. For short texts, give the
            training corpus: a word that it lacks is in the last quarter.

    >>> word_frequency("a a a a b b c d")("d a").tolist()
    [3, -1, 1]
    """
    quarters = None if reference is None else _quarters(reference)

    def function(text: str) -> Codes:
        of_word = _quarters(text) if quarters is None else quarters
        codes = _unscored(text)
        for word in WORD.finditer(text):
            codes[word.start() : word.end()] = of_word.get(word[0].lower(), 3)
        return codes

    classes = ("1st quarter", "2nd quarter", "3rd quarter", "4th quarter")
    meaning = "in which quarter of all words' occurrences the word is, the most frequent words first"
    return Label("word frequency", classes, False, function, meaning)


def _quarters(text: str) -> dict[str, int]:
    counts = Counter(word.lower() for word in WORD.findall(text))
    total, before, quarters = counts.total(), 0, dict[str, int]()
    for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        # A word belongs where the middle of its occurrences lies.
        quarters[word] = min(int(4 * (before + count / 2) / total), 3)
        before += count
    return quarters


def _position_in_sentence(text: str) -> Codes:
    codes, count = _unscored(text), 0
    for match in _SENTENCES.finditer(text):
        if match.lastgroup != "word":
            count = 0
            continue
        count += 1
        codes[match.start() : match.end()] = bisect_right((2, 3, 6, 11, 21), count)
    return codes


def _paragraph_position(text: str) -> Codes:
    codes, count = _unscored(text), 0
    for match in _PARAGRAPHS.finditer(text):
        count = count + 1 if match.lastgroup == "word" else 0
        if count:
            codes[match.start() : match.end()] = bisect_right((6, 21, 51, 101), count)
    return codes


def _in_quotes(text: str) -> Codes:
    return _open(text, re.compile(r"[\"“”„«»]|\n[ \t]*(?=\n)"), _quote)


def _quote(mark: str, depth: int) -> int:
    if mark == '"':
        return 1 - depth
    return int(mark in "“„«")


def _in_parentheses(text: str) -> Codes:
    return _open(text, re.compile(r"[()\[\]{}]|\n[ \t]*(?=\n)"), _parenthesis, cap=2)


def _parenthesis(mark: str, depth: int) -> int:
    return depth + 1 if mark in "([{" else max(depth - 1, 0)


def _open(text: str, marks: re.Pattern[str], change: Callable[[str, int], int], cap: int = 1) -> Codes:
    """(N,): how much is open after each character; an opening mark counts as inside, a blank line closes all."""
    codes, depth, since = np.zeros(len(text), np.int16), 0, 0
    for match in marks.finditer(text):
        blank = match[0][0] == "\n"
        # A blank line shows at its own newline, which stands after the match.
        at = match.end() if blank else match.start()
        codes[since:at] = min(depth, cap)
        depth, since = 0 if blank else change(match[0], depth), at
    codes[since:] = min(depth, cap)
    return codes


def _line_length(text: str) -> Codes:
    newlines = np.array([match.start() for match in re.finditer("\n", text)], np.int64)
    places = np.arange(len(text))
    starts = np.concatenate([[0], newlines + 1])
    return bucket(places - starts[np.searchsorted(newlines, places)], (10, 20, 40, 60, 80))


def _unscored(text: str) -> Codes:
    return np.full(len(text), UNSCORED, np.int16)


CHARACTER_CLASS = add(
    Label("character class", _CHARACTER_CLASSES, True, _character_class, "what kind of character it is")
)
add(Label("position in word", POSITION_CLASSES, True, _position_in_word, "which letter of its word it is"))
add(word_frequency())
add(
    Label(
        "position in sentence",
        ("word 1", "word 2", "words 3-5", "words 6-10", "words 11-20", "word 21 on"),
        True,
        _position_in_sentence,
        "which word of its sentence it is in; a mark . ! ? before white space ends one, abbreviations too",
    )
)
add(
    Label(
        "in quotes",
        ("outside", "inside"),
        True,
        _in_quotes,
        "whether a double quotation mark is open; a blank line closes it, since speech that goes on opens it anew",
    )
)
add(
    Label(
        "in parentheses",
        ("outside", "in one", "in two or more"),
        True,
        _in_parentheses,
        "how many brackets are open; a blank line closes them",
    )
)
add(
    Label(
        "line length so far",
        ("0-9", "10-19", "20-39", "40-59", "60-79", "80 on"),
        True,
        _line_length,
        "how many characters of its line stand before it",
    )
)
add(
    Label(
        "paragraph position",
        ("words 1-5", "words 6-20", "words 21-50", "words 51-100", "word 101 on"),
        True,
        _paragraph_position,
        "which word of its paragraph it is in; a blank line begins one",
    )
)
