"""Files as people have them: links, pipes, runs among the texts, names that are no text, files that can't be read."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deeprnn.tasks.text import Corpus, TextError
from deeprnn.tasks.text.files import read_files

posix = pytest.mark.skipif(os.name != "posix", reason="made of POSIX files")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    directory = tmp_path / "texts"
    (directory / "deep").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "deep/c.txt"):
        (directory / name).write_text(f"This is {name}.")
    return directory


def names(*paths: Path) -> list[str]:
    return [file.name for file in read_files(paths).files]


def notices(*paths: Path) -> list[str]:
    return read_files(paths).notices


@posix
@pytest.mark.parametrize(
    "again",
    [
        lambda directory: os.link(directory / "a.txt", directory / "z.txt"),
        lambda directory: os.symlink(directory / "a.txt", directory / "z.txt"),
        lambda directory: os.symlink("../a.txt", directory / "deep" / "z.txt"),
        lambda directory: os.symlink(directory, directory / "deep" / "loop"),
        lambda directory: os.symlink("..", directory / "deep" / "loop"),
        lambda directory: os.symlink("self", directory / "self"),
        lambda directory: os.symlink("missing", directory / "dangling"),
        lambda directory: os.mkfifo(directory / "fifo"),
    ],
    ids=["hard-link", "link", "relative-link", "loop", "relative-loop", "link-to-itself", "dangling", "pipe"],
)
def test_each_file_counts_once_whatever_else_there_is(again: Callable[[Path], None], texts: Path) -> None:
    before = names(texts)
    again(texts)
    assert names(texts) == before == ["texts/a.txt", "texts/b.txt", "texts/deep/c.txt"]
    assert len(names(texts, texts / "a.txt", texts / "deep", texts)) == 3
    assert len(names(texts / "deep" / ".." / "a.txt", texts)) == 3


@posix
def test_a_link_to_a_directory_is_left_out_and_told(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "d.txt").write_text("d")
    (texts / "link").symlink_to(tmp_path / "other")
    assert len(names(texts)) == 3
    assert notices(texts) == [f"left out 1 link to a directory, such as {texts / 'link'}"]
    assert names(texts / "link") == ["other/d.txt"]


@pytest.mark.parametrize("name", ["training.json", "config.json", "vocabulary.json"])
@pytest.mark.parametrize("indent", [None, 2])
def test_what_deeprnn_has_saved_among_the_texts_is_no_text(name: str, indent: int | None, texts: Path) -> None:
    run = texts / "deep" / "runs" / "first"
    run.mkdir(parents=True)
    (run / name).write_text(json.dumps({"format": "deeprnn something 7", "more": [1]}, indent=indent))
    (run / "metrics.csv").write_text("step\n")
    (run / "notes.txt").write_text("mine")
    assert names(texts) == ["texts/a.txt", "texts/b.txt", "texts/deep/c.txt"]
    assert notices(texts) == [f"left out 1 run or saved network, such as {run}"]
    with pytest.raises(TextError, match="holds a run or a network saved by deeprnn"):
        names(run)
    assert names(run / "notes.txt") == ["notes.txt"]


@pytest.mark.parametrize("content", ['{"format": "another 1"}', "{", "", '{"deeprnn 1": "format"}', "[]"])
def test_what_merely_has_the_name_of_such_a_file_is_text(content: str, texts: Path) -> None:
    (texts / "deep" / "training.json").write_text(content)
    assert "texts/deep/training.json" in names(texts)


@posix
def test_a_pipe_a_socket_and_a_device_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)
        server.bind("socket")
    for path, kind in (
        (tmp_path / "fifo", "a pipe"),
        (tmp_path / "socket", "a socket"),
        (Path("/dev/zero"), "a device"),
    ):
        with pytest.raises(TextError, match=rf"is {kind}, which can be read only once.*\n  Write it to a file first"):
            read_files([path])


@posix
def test_standard_input_is_read_where_it_is_a_file_and_refused_where_it_is_none(texts: Path) -> None:
    code = "from deeprnn.tasks.text.files import *; print(read_files([Path('/dev/stdin')]).files[0].name)"
    with (texts / "a.txt").open() as file:
        output = subprocess.run([sys.executable, "-c", code], stdin=file, capture_output=True, text=True, check=True)
    assert output.stdout == "a.txt\n"
    output = subprocess.run([sys.executable, "-c", code], input="text", capture_output=True, text=True, check=False)
    assert "TextError: /dev/stdin is a pipe" in output.stderr


@posix
def test_a_name_that_is_not_utf8_is_a_name(texts: Path) -> None:
    odd = os.fsdecode(b"caf\xe9 noir.txt")
    try:
        (texts / odd).write_text("Le caf\u00e9")
    except OSError:
        pytest.skip("this file system takes no such name")
    corpus = Corpus.from_files([texts])
    assert f"texts/{odd}" in {document.name for document in corpus.training + corpus.held_out}
    manifest = json.loads(json.dumps(corpus.manifest()))
    assert corpus.source is not None
    Corpus.again(json.loads(json.dumps(corpus.source))).check_against(manifest["documents"], texts / "manifest.json")


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["a.txt", "deep"])
def test_what_may_not_be_read_is_named(name: str, texts: Path) -> None:
    (texts / name).chmod(0)
    try:
        with pytest.raises(TextError, match=rf"{name} can't be read: Permission denied\.\n  Allow reading it"):
            read_files([texts])
    finally:
        (texts / name).chmod(0o700)


def test_a_read_that_fails_is_named(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str, *_: object) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(TextError, match=r"a\.txt can't be read: Permission denied"):
        read_files([texts])


def test_a_file_that_vanishes_while_the_texts_are_read_is_left_out_and_told(
    texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def vanishing(path: Path, flags: int) -> int:
        if Path(path).name == "b.txt":
            Path(path).unlink()
        return opened(path, flags)

    monkeypatch.setattr(os, "open", vanishing)
    found = read_files([texts])
    assert [file.name for file in found.files] == ["texts/a.txt", "texts/deep/c.txt"]
    assert found.notices == [f"left out 1 file deleted while the texts were read, such as {texts / 'b.txt'}"]


def test_a_file_given_by_name_is_read_though_it_holds_zero_bytes_and_that_is_told(texts: Path) -> None:
    (texts / "wide.txt").write_text("wide", encoding="utf-16-le")
    assert names(texts / "wide.txt") == ["wide.txt"]
    assert notices(texts / "wide.txt") == [f"{texts / 'wide.txt'} holds zero bytes: is it text, and UTF-8?"]
    assert len(names(texts)) == 3


def test_a_path_with_a_zero_byte_does_not_exist() -> None:
    with pytest.raises(TextError, match="does not exist"):
        read_files([Path("a\0b")])
