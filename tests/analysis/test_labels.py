"""Labels: their values by hand, that the causal ones look at nothing to come, and that every Python gives the same."""

import io
import json
import os
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprnn.analysis import labels
from deeprnn.analysis.labels import Label

SAMPLE = '''\
"""Doc."""
import os, re as r  # two

class A(B):
    'of A'
    x: int = 0x1F

    @property
    async def f(self, *, n=(1, [2])) -> str:
        # note "q"
        if n is None: return f"{n!r:>{len(n)}} {{x}}" 'tail' + rb'\\''
        elif self.x != 1.5e-3 : pass
        else:
            """no doc"""
        def g(y):
            return lambda z: print(z, y,
                file=...)
        for i in range(3):
            try:
                x = y = i ; del x
            except (ValueError, *E) as print:
                raise
        match n:
            case [1, _] if case:
                match = type(n)
        return "\\
end"

def é(match):
    u"""é doc"""
    return match.print @ match
x **= 2
'''


def starts(text: str) -> list[int]:
    return [0, *(at + 1 for at, c in enumerate(text) if c == "\n")]


def shows(picture: str, label: str, kind: labels.Kind = "python") -> None:
    """That the labels are as drawn: lines of text, each with a digit for the class beneath, a dot for unscored."""
    lines = picture.strip("\n").split("\n")
    text = "\n".join(lines[::2])
    codes = (labels.for_python if kind == "python" else labels.for_text)(text)[label]
    marks = "".join("." if code < 0 else str(code) for code in codes)
    drawn = [row for at, line in zip(starts(text), lines[::2], strict=True) for row in (line, marks[at:][: len(line)])]
    assert drawn == lines


def marked(text: str, label: str, name: str) -> list[str]:
    """The runs of characters of one class."""
    chosen = next(one for one in labels.all_of("python") if one.name == label)
    on = chosen(text) == chosen.classes.index(name)
    joined = "".join(c if yes else "\0" for c, yes in zip(text, on, strict=True))
    return [run for run in joined.split("\0") if run]


def test_regions() -> None:
    assert marked(SAMPLE, "region", "docstring") == ['"""Doc."""', "'of A'", 'u"""é doc"""']
    assert marked(SAMPLE, "region", "comment") == ["# two", '# note "q"']
    assert marked(SAMPLE, "region", "string") == [
        'f"{n!r:>{len(n)}} {{x}}"',
        "'tail'",
        "rb'\\''",
        '"""no doc"""',
        '"\\\nend"',
    ]
    assert marked(SAMPLE, "in a comment", "yes") == ["# two", '# note "q"']
    assert marked(SAMPLE, "in a docstring", "yes") == marked(SAMPLE, "region", "docstring")
    assert (labels.for_python(SAMPLE)["region"] >= 0).all()
    assert marked('def f():\n  ("a"\n  "b")', "region", "docstring") == ['"a"', '"b"']
    assert marked('"a".b()', "region", "docstring") == []
    assert marked('x = 1\n"late"', "region", "docstring") == []
    assert marked('f"{x}"', "region", "docstring") == []


def test_words() -> None:
    keywords = "import as class async def if is None return elif pass else def return lambda for in try del"
    keywords += " except as raise match case if return def return"
    assert marked(SAMPLE, "word kind", "keyword") == keywords.split()
    builtins = "int property str print range ValueError type"
    assert marked(SAMPLE, "word kind", "builtin") == builtins.split()
    identifiers = "os re r A B x f self n n self x g y z z y file i x y i x E print n _ case match n é match"
    identifiers += " match print match x"
    assert marked(SAMPLE, "word kind", "identifier") == identifiers.split()


def test_names_seen_before() -> None:
    new = "os re r A B x f self n g y z file i E _ case match é"
    assert marked(SAMPLE, "name seen before", "new") == new.split()
    assert marked("a = b\nb.a(a=len)", "name seen before", "seen") == ["b", "a", "a"]
    assert marked("a = b\nb.a(a=len)", "name seen before", "new") == ["a", "b"]


def test_token_types() -> None:
    shows(
        """
a.b=-1.5e3 if x!=y else [...,0] # c
1414322222.00.1331.0000.4444424....
@e
31
def f()->g: 's'
000.1444414....
""",
        "token type",
    )


def test_position_in_token() -> None:
    shows(
        '''
abcdefghijk **= ...+rb'x' #a
01234444555.012.0000012.....
"""s"""
0......
''',
        "position in token",
    )


