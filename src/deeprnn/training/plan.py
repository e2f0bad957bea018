"""What a run is to do, as `training.json` keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deeprnn.disk import json_file, marks
from deeprnn.training.errors import RunError, reading, writing
from deeprnn.training.machine import Machine, Stretch
from deeprnn.training.schedule import Course
from deeprnn.training.settings import Settings

FORMAT = "deeprnn run 2"
_FORMER = ("deeprnn run 1",)
"""Runs that no release wrote; their learning rate fell in another way."""
_ENTRIES = {"format", "steps", "changes", "seconds", "settings", "source"}
_LATER = {"asked", "parts", "identity", "machines"}
"""Entries that runs have had since their files carry digests."""


@dataclass(frozen=True)
class Plan:
    """A run's settings and its course.

    Attributes:
        settings: how it trains.
        course: its steps; None until they are planned from its measured speed.
        seconds: the time that the steps are to fit in; None where their number was given.
        source: where its texts came from (see `Corpus.source`); None where a program gave them.
        asked: what `train(asked=...)` was given.
        parts: the digests of the run's files that never change, by file name; {} in an older run.
        identity: a digest of all that decides the weights but the number of steps: its network, its symbols, its
            texts, its settings. The weights and checkpoints of the run carry it too; None in an older run.
        machines: what computed its steps.
    """

    settings: Settings
    course: Course | None
    seconds: float | None
    source: Mapping[str, Any] | None
    asked: Mapping[str, Any]
    parts: Mapping[str, str]
    identity: str | None
    machines: tuple[Stretch, ...]

    def write(self, path: Path) -> None:
        """Writes the plan, whole or not at all.

        Raises:
            RunError: the file can't be written.
        """
        content = {
            "format": FORMAT,
            "steps": None if self.course is None else self.course.planned,
            "changes": [] if self.course is None else self.course.changes,
            "seconds": self.seconds,
            "settings": self.settings.to_json(),
            "source": None if self.source is None else dict(self.source),
            "asked": dict(self.asked),
            "parts": dict(self.parts),
            "identity": self.identity,
            "machines": [{"first": stretch.first, **stretch.machine.to_json()} for stretch in self.machines],
        }
        with writing(path):
            json_file.write(path, content, marks.PLAN)

    @staticmethod
    def read(path: Path) -> "Plan":
        """What `write` wrote.

        Raises:
            RunError: the file is damaged, or of another format.
        """
        with reading():
            if json_file.read_any(path).get("format") in _FORMER:
                raise RunError(
                    f"{path} is of the format {_FORMER[0]!r}, and this version of deeprnn reads {FORMAT!r}.\n"
                    f"  Train anew (--overwrite replaces the run), or use the version that wrote it."
                )
            content = json_file.read(path, FORMAT)
        try:
            return _from_json(content)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise RunError(
                f"{path} does not describe a run ({error}): it is damaged.\n  Restore it from a copy."
            ) from error


def _from_json(content: Mapping[str, Any]) -> Plan:
    present = set(content)
    if unknown := sorted(present - _ENTRIES - _LATER):
        raise ValueError(f"unknown entries: {', '.join(unknown)}")
    if missing := sorted((_ENTRIES | (_LATER if "identity" in present else set())) - present):
        raise ValueError(f"no entries {', '.join(missing)}")
    steps, seconds, source = content["steps"], content["seconds"], content["source"]
    asked, parts, identity, machines = (
        content.get("asked", {}),
        content.get("parts", {}),
        content.get("identity"),
        content.get("machines", []),
    )
    for holds, name in (
        (steps is None or _is_whole(steps), "steps"),
        (seconds is None or _is_whole(seconds) or type(seconds) is float, "seconds"),
        (isinstance(source, dict | None), "source"),
        (isinstance(asked, dict), "asked"),
        (isinstance(parts, dict) and all(isinstance(part, str) for part in parts.values()), "parts"),
        (isinstance(identity, str | None), "identity"),
        (isinstance(machines, list) and all(isinstance(machine, dict) for machine in machines), "machines"),
    ):
        if not holds:
            raise TypeError(f"{name} is {content[name]!r:.80}")
    return Plan(
        settings=Settings.from_json(content["settings"]),
        course=None if steps is None else Course(steps, _changes(content["changes"])),
        seconds=None if seconds is None else float(seconds),
        source=source,
        asked=asked,
        parts=parts,
        identity=identity,
        machines=tuple(_stretch(machine) for machine in machines),
    )


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _changes(pairs: Any) -> tuple[tuple[int, int], ...]:
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(map(_is_whole, pair)) for pair in pairs
    ):
        raise TypeError(f"changes is {pairs!r:.80}")
    return tuple((at, end) for at, end in pairs)


def _stretch(values: Mapping[str, Any]) -> Stretch:
    first = values["first"]
    if not _is_whole(first) or first < 0:
        raise TypeError(f"first is {first!r:.80}")
    return Stretch(first, Machine.from_json({name: value for name, value in values.items() if name != "first"}))
