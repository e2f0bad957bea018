"""A run's directory: which of its files are a run's, whether a new run may go there, and who may write there now."""

import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from deeprnn.disk import atomic, lock, marks
from deeprnn.saving import CONFIG, WEIGHTS
from deeprnn.training.checkpoint import NAME, checkpoint_paths
from deeprnn.training.errors import RunError, writing

PLAN, VOCABULARY, MANIFEST = "training.json", "vocabulary.json", "manifest.json"
METRICS, CHECKPOINTS, EVALUATION, DRAWING = "metrics.csv", "checkpoints", "evaluation.json", "net.svg"
TABLE, SUMMARY, PAGE = "analysis.parquet", "analysis.json", "explorer.html"

_TRAINING = {
    PLAN: marks.PLAN,
    VOCABULARY: marks.VOCABULARY,
    MANIFEST: marks.MANIFEST,
    METRICS: marks.METRICS,
    CONFIG: marks.CONFIG,
    WEIGHTS: marks.WEIGHTS,
    EVALUATION: marks.EVALUATION,
    DRAWING: marks.DRAWING,
}
"""What a training writes. The plan comes first: a directory without one is not a run."""
_ALL = {**_TRAINING, TABLE: marks.TABLE, SUMMARY: marks.ANALYSIS, PAGE: marks.PAGE}


@contextmanager
def held(path: Path) -> Generator[lock.Lock]:
    """Holds a directory, which is made if need be, for as long as the block lasts.

    Raises:
        RunError: another process holds it; the message says which. Or it can't be written.
    """
    with ExitStack() as stack:
        with writing(path):
            _check_directory(path)
            taken = stack.enter_context(lock.Lock(path))
        yield taken


def check_free(path: Path, *, overwrite: bool, abandoned: bool) -> None:
    """Raises RunError where a new run can't be put here without harm to what is there.

    Args:
        overwrite: a run that is there may be replaced.
        abandoned: a process that was making a run here was killed: what it left, before its first step, is not a run.
    """
    _check_directory(path)
    if not path.exists():
        return
    check_own(path, _ALL)
    with writing(path):
        for file in checkpoint_paths(path / CHECKPOINTS):
            marks.check_replaceable(file, marks.CHECKPOINT)
    exists = marks.is_ours(path / PLAN, marks.PLAN)
    others = sorted(_others(path))
    if others and not exists:
        raise RunError(
            f"{path} holds files of another kind, such as {others[0]}; it is left as it is.\n"
            f"  Choose another directory: --out runs/NAME"
        )
    begun = [name for name in _ALL if (path / name).exists()] + checkpoint_paths(path / CHECKPOINTS)
    barely_begun = abandoned and not exists and not checkpoint_paths(path / CHECKPOINTS)
    if begun and not overwrite and not barely_begun:
        remedy = "Continue it: --resume. " if exists else ""
        raise RunError(
            f"{path} holds a run already. {remedy}Replace it: --overwrite.\n"
            f"  Or leave it, and choose another directory: --out runs/NAME"
        )


def check_own(path: Path, files: dict[str, marks.Mark] | None = None) -> None:
    """Raises RunError where something that no run wrote stands in the place of a file that a training writes."""
    with writing(path):
        for name, mark in (files or _TRAINING).items():
            marks.check_replaceable(path / name, mark)
        checkpoints = path / CHECKPOINTS
        if os.path.lexists(checkpoints) and (checkpoints.is_symlink() or not checkpoints.is_dir()):
            raise marks.ForeignFileError(
                f"{checkpoints} is not a directory of its own but a {'link' if checkpoints.is_symlink() else 'file'}.\n"
                f"  Move it away; to keep a run on another disk, link the whole of {path} there."
            )


def clear(path: Path) -> None:
    """Removes a run's files, and no others: each carries its mark. Links are not followed."""
    for name, mark in _ALL.items():
        if marks.is_ours(path / name, mark):
            (path / name).unlink()
    sweep(path)
    checkpoints = path / CHECKPOINTS
    if not checkpoints.is_symlink():
        for file in checkpoint_paths(checkpoints):
            if marks.is_ours(file, marks.CHECKPOINT):
                file.unlink()
        with suppress(OSError):  # it holds files of somebody else
            checkpoints.rmdir()


def sweep(path: Path) -> None:
    """Removes what killed processes left half-written in a run's directory."""
    with suppress(OSError):
        atomic.sweep(path, "|".join(map(_escaped, _ALL)))
    if not (path / CHECKPOINTS).is_symlink():
        with suppress(OSError):
            atomic.sweep(path / CHECKPOINTS, NAME.pattern)


def _check_directory(path: Path) -> None:
    """Raises RunError where no directory is, and none can be made."""
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file; a run needs a directory: --out another name.")
    if path.is_symlink() and not path.exists():
        raise RunError(f"{path} is a link that leads nowhere; a run needs a directory: --out another name.")


def _others(path: Path) -> Iterator[str]:
    """What no run put there."""
    for entry in path.iterdir():
        if entry.name == CHECKPOINTS:
            yield from (
                f"{CHECKPOINTS}/{file.name}"
                for file in entry.iterdir()
                if NAME.fullmatch(file.name) is None and not _is_part(file)
            )
        elif entry.name not in {*_ALL, lock.NAME} and not _is_part(entry):
            yield entry.name


def _is_part(path: Path) -> bool:
    names = "|".join([NAME.pattern, *map(_escaped, _ALL)])
    return atomic.is_part(path.name, names)


def _escaped(name: str) -> str:
    return name.replace(".", r"\.")
