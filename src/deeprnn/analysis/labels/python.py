"""Labels of Python text, exact for each character, alike under Python 3.11 to 3.14.

Alike for sources that all of these versions read: what is inside an f-string counts as string, and the builtins are
those of Python 3.11. Of Unicode, each version knows the letters of its own edition.
"""

import ast
import keyword
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from deeprnn.analysis.labels.label import UNSCORED, Codes, Label, add
from deeprnn.analysis.labels.source import Source, Token, read
from deeprnn.analysis.labels.text import CHARACTER_CLASS, POSITION_CLASSES, POSITION_EDGES, bucket

BUILTINS = frozenset(
    """
    ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup BlockingIOError BrokenPipeError
    BufferError BytesWarning ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError
    ConnectionResetError DeprecationWarning EOFError Ellipsis EncodingWarning EnvironmentError Exception ExceptionGroup
    FileExistsError FileNotFoundError FloatingPointError FutureWarning GeneratorExit IOError ImportError ImportWarning
    IndentationError IndexError InterruptedError IsADirectoryError KeyError KeyboardInterrupt LookupError MemoryError
    ModuleNotFoundError NameError NotADirectoryError NotImplemented NotImplementedError OSError OverflowError
    PendingDeprecationWarning PermissionError ProcessLookupError RecursionError ReferenceError ResourceWarning
    RuntimeError RuntimeWarning StopAsyncIteration StopIteration SyntaxError SyntaxWarning SystemError SystemExit
    TabError TimeoutError TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError
    UnicodeTranslateError UnicodeWarning UserWarning ValueError Warning ZeroDivisionError __build_class__ __debug__
    __import__ abs aiter all anext any ascii bin bool breakpoint bytearray bytes callable chr classmethod compile
    complex delattr dict dir divmod enumerate eval exec filter float format frozenset getattr globals hasattr hash hex
    id input int isinstance issubclass iter len list locals map max memoryview min next object oct open ord pow print
    property range repr reversed round set setattr slice sorted staticmethod str sum super tuple type vars zip
    """.split()  # noqa: SIM905  # a hundred and fifty quoted names are no easier to read
)
"""The names that Python 3.11's `builtins` holds, without those that `site` adds for the interactive prompt."""

_DELIMITERS = frozenset("( ) [ ] { } , : . ; = -> += -= *= /= //= %= @= &= |= ^= >>= <<= **= ...".split())  # noqa: SIM905
"""Python's language reference, section 2.8; every other operator token is of section 2.7."""

_WORD_KINDS = ("keyword", "builtin", "identifier")
_TOKEN_TYPES = ("keyword", "identifier", "number", "operator", "delimiter")
_REGIONS = ("code", "string", "docstring", "comment")
_STATEMENTS: dict[str, tuple[type[ast.stmt], ...]] = {
    "assignment": (ast.Assign, ast.AugAssign, ast.AnnAssign),
    "expression": (ast.Expr,),
    "def": (ast.FunctionDef, ast.AsyncFunctionDef),
    "class": (ast.ClassDef,),
    "import": (ast.Import, ast.ImportFrom),
    "return": (ast.Return,),
    "if": (ast.If,),
    "for": (ast.For, ast.AsyncFor),
    "while": (ast.While,),
    "try": (ast.Try, ast.TryStar),
    "with": (ast.With, ast.AsyncWith),
    "raise": (ast.Raise,),
    "assert": (ast.Assert,),
    "match": (ast.Match,),
    "pass, break, continue": (ast.Pass, ast.Break, ast.Continue),
    "other": (),
}
_STATEMENT_OF: dict[type[ast.stmt], int] = {
    kind: place for place, kinds in enumerate(_STATEMENTS.values()) for kind in kinds
}
_SCOPES = ("module", "class", "method", "function", "function in a function")


def _word_kind(text: str) -> Codes:
    source = read(text)
    return _paint(source, zip(_names(source), _kinds_of_names(source), strict=True))


