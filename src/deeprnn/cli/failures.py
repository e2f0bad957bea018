"""What goes wrong in a command, told in a paragraph instead of a traceback."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

import typer


def complain(message: str) -> None:
    """Writes `error: message` to standard error."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(Text.assemble(("error: ", "bold red"), message))


@contextmanager
def told_plainly(resume: str | None = None) -> Generator[None]:
    """Within the block, errors that a user can mend, and Ctrl-C, end the program with a message.

    The exit status is 1 after an error and 130 after an interrupt, as shells have it.

    Args:
        resume: the command that goes on after an interrupt.
    """
    try:
        yield
    except BrokenPipeError:  # the reader of a pipe went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except KeyboardInterrupt as interrupt:
        message = str(interrupt) or "Interrupted."
        typer.echo(f"\n{message}" + (f"\nGo on with:  {resume}" if resume else ""), err=True)
        raise typer.Exit(130) from None
    except MemoryError as error:
        complain(f"out of memory ({error}); a smaller --batch or --window, or a smaller network, needs less.")
        raise typer.Exit(1) from None
    except (ValueError, OSError) as error:
        complain(str(error))
        raise typer.Exit(1) from None
    except RuntimeError as error:
        if not _is_told(error):
            raise
        complain(str(error))
        raise typer.Exit(1) from None


def _is_told(error: RuntimeError) -> bool:
    """Whether an error's message is meant for the user; others are defects, which a traceback helps to find."""
    from deeprnn.training.errors import RunError

    if isinstance(error, RunError):
        return True
    if "can't allocate memory" in str(error) or "out of memory" in str(error):
        error.args = ("out of memory; a smaller --batch or --window, or a smaller network, needs less.",)
        return True
    return False
