"""Errors of a command as messages instead of tracebacks, with the library's arguments as the command's options."""

import os
import re
import traceback
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import typer
from typer.exceptions import TyperException

from deeprnn.disk.file_warning import FileWarning

DEBUG = "DEEPRNN_DEBUG"
"""The environment variable that, set to 1, shows the traceback of an error too."""

OPTIONS = {
    "batch": "--batch",
    "bptt": "--bptt",
    "learning_rate": "--learning-rate",
    "weight_decay": "--weight-decay",
    "warm_up": "--warm-up",
    "max_grad_norm": "--max-grad-norm",
    "seed": "--seed",
    "threads": "--threads",
    "device": "--device",
    "precision": "--precision",
    "checkpoint_seconds": "--checkpoint-seconds",
    "corpus": "--text",
    "Bytes": "--vocabulary bytes",
    "layers": "--layers",
    "out": "--out",
    "overwrite": "--overwrite",
    "resume": "--resume",
    "length": "--length",
    "temperature": "--temperature",
}
"""The library's arguments and calls, and the options that stand for them."""
_ARGUMENT = re.compile(r"`(\w+)(?:\((\w*)\)|=([^`]*))?`")


def print_error(message: str) -> None:
    """Writes `error: message` to standard error."""
    from rich.text import Text

    from deeprnn.cli.terminal import stderr, visible

    stderr().print(Text.assemble(("error: ", "bold red"), visible(message)), soft_wrap=True)


def print_note(message: str) -> None:
    """Writes `note: message` to standard error: what a user should know, and nothing that went wrong."""
    from deeprnn.cli.terminal import stderr, visible

    stderr().print(f"note: {visible(message)}", soft_wrap=True)


@contextmanager
def errors_as_messages(resume: Callable[[], str | None] | None = None) -> Generator[None]:
    """Within the block, whatever goes wrong, and Ctrl-C, end the program with a message.

    The exit status is 1 after an error and 130 after an interrupt, as shells have it; 0 where the reader of standard
    output went away, as `head` does.

    Args:
        resume: gives the command that continues after an interrupt; None where there is nothing to continue.
    """
    try:
        with _warnings_as_notes():
            yield
    except (typer.Exit, typer.Abort, TyperException):
        raise
    except BrokenPipeError:
        raise typer.Exit(0) from None
    except KeyboardInterrupt as interrupt:
        command = resume() if resume else None
        _print_interrupt(str(interrupt) or "Interrupted.", command)
        raise typer.Exit(130) from None
    except Exception as error:
        print_exception(error)
        raise typer.Exit(1) from None


@contextmanager
def _warnings_as_notes() -> Generator[None]:
    """Within the block, the package's own warnings are notes on standard error, each once."""
    with warnings.catch_warnings():
        printed: set[str] = set()
        before = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if not issubclass(category, FileWarning):
                before(message, category, *place, **more)
            elif str(message) not in printed:
                printed.add(str(message))
                print_note(str(message))

        warnings.showwarning = show
        warnings.simplefilter("always", FileWarning)
        yield


def print_exception(error: Exception) -> None:
    """Prints an error's message to standard error; with `DEBUG` set, its traceback too."""
    if os.environ.get(DEBUG) == "1":
        traceback.print_exception(error)
    print_error(describe(error))


def as_options(message: str) -> str:
    """A message of the library, whose arguments stand in backticks, in a command's words.

    >>> as_options("`batch` must be at least 1, got 0; `overwrite=True` replaces the run, `resume(out)` continues it")
    '--batch must be at least 1, got 0; --overwrite replaces the run, --resume continues it'
    """

    def option(match: "re.Match[str]") -> str:
        if match[1] not in OPTIONS:
            return match[0]
        value = match[3]
        return OPTIONS[match[1]] + (f" {value}" if value and value != "True" else "")

    return _ARGUMENT.sub(option, message)


def describe(error: Exception) -> str:
    """An error in words for the person at the terminal."""
    from deeprnn.training.errors import RunError

    message = str(error)
    if isinstance(error, MemoryError) or "can't allocate memory" in message or "out of memory" in message.lower():
        return "out of memory. A smaller --batch or --bptt, a smaller network or a shorter text needs less."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, RunError | ValueError | OSError) and message:
        return as_options(message)
    return (
        f"{type(error).__name__}: {message}\n"
        f"  This is a defect of deeprnn. {DEBUG}=1 before the command shows where; please report it with that."
    )


def _print_interrupt(message: str, command: str | None) -> None:
    from deeprnn.cli.terminal import stderr

    stderr().print(f"\n{message}" + (f"\nResume with:  {command}" if command else ""), soft_wrap=True)
