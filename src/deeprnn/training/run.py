"""A run on disk: one directory that holds all that belongs to one training."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from deeprnn import atomic
from deeprnn.activations import Function
from deeprnn.deep import DeepRNN
from deeprnn.saving import CONFIG, WEIGHTS
from deeprnn.text import Corpus, Vocabulary, load_vocabulary
from deeprnn.training.errors import RunError, writing
from deeprnn.training.schedule import Course
from deeprnn.training.settings import Settings

FORMAT = "deeprnn run 2"
_FORMER = ("deeprnn run 1",)
"""Runs that no release wrote; their learning rate fell in another way."""


@dataclass(frozen=True)
class Plan:
    """What a run is to do, as `training.json` keeps it.

    Attributes:
        settings: how it trains.
        course: its steps; None until they are planned from its measured speed.
        seconds: the time that the steps are to fit in; None where their number was given.
        source: where its texts came from (see `Corpus.source`); None where a program gave them.
        asked: what `train(asked=...)` was given.
    """

    settings: Settings
    course: Course | None
    seconds: float | None
    source: Mapping[str, Any] | None
    asked: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Run:
    """The layout of a run's directory.

    Attributes:
        path: the directory. `DeepRNN.load(path)` gives the network.
    """

    path: Path

    @property
    def plan_file(self) -> Path:
        """Settings, steps and source; a directory with this file is a run."""
        return self.path / "training.json"

    @property
    def vocabulary_file(self) -> Path:
        """The symbols' meanings."""
        return self.path / "vocabulary.json"

    @property
    def manifest_file(self) -> Path:
        """The documents, their hashes, and which are held out."""
        return self.path / "manifest.json"

    @property
    def metrics_file(self) -> Path:
        """The course of the training, a row every few steps."""
        return self.path / "metrics.csv"

    @property
    def checkpoints(self) -> Path:
        """The directory of `step-*.safetensors`, from which a training goes on."""
        return self.path / "checkpoints"

    @property
    def evaluation_file(self) -> Path:
        """The held-out figures at the end."""
        return self.path / "evaluation.json"

    @property
    def drawing_file(self) -> Path:
        """The network drawn."""
        return self.path / "net.svg"

    @property
    def analysis_files(self) -> tuple[Path, Path]:
        """What `deeprnn analyze` found out: all figures as a table, and those that are shown."""
        return self.path / "analysis.parquet", self.path / "analysis.json"

    @property
    def page_file(self) -> Path:
        """The page of `deeprnn explore`."""
        return self.path / "explorer.html"

    @property
    def exists(self) -> bool:
        """Whether a run was begun here."""
        return self.plan_file.is_file()

    def create(self, net: DeepRNN, corpus: Corpus, vocabulary: Vocabulary, plan: Plan, *, overwrite: bool) -> None:
        """Makes the directory and writes all that is known before the first step; the plan last.

        Raises:
            RunError: the directory is in use, or can't be written.
        """
        self.check_free(overwrite=overwrite)
        with writing(self.path):
            if overwrite:
                self._clear()
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            net.save(self.path)
            vocabulary.save(self.vocabulary_file)
            atomic.write_text(self.manifest_file, json.dumps(corpus.manifest(), indent=1) + "\n")
        self.write_plan(plan)

    def check_free(self, *, overwrite: bool) -> None:
        """Raises RunError where a new run can't be put here without harm to what is there."""
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise RunError(f"{self.path} is a file; a run needs a directory: --out another name.")
        present = {entry.name for entry in self.path.iterdir() if not _is_part(entry)}
        foreign = sorted(present - self._names())
        if foreign and not self.exists:
            raise RunError(
                f"{self.path} holds files of another kind, such as {foreign[0]}; it is left as it is.\n"
                f"  Choose another directory: --out runs/NAME"
            )
        if present and not overwrite and not self._is_barely_begun():
            goes_on = "Go on with it: --resume. " if self.exists else ""
            raise RunError(
                f"{self.path} holds a run already. {goes_on}Replace it: --overwrite.\n"
                f"  Or leave it, and choose another directory: --out runs/NAME"
            )

    def write_plan(self, plan: Plan) -> None:
        """Writes `training.json`, whole or not at all."""
        content = {
            "format": FORMAT,
            "steps": None if plan.course is None else plan.course.planned,
            "changes": [] if plan.course is None else plan.course.changes,
            "seconds": plan.seconds,
            "settings": plan.settings.to_json(),
            "source": None if plan.source is None else dict(plan.source),
            "asked": dict(plan.asked),
        }
        with writing(self.plan_file):
            atomic.write_text(self.plan_file, json.dumps(content, indent=2) + "\n")

    def read_plan(self) -> Plan:
        """What `write_plan` wrote.

        Raises:
            RunError: there is no run here, or the file is damaged.
        """
        if not self.exists:
            raise RunError(f"{self.path} holds no run: there is no {self.plan_file.name} in it. Is the path right?")
        content = self._read_json(self.plan_file)
        if content.get("format") in _FORMER:
            raise RunError(
                f"{self.plan_file} is of the format {content['format']!r}, and this version of deeprnn reads "
                f"{FORMAT!r}.\n  Train anew (--overwrite replaces the run), or use the version that wrote it."
            )
        try:
            steps, seconds, source = content["steps"], content["seconds"], content["source"]
            asked = content.get("asked", {})
            if content["format"] != FORMAT or not isinstance(steps, int | None):
                raise ValueError(f"format {content['format']!r}, steps {steps!r}")
            course = (
                None if steps is None else Course(steps, tuple((int(a), int(end)) for a, end in content["changes"]))
            )
            if not isinstance(asked, dict):
                raise TypeError("'asked' is of the wrong type")
            if not isinstance(source, dict | None) or not isinstance(seconds, int | float | None):
                raise TypeError("'source' or 'seconds' is of the wrong type")
            return Plan(Settings.from_json(content["settings"]), course, seconds, source, asked)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunError(
                f"{self.plan_file} describes no run ({error}); it is damaged, restore it from a copy."
            ) from error

    def load_net(
        self, device: torch.device | str | None = None, functions: Mapping[str, Function] | None = None
    ) -> DeepRNN:
        """The network with the weights that were saved last; the arguments are those of `DeepRNN.load`."""
        return DeepRNN.load(self.path, device=device, functions=functions)

    def load_vocabulary(self) -> Vocabulary:
        """The run's vocabulary."""
        return load_vocabulary(self.vocabulary_file)

    def read_corpus(self) -> Corpus:
        """The run's texts, read anew and checked to be the same as before.

        Raises:
            RunError: the run's texts were given by a program. TextError: they have changed.
        """
        source = self.read_plan().source
        if source is None:
            raise RunError(f"{self.path} was trained on texts that a program gave; give them again (--text).")
        corpus = Corpus.again(source)
        manifest = self._read_json(self.manifest_file)
        try:
            corpus.check_against(manifest, self.manifest_file)
        except (KeyError, TypeError) as error:
            raise RunError(f"{self.manifest_file} is no manifest; it is damaged, restore it from a copy.") from error
        return corpus

    def _read_json(self, path: Path) -> dict[str, Any]:
        if not path.is_file():
            raise RunError(f"{path} does not exist; the run is not whole, train it anew.")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunError(f"{path} is no JSON file ({error}); it is damaged, restore it from a copy.") from error
        if not isinstance(content, dict):
            raise RunError(f"{path} is no JSON object; it is damaged, restore it from a copy.")
        return content

    def _names(self) -> set[str]:
        files = (self.plan_file, self.vocabulary_file, self.manifest_file, self.metrics_file)
        files += (self.evaluation_file, self.drawing_file, self.checkpoints)
        files += (*self.analysis_files, self.page_file)
        return {CONFIG, WEIGHTS, *(file.name for file in files)}

    def _is_barely_begun(self) -> bool:
        """Whether `create` was killed here before it was through: nothing was trained yet."""
        return not self.exists and self.checkpoints.is_dir() and not any(self.checkpoints.iterdir())

    def _clear(self) -> None:
        self.plan_file.unlink(missing_ok=True)  # first: from here on there is no run that could be resumed
        for name in self._names() - {self.checkpoints.name}:
            (self.path / name).unlink(missing_ok=True)
        for part in filter(_is_part, list(self.path.iterdir()) if self.path.is_dir() else []):
            part.unlink(missing_ok=True)
        shutil.rmtree(self.checkpoints, ignore_errors=True)


def _is_part(path: Path) -> bool:
    """Whether a killed process left the file half-written (see `deeprnn.atomic`)."""
    return path.name.startswith(".") and path.suffix == ".part"
