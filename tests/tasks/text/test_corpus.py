"""Corpora: what is read, what is held out, and that it can be read again."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprnn.tasks.text import Corpus, Document, TextError
from deeprnn.tasks.text.corpus import split
from deeprnn.tasks.text.files import read_python_sources


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A directory of 30 small texts in two levels, one of them empty, with a hidden file and a binary one."""
    for number in range(30):
        path = tmp_path / "books" / f"shelf{number % 3}" / f"book{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"This is book {number}.")
    (tmp_path / "books" / "empty.txt").touch()
    (tmp_path / "books" / ".hidden").write_text("secret")
    (tmp_path / "books" / "picture.png").write_bytes(b"\x89PNG\0\0")
    return tmp_path / "books"


def test_a_directory_is_read_whole_but_for_hidden_and_binary_files(books: Path) -> None:
    corpus = Corpus.from_files([books])
    names = {document.name for document in corpus.training + corpus.held_out}
    assert names == {f"books/shelf{n % 3}/book{n}.txt" for n in range(30)}
    assert not {d.name for d in corpus.training} & {d.name for d in corpus.held_out}
    assert corpus.notices == (f"left out 1 binary file, such as {books / 'picture.png'}",)


def test_a_file_named_twice_is_read_once(books: Path) -> None:
    corpus = Corpus.from_files([books / "shelf0", books / "shelf0" / "book0.txt", books / "shelf0"])
    assert len(corpus.training + corpus.held_out) == 10


def test_what_is_held_out_does_not_change_when_files_are_added(books: Path) -> None:
    before = Corpus.from_files([books])
    for number in range(100, 130):
        (books / "shelf0" / f"book{number}.txt").write_text("new")
    after = Corpus.from_files([books])
    old = {d.name for d in before.training + before.held_out}
    assert {d.name for d in after.held_out} & old == {d.name for d in before.held_out}


@given(st.sets(st.text(min_size=1), min_size=2, max_size=40), st.floats(0, 1))
def test_a_split_keeps_every_document_once_and_both_parts_filled(names: set[str], share: float) -> None:
    documents = [Document(name, b"x") for name in names]
    training, held_out = split(documents, share)
    assert training
    assert held_out
    assert sorted(d.name for d in training + held_out) == sorted(names)


def test_about_the_wanted_share_is_held_out() -> None:
    documents = [Document(f"file{n}", b"x") for n in range(4000)]
    assert 0.08 < len(split(documents, 0.1)[1]) / 4000 < 0.12


def test_the_last_tenth_of_a_single_file_is_held_out(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text("é" * 95 + "z" * 10)
    corpus = Corpus.from_files([path])
    first, last = corpus.training[0].content.decode(), corpus.held_out[0].content.decode()
    assert first + last == path.read_text()
    assert len(last.encode()) == pytest.approx(20, abs=1)


def test_a_corpus_is_read_again_and_checked(books: Path) -> None:
    corpus = Corpus.from_files([books])
    assert corpus.source is not None
    documents = corpus.manifest()["documents"]
    again = Corpus.again(corpus.source)
    again.check_against(documents, Path("manifest.json"))
    hashes = {d["name"]: d["sha256"] for d in documents}
    assert hashes["books/shelf1/book1.txt"] == hashlib.sha256(b"This is book 1.").hexdigest()
    (books / "shelf1" / "book1.txt").write_text("This is another book.")
    with pytest.raises(TextError, match=r"(?s)manifest\.json lists: 1 differ, such as 'books/shelf1/book1\.txt'"):
        Corpus.again(corpus.source).check_against(documents, Path("manifest.json"))


def test_texts_that_share_a_name_are_told_apart_by_their_place(tmp_path: Path) -> None:
    texts = {"a": "the first", "b": "the second"}
    for name, text in texts.items():
        (tmp_path / name / "x").mkdir(parents=True)
        (tmp_path / name / "x" / "one.txt").write_text(text)
    sources = [tmp_path / "a" / "x", tmp_path / "b" / "x"]
    documents = Corpus.from_files(sources).manifest()["documents"]
    for name, text in texts.items():
        (tmp_path / name / "x" / "one.txt").write_text(text.upper())
        with pytest.raises(TextError, match=r"1 differ, such as 'x/one\.txt'"):
            Corpus.from_files(sources).check_against(documents, Path("manifest.json"))
        (tmp_path / name / "x" / "one.txt").write_text(text)
    Corpus.from_files(sources).check_against(documents, Path("manifest.json"))
    with pytest.raises(TextError, match=r"they come in another order|2 differ"):
        Corpus.from_files(sources[::-1]).check_against(documents, Path("manifest.json"))


def test_there_must_be_text(tmp_path: Path) -> None:
    with pytest.raises(TextError, match=r"missing\.txt does not exist"):
        Corpus.from_files([tmp_path / "missing.txt"])
    (tmp_path / "empty.txt").touch()
    with pytest.raises(TextError, match=r"empty\.txt: no text was found"):
        Corpus.from_files([tmp_path / "empty.txt"])
    (tmp_path / "one.txt").write_text("x")
    with pytest.raises(TextError, match=r"one\.txt holds a single character"):
        Corpus.from_files([tmp_path / "one.txt"])


def test_the_python_corpus_holds_the_library_and_nothing_else() -> None:
    corpus = Corpus.of_python()
    names = {document.name for document in corpus.training + corpus.held_out}
    assert {"ast.py", "json/decoder.py", "asyncio/events.py"} <= names
    skipped = {"test", "tests", "encodings", "pydoc_data", "idlelib", "lib2to3", "site-packages", "__pycache__"}
    assert not [name for name in names if skipped & set(Path(name).parts)]
    assert 0 < len(corpus.held_out) < 0.1 * len(names)
    for document in corpus.training + corpus.held_out:
        document.content.decode()


def test_a_python_without_sources_says_what_to_pass(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="as `corpus`"):
        read_python_sources(tmp_path)
