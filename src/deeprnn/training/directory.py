"""A run's directory: which of its files are a run's, whether a new run may go there, and who may write there now."""

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from deeprnn.disk import atomic, lock, marks
from deeprnn.saving import CONFIG, WEIGHTS
from deeprnn.training.checkpoint import NAME, checkpoint_paths
from deeprnn.training.errors import RunError, writing

PLAN, METRICS, CHECKPOINTS = "training.json", "metrics.csv", "checkpoints"

_TRAINING = {PLAN: marks.PLAN, METRICS: marks.METRICS, CONFIG: marks.CONFIG, WEIGHTS: marks.WEIGHTS}


@dataclass(frozen=True)
class RunDirectory:
    """The directory of one training.

    Attributes:
        path: the directory. `DeepRNN.load(path)` gives the network.
    """

    path: Path

    DATA_FILES: ClassVar[Mapping[str, marks.Mark]] = {}
    """JSON that a task writes before the first step, and never again; with the marks that tell it from other files."""
    RESULT_FILES: ClassVar[Mapping[str, marks.Mark]] = {}
    """What a task writes after the last step."""
    LATER_FILES: ClassVar[Mapping[str, marks.Mark]] = {}
    """What is written into a finished run later; it goes with the run when that is replaced."""

    @property
    def plan_file(self) -> Path:
        """Settings and steps; a directory with this file is a run."""
        return self.path / PLAN

    @property
    def metrics_file(self) -> Path:
        """The metrics of the training, a row every few steps."""
        return self.path / METRICS

    @property
    def checkpoints(self) -> Path:
        """The directory of `step-*.safetensors`, from which a training is resumed."""
        return self.path / CHECKPOINTS

    @property
    def exists(self) -> bool:
        """Whether a run was started here: its settings are there, and were written by this project."""
        return marks.is_ours(self.plan_file, marks.PLAN)

    @contextmanager
    def locked(self) -> Generator[lock.Lock]:
        """Locks the directory, which is made if need be, for as long as the block lasts.

        Raises:
            RunError: another process has locked it; the message says which. Or it can't be written.
        """
        with ExitStack() as stack:
            with writing(self.path):
                self._check_is_directory()
                taken = stack.enter_context(lock.Lock(self.path))
            yield taken

    def check_free(self, *, overwrite: bool) -> None:
        """Raises RunError where a new run can't be put here at this moment; it is checked again when the run starts."""
        with writing(self.path):
            lock.check_free(self.path)
        self.check_replaceable(overwrite=overwrite, abandoned=(self.path / lock.NAME).exists())

    def check_replaceable(self, *, overwrite: bool, abandoned: bool) -> None:
        """Raises RunError where a new run can't be put here without harm to what is there.

        Args:
            overwrite: a run that is there may be replaced.
            abandoned: a process that was making a run here was killed: what it left, before its first step, is not a
                run.
        """
        self._check_is_directory()
        if not self.path.exists():
            return
        self._check_marks(self._all_files())
        with writing(self.path):
            for file in checkpoint_paths(self.checkpoints):
                marks.check_replaceable(file, marks.CHECKPOINT)
        others = sorted(self._other_files())
        if others and not self.exists:
            raise RunError(
                f"{self.path} holds files of another kind, such as {others[0]}; it is left as it is.\n"
                f"  Choose another directory: `out=runs/NAME`"
            )
        checkpoints = checkpoint_paths(self.checkpoints)
        present = [name for name in self._all_files() if (self.path / name).exists()] + checkpoints
        never_started = abandoned and not self.exists and not checkpoints
        if present and not overwrite and not never_started:
            remedy = "Continue it: `resume(out)`. " if self.exists else ""
            raise RunError(
                f"{self.path} holds a run already. {remedy}Replace it: `overwrite=True`.\n"
                f"  Or leave it, and choose another directory: `out=runs/NAME`"
            )

    def check_own_files(self) -> None:
        """Raises RunError where something that no run wrote stands in the place of a file that a training writes."""
        self._check_marks({**_TRAINING, **self.DATA_FILES, **self.RESULT_FILES})

    def clear(self) -> None:
        """Removes a run's files, and no others: each carries its mark. Links are not followed."""
        for name, mark in self._all_files().items():
            if marks.is_ours(self.path / name, mark):
                (self.path / name).unlink()
        self.sweep()
        if not self.checkpoints.is_symlink():
            for file in checkpoint_paths(self.checkpoints):
                if marks.is_ours(file, marks.CHECKPOINT):
                    file.unlink()
            with suppress(OSError):  # it holds files of somebody else
                self.checkpoints.rmdir()

    def sweep(self) -> None:
        """Removes what killed processes left half-written in the directory."""
        with suppress(OSError):
            atomic.sweep(self.path, "|".join(map(_escaped, self._all_files())))
        if not self.checkpoints.is_symlink():
            with suppress(OSError):
                atomic.sweep(self.checkpoints, NAME.pattern)

    def _all_files(self) -> dict[str, marks.Mark]:
        """The plan comes first: a directory without one is not a run."""
        return {**_TRAINING, **self.DATA_FILES, **self.RESULT_FILES, **self.LATER_FILES}

    def _check_marks(self, files: Mapping[str, marks.Mark]) -> None:
        with writing(self.path):
            for name, mark in files.items():
                marks.check_replaceable(self.path / name, mark)
            checkpoints = self.checkpoints
            if os.path.lexists(checkpoints) and (checkpoints.is_symlink() or not checkpoints.is_dir()):
                kind = "link" if checkpoints.is_symlink() else "file"
                raise marks.ForeignFileError(
                    f"{checkpoints} is not a directory of its own but a {kind}.\n"
                    f"  Move it away; to keep a run on another disk, link the whole of {self.path} there."
                )

    def _check_is_directory(self) -> None:
        """Raises RunError where no directory is, and none can be made."""
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file; a run needs a directory: choose another `out`.")
        if self.path.is_symlink() and not self.path.exists():
            raise RunError(f"{self.path} is a link that leads nowhere; a run needs a directory: choose another `out`.")

    def _other_files(self) -> Iterator[str]:
        """What no run put there."""
        for entry in self.path.iterdir():
            if entry.name == CHECKPOINTS:
                yield from (
                    f"{CHECKPOINTS}/{file.name}"
                    for file in entry.iterdir()
                    if NAME.fullmatch(file.name) is None and not self._is_part(file)
                )
            elif entry.name not in {*self._all_files(), lock.NAME} and not self._is_part(entry):
                yield entry.name

    def _is_part(self, path: Path) -> bool:
        return atomic.is_part(path.name, "|".join([NAME.pattern, *map(_escaped, self._all_files())]))


def _escaped(name: str) -> str:
    return name.replace(".", r"\.")
