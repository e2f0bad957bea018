"""Standard output and error as the commands use them: what is printed can't end a command, nor steer the terminal."""

import contextlib
import os
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any, TextIO
from weakref import WeakKeyDictionary

from rich.console import Console
from rich.text import Text

NAME_WIDTH = 20
"""The column at which the values of `print_rows` begin."""
_LEAST_WIDTH = 10


_failures: WeakKeyDictionary[TextIO, OSError] = WeakKeyDictionary()
"""Streams that could not be written, and why."""


class Surviving:
    """A text stream that outlives its reader: what can't be written is dropped, and `failure` says why.

    A training must not end because `head` has read enough, a disk with a log is full, or a terminal was closed.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = lenient(stream)

    @property
    def failure(self) -> OSError | None:
        """Why the stream is written to no longer, whoever wrote."""
        return None if self._stream is None else _failures.get(self._stream)

    def write(self, text: str) -> int:
        self._attempt("write", text)
        return len(text)

    def flush(self) -> None:
        self._attempt("flush")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _attempt(self, method: str, *arguments: str) -> None:
        if self._stream is None or self._stream.closed or self.failure is not None:
            return
        try:
            getattr(self._stream, method)(*arguments)
        except OSError as error:
            _failures[self._stream] = error
            _discard(self._stream)


class Terminal(Console):
    """A console on which text is text: no markup, no emoji codes; see `Surviving`."""

    def __init__(self, stream: TextIO | None, *, stderr: bool = False) -> None:
        self.stream = Surviving(stream)
        super().__init__(
            file=self.stream,  # type: ignore[arg-type]  # it writes, flushes, and passes on all else
            stderr=stderr,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def check(self) -> None:
        """Raises OSError where what was printed could not be written, except to a reader that went away."""
        if self.stream.failure is not None and not isinstance(self.stream.failure, BrokenPipeError):
            raise _named(self.stream.failure)


def stdout() -> Terminal:
    """The console for results."""
    return Terminal(sys.stdout)


def stderr() -> Terminal:
    """The console for progress and errors."""
    return Terminal(sys.stderr, stderr=True)


def write(text: str) -> None:
    """Writes text to standard output, now.

    Raises:
        BrokenPipeError: its reader went away. OSError: it can't be written. Nothing more is written after either.
    """
    stream = lenient(sys.stdout)
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _discard(stream)
        raise
    except OSError as error:
        _discard(stream)
        raise _named(error) from error


def forget_useless_width() -> None:
    """Drops a COLUMNS that is no width to read in: with 0, rich would print nothing at all."""
    width = os.environ.get("COLUMNS", "")
    if not (width.isascii() and width.isdecimal() and len(width) < 5 and int(width) >= _LEAST_WIDTH):
        os.environ.pop("COLUMNS", None)


def print_rows(console: Console, title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Names and values, a line each; in a window a long one is wrapped between words, and a file gets it whole."""
    whole = not console.is_terminal
    if title:
        console.print(Text(visible(title), style="bold"), soft_wrap=True)
    for name, value in rows:
        console.print(Text.assemble((f"{name:{NAME_WIDTH}}", "dim"), visible(value)), soft_wrap=whole)


def visible(text: str) -> str:
    r"""Text with its control characters shown, so that none acts on the terminal; newlines and tabs stay.

    >>> visible("\x1b[31mred\r\n")
    '\\x1b[31mred\n'
    """
    return _CONTROLS.sub(lambda match: ascii(match[0])[1:-1], text.replace("\r\n", "\n"))


def shell_word(text: str) -> str:
    r"""Text as one word of a shell's command line; what can't be shown or is not UTF-8 in bash's form.

    >>> shell_word("runs/a b"), shell_word("caf\udce9")
    ("'runs/a b'", "$'caf\\xe9'")
    """
    if not _CONTROLS.search(text) and text.isprintable():
        return shlex.quote(text)
    content = text.encode(errors="surrogateescape") if _DECODED.fullmatch(text) else text.encode(errors="replace")
    return "$'" + "".join(_shell_byte(byte) for byte in content) + "'"


def _shell_byte(byte: int) -> str:
    return f"\\{byte:c}" if byte in b"\\'" else f"{byte:c}" if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"


_DECODED = re.compile("[^\ud800-\udc7f\udd00-\udfff]*")
"""What os.fsdecode can give: lone surrogates that stand for bytes, and no others."""
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of writing."""


def lenient(stream: TextIO | None) -> TextIO | None:
    r"""The stream, set to write characters that its encoding lacks as escapes such as \u0416."""
    if stream is not None and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]
    return stream


def open_missing_streams() -> None:
    """Gives a program that was started without standard streams (`>&-`) such that lead nowhere.

    Otherwise the next file that it opens takes their number, and what is printed lands in that file.
    """
    if os.name != "posix":
        return
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
            if opened == number and getattr(sys, name) is None:
                setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def _discard(stream: TextIO) -> None:
    """Leads a stream nowhere, so that what it still holds does not fail when the program ends."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _named(error: OSError) -> OSError:
    return OSError(f"standard output could not be written: {error.strerror or error}")
