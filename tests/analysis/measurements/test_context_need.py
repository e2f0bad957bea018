"""Labels that are built to need one, four, or more characters come out in that order."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from deeprnn.analysis.labels import Label
from deeprnn.analysis.measurements.context_need import _draw, _ids, _windows, context_need, table


def texts(files: int = 8, characters: int = 900) -> dict[str, str]:
    random = np.random.default_rng(0)
    return {f"file {i}": "".join(random.choice(list("abc\n"), characters)) for i in range(files)}


def back(steps: int) -> Callable[[str], NDArray[np.integer]]:
    """Whether the character `steps` before is an "a"; not scored before the text's beginning."""

    def function(text: str) -> NDArray[np.integer]:
        is_a = np.array([c == "a" for c in text], int)
        return np.concatenate([np.full(steps, -1), is_a])[: len(text)]

    return function


def of_nothing(text: str) -> NDArray[np.integer]:
    return np.random.default_rng(len(text)).integers(2, size=len(text))


LABELS = (
    Label("nothing", ("no", "yes"), False, of_nothing),
    Label("twelve back", ("no", "yes"), True, back(12)),
    Label("always", ("no", "yes"), True, lambda text: np.ones(len(text), int)),
    Label("here", ("no", "yes"), True, back(0)),
    Label("three back", ("no", "yes"), True, back(3)),
    Label("never", ("no", "yes"), True, lambda text: np.full(len(text), -1)),
)


def test_the_need_is_the_share_of_windows_that_are_too_short() -> None:
    needs = context_need(texts(), LABELS, characters=3000)
    assert [one.label for one in needs] == ["here", "three back", "twelve back", "nothing", "always", "never"]
    for one, expected in zip(needs, (0.0, 0.25, 0.75, 1.0), strict=False):
        assert one.need.value == pytest.approx(expected, abs=0.02), one.label
        assert one.need.low <= one.need.value <= one.need.high
    assert np.isnan(needs[4].need.value)
    assert np.isnan(needs[5].need.value)
    three = needs[1]
    assert three.causal
    assert three.marginal == pytest.approx(0.811, abs=0.05)  # the entropy of a quarter
    assert list(three.bits) == [1, 4, 8, 24]
    assert three.bits[1] == pytest.approx(three.marginal, abs=0.02)
    assert three.bits[4] < 0.02
    assert three.accuracy[4] > 0.999
    assert three.accuracy[1] == pytest.approx(three.majority, abs=0.01)


def test_the_same_texts_give_the_same_order_and_figures() -> None:
    first, second = (context_need(texts(), LABELS[:5], windows=(1, 4), characters=1000, seed=3) for _ in range(2))
    assert table(first) == table(second)
    assert table(first).splitlines()[1].startswith("here ")
    assert first[0] == second[0]


def test_windows_end_at_the_drawn_character_and_never_leave_its_file() -> None:
    given = {"a": "abcab", "empty": "", "b": "cc", "c": "b" * 7}
    ids = _ids(given)
    files, places = _draw([len(text) for text in ids], 100, 0)
    windows = _windows(ids, files, places, 4)
    assert len(windows) == 14
    names, kept = list(given.values()), {}
    for row, file, place in zip(windows, files, places, strict=True):
        expected = names[file][max(0, place - 3) : place + 1].rjust(4)
        for symbol, c in zip(row, expected, strict=True):
            assert (symbol == -1) == (c == " ")
            assert kept.setdefault(symbol, c) == c
    assert kept[0] == "b"
    assert len(set(kept.values())) == 4


def test_rare_characters_are_one_symbol() -> None:
    ids = _ids({"a": "x" * 9 + "".join(map(chr, range(1000, 1200)))})[0]
    assert ids.max() == 127
    assert (ids == 127).sum() == 201 - 127
    assert (ids[:9] == 0).all()


def test_too_few_files_are_refused() -> None:
    with pytest.raises(ValueError, match="come from 2 files"):
        context_need(texts(2), LABELS, characters=100)
    with pytest.raises(ValueError, match="no characters"):
        context_need({"a": "", "b": "", "c": ""}, LABELS)
