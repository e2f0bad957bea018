"""A Python source, read by `tokenize` and `ast`, in character offsets and alike under Python 3.11 to 3.14."""

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Literal, NamedTuple, TypeAlias

TokenKind: TypeAlias = Literal["name", "number", "string", "operator", "comment"]


class UnreadableSource(ValueError):
    """A text that this Python cannot read as Python; the message says where."""


class Token(NamedTuple):
    """One token that has characters; an f-string is one "string", from its prefix to its closing quote."""

    kind: TokenKind
    start: int
    end: int
    string: str


class LogicalLine(NamedTuple):
    """A statement's line, or several joined by brackets or backslashes: offsets, and how many blocks it is in."""

    start: int
    end: int
    level: int


@dataclass(frozen=True, eq=False)
class Source:
    """A text with its tokens, logical lines and syntax tree."""

    text: str
    tokens: tuple[Token, ...]
    logical_lines: tuple[LogicalLine, ...]
    tree: ast.Module
    line_starts: tuple[int, ...]

    def span(self, node: ast.AST) -> tuple[int, int]:
        """The offsets of a node's first character and behind its last; decorators count as part of what they decorate.

        `node` is one that has a position.
        """
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        end_line, end_column = getattr(node, "end_lineno", line), getattr(node, "end_col_offset", column)
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        start = self._offset(decorators[0].lineno, 0) if decorators else self._offset(line, column)
        return start, self._offset(end_line, end_column)

    def _offset(self, line: int, column: int) -> int:
        # ast counts a line's UTF-8 bytes.
        start = self.line_starts[line - 1]
        text = self.text[start : start + column]
        if text.isascii():
            return start + column
        return start + len(text.encode()[:column].decode())


@lru_cache(maxsize=4)
def read(text: str) -> Source:
    """A text as Python.

    Raises:
        UnreadableSource: it does not parse, or holds a carriage return.
    """
    if "\r" in text:
        raise UnreadableSource(
            "the text holds a carriage return; Python's own line ends are newlines: open files in text mode, "
            "or text.replace('\\r\\n', '\\n')."
        )
    starts = (0, *accumulate(len(line) + 1 for line in text.split("\n")))
    try:
        with warnings.catch_warnings():
            # What the source's author is warned of, such as an invalid escape, does not matter here.
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
        tokens, lines = _tokens(text, starts)
    except (SyntaxError, tokenize.TokenError, ValueError, RecursionError, MemoryError) as error:
        raise UnreadableSource(f"the text is not valid Python for this version: {error!r}") from error
    return Source(text, tokens, lines, tree, starts)


def _tokens(text: str, starts: tuple[int, ...]) -> tuple[tuple[Token, ...], tuple[LogicalLine, ...]]:
    tokens: list[Token] = []
    lines: list[LogicalLine] = []
    level, line_start = 0, None
    for info in _whole_f_strings(tokenize.generate_tokens(io.StringIO(text, newline="\n").readline)):
        if info.type == tokenize.INDENT:
            level += 1
        elif info.type == tokenize.DEDENT:
            level -= 1
        elif info.type == tokenize.NEWLINE:
            if line_start is not None:
                lines.append(LogicalLine(line_start, _place(info.start, starts), level))
            line_start = None
        elif info.type in _KINDS:
            start, end = _place(info.start, starts), _place(info.end, starts)
            tokens.append(Token(_KINDS[info.type], start, end, text[start:end]))
            if info.string and info.string != text[start:end]:
                raise ValueError(f"tokenize puts {info.string!r} at line {info.start[0]}, where it is not")
            if line_start is None and info.type != tokenize.COMMENT:
                line_start = start
        elif info.type == tokenize.ERRORTOKEN and not info.string.isspace():
            raise ValueError(f"{info.string!r} at line {info.start[0]} is not a token")
    return tuple(tokens), tuple(lines)


def _whole_f_strings(tokens: Iterator[tokenize.TokenInfo]) -> Iterator[tokenize.TokenInfo]:
    """From Python 3.12 on an f-string comes in parts; here it is one string again, with an empty `string`."""
    depth, begins = 0, (0, 0)
    for token in tokens:
        name = tokenize.tok_name[token.type]
        if name in ("FSTRING_START", "TSTRING_START"):
            begins = begins if depth else token.start
            depth += 1
        elif name in ("FSTRING_END", "TSTRING_END"):
            depth -= 1
            if not depth:
                yield tokenize.TokenInfo(tokenize.STRING, "", begins, token.end, token.line)
        elif not depth:
            yield token


def _place(position: tuple[int, int], starts: tuple[int, ...]) -> int:
    line, column = position
    return starts[line - 1] + column


_KINDS: dict[int, TokenKind] = {
    tokenize.NAME: "name",
    tokenize.NUMBER: "number",
    tokenize.STRING: "string",
    tokenize.OP: "operator",
    tokenize.COMMENT: "comment",
}