def test_bracket_depth() -> None:
    shows(
        """
f(a[1],{'(':(0)}) # (
011221122222332100000
((((((1))))))
1234444443210
""",
        "bracket depth",
    )


def test_block_indent() -> None:
    shows(
        '''
if a:
00000
  b
..1
  # c
.....
  if d:
..11111
    """
....222
e"""
2222
  f(
..11
g) # h
111111
i
0
''',
        "block indent",
    )


def test_statement_kinds() -> None:
    lines = [
        ("a = b; c += 1", "assignment"),
        ("print(1)", "expression"),
        ("from a import b", "import"),
        ("assert a, (b)", "assert"),
        ("async def f(): return", "def return"),
        ("@d\nclass A: x: int", "class assignment"),
        ("for a in b: continue\nelse: pass", "for pass, break, continue|for pass, break, continue"),
        ("while a: raise", "while raise"),
        ("with a as b: del c", "with other"),
        ("try: a\nexcept* B: import c\nfinally: pass", "try expression|try import|try pass, break, continue"),
        ("match a:\n case 1: pass", "match|match pass, break, continue"),
        ("if a: b\nelif c: 'd'\nelse: lambda: e", "if expression|if expression|if expression"),
    ]
    kinds = next(label for label in labels.all_of("python") if label.name == "statement kind")
    for text, expected in lines:
        codes = kinds(text)
        found = []
        for at, line in zip(starts(text), text.split("\n"), strict=True):
            row = [kinds.classes[code] for code in codes[at : at + len(line)] if code >= 0]
            found.append(" ".join(name for place, name in enumerate(row) if place == 0 or row[place - 1] != name))
        assert "|".join(found).removeprefix("class|") == expected, text
    assert kinds('"""d"""\n# c\n1 # e').tolist() == [-1] * 12 + [1] + [-1] * 4


def test_enclosing_scopes() -> None:
    shows(
        """
@d
00
class A(B):
00000.00000
 x=1; x=1
.111..111
 @e
.11
 def g(h=i):
.111.1111111
  'doc' # c
..22222....
  def k():
..222.2222
   return w
...444444.4
  class C:
..22222.22
   x=1
...111
 if y:
.11.11
  def j(): z
..111.1111.2
def f(): (
000.0000.3
 1); 2
.33..3
f(a)
0000
""",
        "enclosing scope",
    )


def test_character_classes() -> None:
    text = "aZß中7 \n\t_'(+\ud800"
    names = next(label for label in labels.all_of("text") if label.name == "character class")
    expected = "lower upper lower other digit space newline space underscore quote bracket mark mark"
    for c, word, code in zip(text, expected.split(), names(text), strict=True):
        assert word in names.classes[code], c
    assert names("").shape == (0,)


def test_position_in_word() -> None:
    shows(
        """
He said "Don't (go)", 3.5 abcdefghijklm é_b
01.0123..012.0..01....0.0.0123444455555.0.0
""",
        "position in word",
        "text",
    )


def test_position_in_sentence() -> None:
    shows(
        """
One two. "Three four." Five 1.5 etc. i? j
000.111...00000.1111...0000.1.2.222..0..0
a b c d e f g h i j k l m n o p q r s t u v
1.2.2.2.3.3.3.3.3.4.4.4.4.4.4.4.4.4.4.5.5.5
""",
        "position in sentence",
        "text",
    )
    assert labels.for_text("six\n \nseven eight\nnine")["position in sentence"][[0, 6, 12, 18]].tolist() == [0, 0, 1, 2]


def test_in_quotes() -> None:
    shows(
        """
a "b" (“c” d) 'e' "f
00110001100000000011
g" "h
10011
""",
        "in quotes",
        "text",
    )
    assert labels.for_text('a "b\n \nc "d')["in quotes"].tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 1]


def test_in_parentheses() -> None:
    shows(
        """
a (b [c {d} e] f) g ) (h
001112222222211100000011
i
1
""",
        "in parentheses",
        "text",
    )
    assert labels.for_text("(\n\na")["in parentheses"].tolist() == [1, 1, 0, 0]


def test_line_length_and_paragraph_position() -> None:
    text = "x" * 85 + "\n" + "y" * 12
    expected = [0] * 10 + [1] * 10 + [2] * 20 + [3] * 20 + [4] * 20 + [5] * 6 + [0] * 10 + [1] * 2
    assert labels.for_text(text)["line length so far"].tolist() == expected
    words = "w " * 102 + "\n\t\n" + "v"
    codes = labels.for_text(words)["paragraph position"]
    assert codes[codes >= 0].tolist() == [0] * 5 + [1] * 15 + [2] * 30 + [3] * 50 + [4] * 2 + [0]


