"""JSON files with a format mark and a digest: one reader and one writer for all of them."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deeprnn.disk import atomic, digest
from deeprnn.disk.marks import Mark

DIGEST = "digest"
_DEEPEST = 50


def write(path: Path, content: Mapping[str, Any], mark: Mark) -> None:
    """Writes an object, which begins with its "format", and its digest at the end; whole or not at all.

    Raises:
        ValueError: the content holds NaN or infinity. OSError: as `atomic.write`.
    """
    as_read = _as_read(content)
    whole = {**as_read, DIGEST: digest.of_json(as_read)}
    atomic.write_text(path, json.dumps(whole, indent=2) + "\n", mark)


def holds(path: Path, content: Mapping[str, Any]) -> bool:
    """Whether `write(path, content)` would change nothing, so that it need not be done again."""
    try:
        present = read_any(path)
    except (OSError, ValueError):
        return False
    return present.pop(DIGEST, None) == digest.of_json(present) == digest.of_json(_as_read(content))


def read(path: Path, format_name: str, remedy: str = "Restore it from a copy.") -> dict[str, Any]:
    """The object that `write` wrote, without its digest; whatever the file holds, nothing but these is raised:

    Args:
        path: the file.
        format_name: what its "format" must be.
        remedy: what to do about a damaged file, a sentence.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or of another format.
        OSError: it can't be read.

    Warns:
        FileWarning: it carries no digest.
    """
    content = read_any(path, remedy)
    if content.get("format") != format_name:
        given = content.get("format")
        raise ValueError(f"{path} is not of format {format_name!r}, but {given!r:.80}; it was not written for this.")
    carried = content.pop(DIGEST, None)
    digest.check(
        path, carried, digest.of_json(content), f'{remedy} (If it was edited on purpose, remove its "{DIGEST}".)'
    )
    return content


def read_any(path: Path, remedy: str = "Restore it from a copy.") -> dict[str, Any]:
    """An object of any format, its digest unchecked; raises as `read`."""
    if not path.is_file():
        if path.exists():
            raise ValueError(f"{path} is not a file.\n  {remedy}")
        raise FileNotFoundError(f"{path} does not exist.")
    try:
        content = json.loads(
            path.read_bytes().decode(), object_pairs_hook=_object, parse_constant=_constant, parse_float=_finite
        )
        _check_depth(content)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else error
        raise ValueError(f"{path} is not valid JSON ({reason}): it is damaged.\n  {remedy}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not a JSON object: it is damaged.\n  {remedy}")
    return content


def _as_read(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content as it comes back from JSON: lists for tuples, text for names."""
    return json.loads(json.dumps(content, allow_nan=False))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a name appears twice")
    return content


def _constant(name: str) -> str:
    if name == "Infinity":  # so an older version wrote what is "inf" now
        return "inf"
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def _check_depth(content: Any) -> None:
    """Raises RecursionError where objects lie in each other so deep that walking through them would."""
    level: list[Any] = [content] if isinstance(content, dict | list) else []
    for _ in range(_DEEPEST):
        level = [
            part
            for outer in level
            for part in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(part, dict | list)
        ]
        if not level:
            return
    raise RecursionError