@lru_cache(maxsize=4)
def _kinds_of_names(source: Source) -> tuple[int, ...]:
    """The index in `_WORD_KINDS` of each name token."""
    used = {source.span(node)[0] for node in _outside_f_strings(source.tree) if _is_builtin(node)}
    soft = _soft_keywords(source)
    return tuple(
        0 if keyword.iskeyword(token.string) or token.start in soft else 1 if token.start in used else 2
        for token in _names(source)
    )


def _soft_keywords(source: Source) -> set[int]:
    """Where `match`, `case` and `type` are keywords."""
    firsts = {line.start for line in source.logical_lines}
    cases = [token.start for token in source.tokens if token.string == "case" and token.start in firsts]
    found: set[int] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Match) or type(node).__name__ == "TypeAlias":
            found.add(source.span(node)[0])
        elif isinstance(node, ast.match_case):
            found.add(cases[bisect_left(cases, source.span(node.pattern)[0]) - 1])
    return found


def _is_builtin(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in BUILTINS


def _outside_f_strings(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if not isinstance(node, ast.JoinedStr):
        for child in ast.iter_child_nodes(node):
            yield from _outside_f_strings(child)


def _position_in_token(text: str) -> Codes:
    codes = _unscored(text)
    for token in read(text).tokens:
        if token.kind == "comment":
            continue
        end = token.end
        if token.kind == "string":
            # Up to its quote, where it shows that it is a string, it may as well be a name.
            end = token.start + next(place for place, c in enumerate(token.string, 1) if c in "\"'")
        # Two dots may yet become three: each counts as its own.
        places = np.zeros(3, int) if token.string == "..." else np.arange(end - token.start)
        codes[token.start : end] = bucket(places, POSITION_EDGES)
    return codes


def _token_type(text: str) -> Codes:
    source = read(text)
    kinds = iter(_kinds_of_names(source))

    def type_of(token: Token) -> int:
        if token.kind == "name":
            return _TOKEN_TYPES.index("keyword" if next(kinds) == 0 else "identifier")
        if token.kind == "operator":
            return _TOKEN_TYPES.index("delimiter" if token.string in _DELIMITERS else "operator")
        return _TOKEN_TYPES.index("number") if token.kind == "number" else UNSCORED

    return _paint(source, ((token, type_of(token)) for token in source.tokens))


def _region(text: str) -> Codes:
    return _regions(read(text)).copy()


@lru_cache(maxsize=4)
def _regions(source: Source) -> Codes:
    codes = np.zeros(len(source.text), np.int16)
    docstrings = _docstrings(source)
    for token in source.tokens:
        if token.kind == "comment":
            codes[token.start : token.end] = _REGIONS.index("comment")
        elif token.kind == "string":
            inside = any(start <= token.start < end for start, end in docstrings)
            codes[token.start : token.end] = _REGIONS.index("docstring" if inside else "string")
    return codes


def _docstrings(source: Source) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                found += [source.span(first.value)] if isinstance(first.value.value, str) else []
    return found


def _in_comment(text: str) -> Codes:
    return (_region(text) == _REGIONS.index("comment")).astype(np.int16)


def _in_docstring(text: str) -> Codes:
    return (_region(text) == _REGIONS.index("docstring")).astype(np.int16)


def _bracket_depth(text: str) -> Codes:
    steps = np.zeros(len(text), np.int16)
    for token in read(text).tokens:
        if token.kind == "operator" and token.string in "()[]{}":
            steps[token.start] = 1 if token.string in "([{" else -1
    return np.minimum(np.cumsum(steps), 4).astype(np.int16)


def _statement_kind(text: str) -> Codes:
    source = read(text)
    codes = _unscored(text)
    for node in _statements(source.tree):
        start, end = source.span(node)
        codes[start:end] = _STATEMENT_OF.get(type(node), len(_STATEMENTS) - 1)
    codes[_region(text) == _REGIONS.index("docstring")] = UNSCORED
    return np.where(_is_code(source), codes, UNSCORED)


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Outer statements before those inside them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        if not isinstance(child, ast.expr):
            yield from _statements(child)


def _block_indent(text: str) -> Codes:
    source = read(text)
    codes = _unscored(text)
    for line in source.logical_lines:
        codes[line.start : line.end] = min(line.level, 5)
    return codes


def _enclosing_scope(text: str) -> Codes:
    source = read(text)
    codes = np.zeros(len(text), np.int16)
    _paint_scopes(source, source.tree, "module", codes)
    return np.where(_is_code(source), codes, UNSCORED)


def _paint_scopes(source: Source, node: ast.AST, outer: str, codes: Codes) -> None:
    for child in ast.iter_child_nodes(node):
        inner = outer
        if isinstance(child, ast.ClassDef):
            inner = "class"
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = {"module": "function", "class": "method"}.get(outer, "function in a function")
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            start, end = source.span(child.body[0])[0], source.span(child.body[-1])[1]
            codes[start:end] = _SCOPES.index(inner)
        if not isinstance(child, ast.expr):
            _paint_scopes(source, child, inner, codes)


def _name_seen(text: str) -> Codes:
    source = read(text)
    seen: set[str] = set()

    def values() -> Iterator[tuple[Token, int]]:
        for token, kind in zip(_names(source), _kinds_of_names(source), strict=True):
            if kind == _WORD_KINDS.index("identifier"):
                yield token, int(token.string in seen)
            if kind != _WORD_KINDS.index("keyword"):
                seen.add(token.string)

    return _paint(source, values())


def _names(source: Source) -> list[Token]:
    return [token for token in source.tokens if token.kind == "name"]


def _is_code(source: Source) -> NDArray[np.bool_]:
    """(N,): tokens other than comments, and than semicolons, which belong to no statement."""
    code = np.zeros(len(source.text), bool)
    for token in source.tokens:
        code[token.start : token.end] = token.kind != "comment" and token.string != ";"
    return code


def _paint(source: Source, values: Iterator[tuple[Token, int]]) -> Codes:
    codes = _unscored(source.text)
    for token, value in values:
        codes[token.start : token.end] = value
    return codes


def _unscored(text: str) -> Codes:
    return np.full(len(text), UNSCORED, np.int16)


for _label in (
    CHARACTER_CLASS,
    Label("word kind", _WORD_KINDS, False, _word_kind, "whether a name is a keyword, a builtin or an identifier"),
    Label(
        "position in token",
        POSITION_CLASSES,
        True,
        _position_in_token,
        "which character of its token it is; a string counts up to its quote",
    ),
    Label("token type", _TOKEN_TYPES, False, _token_type, "what kind of token it is in, inside code only"),
    Label("region", _REGIONS, False, _region, "code, string, docstring or comment; white space is code"),
    Label("in a comment", ("no", "yes"), True, _in_comment, "whether it is in a comment"),
    Label("in a docstring", ("no", "yes"), False, _in_docstring, "whether it is in a docstring"),
    Label(
        "bracket depth",
        ("0", "1", "2", "3", "4 on"),
        True,
        _bracket_depth,
        "how many brackets of the code are open; an opening one counts as inside",
    ),
    Label(
        "statement kind",
        tuple(_STATEMENTS),
        False,
        _statement_kind,
        "what the innermost statement is, in its tokens; docstrings and comments don't count",
    ),
    Label(
        "block indent",
        ("0", "1", "2", "3", "4", "5 on"),
        True,
        _block_indent,
        "how many blocks the line is in, from its first token on",
    ),
    Label(
        "enclosing scope",
        _SCOPES,
        True,
        _enclosing_scope,
        "whose body the token is in; a signature belongs to the scope around it",
    ),
    Label("name seen before", ("new", "seen"), False, _name_seen, "whether the identifier occurs earlier in the file"),
):
    add(_label, "python")