def test_word_frequency_cuts_the_occurrences_in_quarters() -> None:
    text = "the a the b the c the d a a e"
    codes = labels.for_text(text)["word frequency"]
    assert {word: int(codes[text.rindex(word)]) for word in ("the", "a", "b", "c", "e")} == {
        "the": 0,
        "a": 2,
        "b": 2,
        "c": 3,
        "e": 3,
    }
    fixed = labels.word_frequency("the the the of")
    assert fixed("Of the unknown").tolist() == [3, 3, -1, 1, 1, 1, -1] + [3] * 7


# What the causal labels may see.


@given(st.text(alphabet=st.sampled_from(list("ab3 _\n\t.!?\"“”()[]{}'’é+")), max_size=60), st.integers(0, 60))
def test_causal_labels_of_any_text_don_t_change_when_it_is_cut(text: str, cut: int) -> None:
    for label in labels.all_of("text"):
        if label.causal:
            assert (label(text[:cut]) == label(text)[:cut]).all(), label.name


MORE = ("", "x", "=", "0", ".", "'", '"', "(", "[1", ")", ":", "\n", ",", " #", "\\", "''", '""', "e", "+1")
ENDINGS = ("", "\n", " pass\n", ": pass\n", " = 1\n", " x\n", " x: pass\n", "\nexcept: pass\n", "()\n")


def continuations(text: str, cut: int, random: Random) -> Iterator[str]:
    """Python texts that begin as this one does up to `cut` and go on in other ways."""
    prefix = text[:cut]
    closers, quote = left_open(prefix)
    line = prefix[prefix.rfind("\n") + 1 :]
    margin = "" if closers else line[: len(line) - len(line.lstrip())]
    tails = ("", f"{margin}pass\n", f"{margin}  pass\n", f"{margin} x\nf(')')\n")
    ways = list(product(MORE, (quote + closers,), ENDINGS, tails))
    for way in random.sample(ways, 80):
        candidate = prefix + "".join(way)
        if labels.readable({"": candidate}).texts:
            yield candidate


def left_open(prefix: str) -> tuple[str, str]:
    """What closes the brackets, and the triple quote, that a cut text leaves open."""
    closers: list[str] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(prefix).readline):
            if token.type == tokenize.OP and token.string in "([{":
                closers.append(")]}"["([{".index(token.string)])
            elif token.type == tokenize.OP and token.string in ")]}" and closers:
                closers.pop()
    except (tokenize.TokenError, SyntaxError):
        return "".join(reversed(closers)), next((mark for mark in ("'''", '"""') if prefix.count(mark) % 2), "")
    return "", ""


def test_causal_labels_of_python_don_t_change_when_it_goes_on_otherwise() -> None:
    original, random = labels.for_python(SAMPLE), Random(0)
    changed = {label.name: 0 for label in labels.all_of("python")}
    cuts = 0
    for cut in range(1, len(SAMPLE), 2):
        texts = list(islice(continuations(SAMPLE, cut, random), 4))
        cuts += bool(texts)
        for text in texts:
            for name, codes in labels.for_python(text).items():
                changed[name] += not np.array_equal(codes[:cut], original[name][:cut])
    assert cuts > len(SAMPLE) / 4
    # Those that are marked as anticipatory do change, so the test can tell.
    assert {name for name, count in changed.items() if not count} == {
        label.name for label in labels.all_of("python") if label.causal
    }


def test_word_frequency_is_anticipatory() -> None:
    assert not next(label for label in labels.all_of("text") if label.name == "word frequency").causal
    frequency = labels.word_frequency("a a a ab")
    assert frequency("a")[0] != frequency("ab")[0]


# What cannot be read, and other Pythons.


@pytest.mark.parametrize(
    "text", ["x =", "def f(:\n", "'''", "\tx\n  y", "a\0b", "x\r\ny", "(" * 10000, "print 1", "é = $"]
)
def test_what_is_no_python_is_refused_and_its_file_skipped(text: str) -> None:
    with pytest.raises(labels.UnreadableSource, match="carriage return" if "\r" in text else "not valid Python"):
        labels.for_python(text)
    texts, skipped = labels.readable({"good.py": "x = 1\n", "bad.py": text})
    assert list(texts) == ["good.py"]
    assert list(skipped) == ["bad.py"]


