"""What a run is to do, as `training.json` keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deeprnn.disk import json_file, marks
from deeprnn.training.errors import RunError, reading, writing
from deeprnn.training.machine import Machine, Segment
from deeprnn.training.schedule import Schedule
from deeprnn.training.settings import Settings

FORMAT = "deeprnn run 3"
_FORMER = "deeprnn run 2"
"""Still read: some of its entries had other names, and some were optional."""
_UNREADABLE = ("deeprnn run 1",)
"""Their learning rate fell in another way."""
_ENTRIES = {"format", "steps", "changes", "seconds", "settings", "source", "metadata", "files", "identity", "machines"}
_FORMER_NAMES = {"asked": "metadata", "parts": "files"}
_FORMER_SETTINGS = {"window": "bptt", "clip": "max_grad_norm"}
_FORMER_DEFAULTS: Mapping[str, Any] = {"asked": {}, "parts": {}, "identity": None, "machines": []}


@dataclass(frozen=True)
class Plan:
    """A run's settings and its schedule.

    Attributes:
        settings: how it trains.
        schedule: its steps; None until they are planned from its measured speed.
        seconds: the time that the steps are to fit in; None where their number was given.
        source: how the task reads its data again; None where a program gave the data.
        metadata: what `train(metadata=...)` was given.
        files: the digests of the run's files that never change, by file name; {} in an older run.
        identity: a digest of all that decides the weights but the number of steps: its network, its data, its
            settings. The weights and checkpoints of the run carry it too; None in an older run.
        machines: what computed its steps.
    """

    settings: Settings
    schedule: Schedule | None
    seconds: float | None
    source: Mapping[str, Any] | None
    metadata: Mapping[str, Any]
    files: Mapping[str, str]
    identity: str | None
    machines: tuple[Segment, ...]

    def write(self, path: Path) -> None:
        """Writes the plan, whole or not at all.

        Raises:
            RunError: the file can't be written.
        """
        content = {
            "format": FORMAT,
            "steps": None if self.schedule is None else self.schedule.planned,
            "changes": [] if self.schedule is None else self.schedule.changes,
            "seconds": self.seconds,
            "settings": self.settings.to_json(),
            "source": None if self.source is None else dict(self.source),
            "metadata": dict(self.metadata),
            "files": dict(self.files),
            "identity": self.identity,
            "machines": [{"first": segment.first, **segment.machine.to_json()} for segment in self.machines],
        }
        with writing(path):
            json_file.write(path, content, marks.PLAN)

    @staticmethod
    def read(path: Path) -> "Plan":
        """What `write` wrote, in this version of deeprnn or the one before.

        Raises:
            RunError: the file is damaged, or of another format.
        """
        with reading():
            present = json_file.read_any(path).get("format")
            if present in _UNREADABLE:
                raise RunError(
                    f"{path} is of the format {present!r}, and this version of deeprnn reads {FORMAT!r}.\n"
                    f"  Train again (`overwrite=True` replaces the run), or use the version that wrote it."
                )
            content = json_file.read(path, _FORMER if present == _FORMER else FORMAT)
        try:
            return _from_json(_renamed(content) if present == _FORMER else content)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise RunError(
                f"{path} does not describe a run ({error}): it is damaged.\n  Restore it from a copy."
            ) from error


def _renamed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The contents of a file of the format before, with the names of this one."""
    given = {**_FORMER_DEFAULTS, **content} if "identity" not in content else dict(content)
    given["settings"] = {_FORMER_SETTINGS.get(name, name): value for name, value in content["settings"].items()}
    return {_FORMER_NAMES.get(name, name): value for name, value in given.items()}


def _from_json(content: Mapping[str, Any]) -> Plan:
    if unknown := sorted(set(content) - _ENTRIES):
        raise ValueError(f"unknown entries: {', '.join(unknown)}")
    if missing := sorted(_ENTRIES - set(content)):
        raise ValueError(f"no entries {', '.join(missing)}")
    steps, seconds, files, machines = content["steps"], content["seconds"], content["files"], content["machines"]
    for holds, name in (
        (steps is None or _is_whole(steps), "steps"),
        (seconds is None or _is_whole(seconds) or type(seconds) is float, "seconds"),
        (isinstance(content["source"], dict | None), "source"),
        (isinstance(content["metadata"], dict), "metadata"),
        (isinstance(files, dict) and all(isinstance(file, str) for file in files.values()), "files"),
        (isinstance(content["identity"], str | None), "identity"),
        (isinstance(machines, list) and all(isinstance(machine, dict) for machine in machines), "machines"),
    ):
        if not holds:
            raise TypeError(f"{name} is {content[name]!r:.80}")
    return Plan(
        settings=Settings.from_json(content["settings"]),
        schedule=None if steps is None else Schedule(steps, _changes(content["changes"])),
        seconds=None if seconds is None else float(seconds),
        source=content["source"],
        metadata=content["metadata"],
        files=files,
        identity=content["identity"],
        machines=tuple(_segment(machine) for machine in machines),
    )


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _changes(pairs: Any) -> tuple[tuple[int, int], ...]:
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(map(_is_whole, pair)) for pair in pairs
    ):
        raise TypeError(f"changes is {pairs!r:.80}")
    return tuple((at, end) for at, end in pairs)


def _segment(values: Mapping[str, Any]) -> Segment:
    first = values["first"]
    if not _is_whole(first) or first < 0:
        raise TypeError(f"first is {first!r:.80}")
    return Segment(first, Machine.from_json({name: value for name, value in values.items() if name != "first"}))
