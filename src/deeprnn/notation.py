"""Layers written as a line of text, such as "3x gru:256 elman:128:relu"."""

import re
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from deeprnn.activations import ACTIVATIONS
from deeprnn.cells import CELLS, Cell

EXAMPLE = "2x gru:256 elman:128:relu"

_REPEAT = re.compile(r"([0-9]+)[x*](.*)")
_DIGITS = 15
"""No width has more; more digits than 4,300 are not even a number to Python."""


def parse_layers(text: str) -> list[Cell]:
    """The cells that a line names, bottom layer first.

    A layer is `cell:width`, then whatever of its options, each after a colon: the name of phi (`relu`), a switch
    (`layer_norm`), or `option=value` (`zoneout=0.1`). `3x` before a layer makes three of it. Spaces or commas stand
    between layers.

    Raises:
        ValueError: a word is not understood; the message names the word and shows a line that is.

    >>> [cell.describe() for cell in parse_layers("2x gru:256 elman:128:relu")]
    ['GRU 256 tanh, sigmoid', 'GRU 256 tanh, sigmoid', 'Elman 128 relu']
    """
    cells: list[Cell] = []
    repeat: int | None = None
    for word in text.replace(",", " ").split():
        layer = word
        match = _REPEAT.fullmatch(word)
        if match:
            if repeat is not None:
                raise _error(text, word, "two repetitions follow each other")
            repeat, layer = int(match[1][:_DIGITS]), match[2]
            if not 1 <= repeat <= 1000:
                raise _error(text, word, "a layer is repeated 1 to 1000 times")
        if layer:
            cells += [_parse_cell(text, layer)] * (repeat or 1)
            repeat = None
    if repeat is not None:
        raise _error(text, f"{repeat}x", "no layer follows the repetition")
    if not cells:
        raise ValueError(f"`layers` must name a layer, got {text!r}.\n  Example: {EXAMPLE!r}")
    return cells


def _parse_cell(text: str, word: str) -> Cell:
    name, *rest = word.split(":")
    kinds = {kind.lower(): cell for kind, cell in CELLS.items()}
    if name.lower() not in kinds:
        raise _error(text, word, f"there is no cell {name!r}{_meant(name.lower(), kinds)}")
    kind = kinds[name.lower()]
    if not rest or not re.fullmatch("[0-9]+", rest[0]) or not rest[0].strip("0"):
        raise _error(text, word, f"a width follows the cell, as in {name.lower()}:256")
    if len(rest[0].lstrip("0")) > _DIGITS:
        raise _error(text, word, f"a width of {len(rest[0])} digits is larger than any network")
    defaults = {f.name: f.default for f in fields(kind) if f.name != "hidden_size"}
    options: dict[str, Any] = {}
    for part in rest[1:]:
        option, value = _parse_option(text, word, part, defaults)
        if option in options:
            raise _error(text, word, f"{option} is given twice")
        options[option] = value
    try:
        return kind(int(rest[0]), **options)  # type: ignore[call-arg]  # every cell's first field is hidden_size
    except (TypeError, ValueError) as error:
        raise _error(text, word, str(error)) from error


def _parse_option(text: str, word: str, part: str, defaults: Mapping[str, Any]) -> tuple[str, Any]:
    name, equals, value = part.partition("=")
    if not equals:
        if name in ACTIVATIONS and "activation" in defaults:
            return "activation", name
        if name in ACTIVATIONS:
            raise _error(text, word, f"this cell has no phi to be {name}")
        if isinstance(defaults.get(name), bool):
            return name, True
        if name in defaults:
            raise _error(text, word, f"{name} needs a value, as in {name}={_example_value(defaults[name])}")
        raise _error(text, word, f"there is no phi or option {name!r}{_meant(name, {**ACTIVATIONS, **defaults})}")
    if name not in defaults:
        raise _error(text, word, f"there is no option {name!r}{_meant(name, defaults)}")
    default = defaults[name]
    if isinstance(default, bool):
        if value.lower() not in ("true", "false"):
            raise _error(text, word, f"{name} is true or false, not {value!r}")
        return name, value.lower() == "true"
    if isinstance(default, int):
        if not re.fullmatch(f"[0-9]{{1,{_DIGITS}}}", value):
            raise _error(text, word, f"{name} is a whole number, not {value!r}")
        return name, int(value)
    if isinstance(default, float):
        try:
            return name, float(value)
        except ValueError:
            raise _error(text, word, f"{name} is a number, not {value!r}") from None
    return name, value


def _example_value(default: object) -> object:
    return 0.1 if isinstance(default, float) else default


def _meant(name: str, known: Mapping[str, Any]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"


def _error(text: str, word: str, reason: str) -> ValueError:
    sentence = reason if reason.endswith(("?", ".")) else f"{reason}."
    return ValueError(f"`layers` {text!r}: {word!r} is not understood: {sentence}\n  Example: {EXAMPLE!r}")