def test_no_characters() -> None:
    assert all(codes.shape == (0,) for codes in (labels.for_python("") | labels.for_text("")).values())


def test_warnings_of_the_source_are_not_raised() -> None:
    assert labels.for_python("'\\d' is 1")["region"].tolist() == [1, 1, 1, 1] + [0] * 5


def test_the_builtins_are_pythons() -> None:
    import builtins

    prompt = {"copyright", "credits", "exit", "help", "license", "quit", "_"}
    dunders = {"__doc__", "__loader__", "__name__", "__package__", "__spec__"}
    own = set(dir(builtins)) - prompt - dunders
    assert own >= set(labels.BUILTINS) | {"False", "None", "True"}
    if sys.version_info[:2] == (3, 11):
        assert own == set(labels.BUILTINS) | {"False", "None", "True"}


FILES = ("dataclasses", "argparse", "ast", "json/decoder", "typing", "tokenize", "string", "pprint")
CHILD = """
import json, sys, types
root = sys.argv[1]
for name, path in (("deeprnn", root), ("deeprnn.analysis", root + "/analysis")):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
from deeprnn.analysis import labels
def codes(text):
    return {label.name: label(text).tolist() for kind in ("text", "python") for label in labels.all_of(kind)}
texts = json.load(sys.stdin)
print(json.dumps({name: codes(text) for name, text in texts.items()}))
"""


def other_pythons() -> list[str]:
    """Interpreters of 3.11 to 3.14, other than this one's version, that have NumPy."""
    found = []
    for minor in range(11, 15):
        path = shutil.which(f"python3.{minor}")
        if minor != sys.version_info.minor and path:
            check = run_in(path, f"import numpy, sys; sys.exit(sys.version_info[:2] != (3, {minor}))")
            found += [path] if check.returncode == 0 else []  # a version manager may have the name and no Python
    return found


def run_in(python: str, program: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """The program in another interpreter, which doesn't find this one's packages."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [python, "-c", program, *arguments], input=given, env=clean, text=True, capture_output=True, check=False
    )


@pytest.mark.parametrize("python", other_pythons() or [pytest.param("", marks=pytest.mark.skip("no other Python"))])
def test_every_python_gives_the_same_labels(python: str) -> None:
    minor, theirs = run_in(python, "import os, sys; print(sys.version_info.minor, os.__file__)").stdout.split(" ", 1)
    # The older one's library: it can't read the syntax of the newer one's.
    library = Path(theirs.strip() if int(minor) < sys.version_info.minor else os.__file__).parent
    texts = {name: (library / f"{name}.py").read_text("utf-8") for name in FILES}
    texts["sample"] = SAMPLE
    done = run_in(python, CHILD, str(Path(labels.__file__).parents[2]), given=json.dumps(texts))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for name, text in texts.items():
        for label, codes in (labels.for_text(text) | labels.for_python(text)).items():
            np.testing.assert_array_equal(found[name][label], codes, err_msg=f"{name}, {label}")


# Labels of one's own.


def test_a_label_of_ones_own_joins_the_others() -> None:
    label = Label("digit", ("no", "yes"), True, lambda text: np.array([c.isdigit() for c in text]))
    labels.add(label, "python")
    try:
        codes = labels.for_python("a1")["digit"]
        assert codes.tolist() == [0, 1]
        assert codes.dtype == np.int16
        assert "digit" not in labels.for_text("a1")
        with pytest.raises(ValueError, match="'digit' for python already"):
            labels.add(label, "python")
    finally:
        labels.remove("digit", "python")
    with pytest.raises(ValueError, match="no label 'digit'"):
        labels.remove("digit", "python")
    with pytest.raises(ValueError, match="'text' or of 'python'"):
        labels.add(label, "prose")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(2, int), "shape"),
        (np.zeros(3), "dtype float64"),
        (np.array([0, 2, 0]), "has 2 classes"),
        ([-2, 0, 0], "-2 to 0"),
    ],
)
def test_a_label_that_gives_something_else_is_refused(values: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Label("wrong", ("no", "yes"), True, lambda _: values)("abc")  # type: ignore[arg-type,return-value]
    with pytest.raises(ValueError, match="at least two"):
        Label("one", ("only",), True, lambda _: values)  # type: ignore[arg-type,return-value]
