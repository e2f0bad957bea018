"""What can go wrong with a run: its errors, and its warnings."""

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from deeprnn.disk.file_warning import FileWarning


class RunError(RuntimeError):
    """A run can't be started, continued or written; the message names the file and says what to do."""


class Diverged(RunError):
    """The loss or a weight is no longer a finite number."""


class Stopped(KeyboardInterrupt):
    """Training was interrupted, and saved what it had; the message says where.

    Attributes:
        path: the run's directory.
        step: the last step that was saved.
    """

    def __init__(self, path: Path, step: int, steps: int) -> None:
        self.path, self.step = path, step
        super().__init__(f"Stopped at step {step:,} of {steps:,}; all is saved in {path}.")


def warn(message: str) -> None:
    """Issues a FileWarning about a run."""
    warnings.warn(message, FileWarning, stacklevel=3)


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Turns what a full disk or a read-only directory raises into a RunError that names `path`."""
    from safetensors import SafetensorError

    from deeprnn.disk.lock import HeldError
    from deeprnn.disk.marks import ForeignFileError

    try:
        yield
    except (ForeignFileError, HeldError) as error:
        raise RunError(str(error)) from error
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise RunError(
            f"{path} could not be written: {reason}.\n"
            f"  What was written before is whole. Make room or allow writing there, then continue with `resume(out)`."
        ) from error


@contextmanager
def reading(path: Path | None = None) -> Generator[None]:
    """Turns what a missing or damaged file raises into a RunError; its message begins with `path` if that is given."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: {error}" if path else str(error)) from error
