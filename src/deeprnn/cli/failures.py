"""What goes wrong in a command, told in a paragraph instead of a traceback."""

import os
import traceback
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import typer
from typer.exceptions import TyperException

from deeprnn.disk.note import Note

DEBUG = "DEEPRNN_DEBUG"
"""The environment variable that, set to 1, shows the traceback of an error too."""


def complain(message: str) -> None:
    """Writes `error: message` to standard error."""
    from rich.text import Text

    from deeprnn.cli.terminal import stderr, visible

    stderr().print(Text.assemble(("error: ", "bold red"), visible(message)), soft_wrap=True)


def note(message: str) -> None:
    """Writes `note: message` to standard error: what a user should know, and nothing that went wrong."""
    from deeprnn.cli.terminal import stderr, visible

    stderr().print(f"note: {visible(message)}", soft_wrap=True)


@contextmanager
def told_plainly(resume: Callable[[], str | None] | None = None) -> Generator[None]:
    """Within the block, whatever goes wrong, and Ctrl-C, end the program with a message.

    The exit status is 1 after an error and 130 after an interrupt, as shells have it; 0 where the reader of standard
    output went away, as `head` does.

    Args:
        resume: gives the command that continues after an interrupt; None where there is nothing to continue.
    """
    try:
        with _notes_told():
            yield
    except (typer.Exit, typer.Abort, TyperException):
        raise
    except BrokenPipeError:
        raise typer.Exit(0) from None
    except KeyboardInterrupt as interrupt:
        command = resume() if resume else None
        _tell_interrupt(str(interrupt) or "Interrupted.", command)
        raise typer.Exit(130) from None
    except Exception as error:
        tell(error)
        raise typer.Exit(1) from None


@contextmanager
def _notes_told() -> Generator[None]:
    """Within the block, the package's own warnings are notes on standard error, each once."""
    with warnings.catch_warnings():
        told: set[str] = set()
        before = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if not issubclass(category, Note):
                before(message, category, *place, **more)
            elif str(message) not in told:
                told.add(str(message))
                note(str(message))

        warnings.showwarning = show
        warnings.simplefilter("always", Note)
        yield


def tell(error: Exception) -> None:
    """Tells an error; with `DEBUG` set, where it happened too."""
    if os.environ.get(DEBUG) == "1":
        traceback.print_exception(error)
    complain(describe(error))


def describe(error: Exception) -> str:
    """An error in words for the person at the terminal."""
    from deeprnn.training.errors import RunError

    message = str(error)
    if isinstance(error, MemoryError) or "can't allocate memory" in message or "out of memory" in message.lower():
        return "out of memory. A smaller --batch or --window, or a smaller network, needs less; so does a shorter text."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, RunError | ValueError | OSError) and message:
        return message
    return (
        f"{type(error).__name__}: {message}\n"
        f"  This is a defect of deeprnn. {DEBUG}=1 before the command shows where; please report it with that."
    )


def _tell_interrupt(message: str, command: str | None) -> None:
    from deeprnn.cli.terminal import stderr

    stderr().print(f"\n{message}" + (f"\nResume with:  {command}" if command else ""), soft_wrap=True)
