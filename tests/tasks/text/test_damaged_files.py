"""Every file of a run, damaged in every way: the same results as before, or an error that names the file."""

import json
import os
import random
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from small import WORDS

from deeprnn import GRU, DeepRNN, Elman
from deeprnn.disk.file_warning import FileWarning
from deeprnn.tasks.text import Characters, Corpus, TextRun, evaluate, resume, sample, train
from deeprnn.training import Report, RunError, Settings, Stopped

FLIPS = 24
"""Single bits, for each file."""
FILES = (
    "training.json", "config.json", "vocabulary.json", "manifest.json", "evaluation.json", "metrics.csv",
    "model.safetensors", "checkpoints/step-000000003.safetensors",
)  # fmt: skip
KINDS: tuple[Any, ...] = (None, True, 1.5, -1, 10**30, 10**400, "text", [], {}, [[1]], {"a": None}, 1e308)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over two files, interrupted after three of its five steps, with figures of its held-out text."""
    place = tmp_path_factory.mktemp("damage")
    (place / "texts").mkdir()
    for index, word in enumerate(WORDS):
        (place / "texts" / f"{index}.txt").write_text(word * 3)
    corpus = Corpus.from_files([place / "texts"])
    vocabulary = Characters.of(corpus.training)
    torch.manual_seed(0)
    net = DeepRNN(len(vocabulary), [GRU(5), Elman(4, "relu")], len(vocabulary), dropout=0.1)

    def interrupt(report: Report) -> None:
        if report.step == 3:
            import signal

            signal.raise_signal(signal.SIGINT)

    settings = Settings(batch=2, bptt=5, checkpoint_seconds=0.0, threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deeprnn.training.report._SECONDS", 0.0)
        with pytest.raises(Stopped):
            train(net, corpus, vocabulary, place / "run", settings, steps=5, progress=interrupt)
    found = TextRun(place / "run")
    found.write_evaluation(evaluate(*_swap(found.load(), corpus)))
    return found.path


def _swap(loaded: tuple[DeepRNN, Any], corpus: Corpus) -> tuple[Any, ...]:
    net, vocabulary = loaded
    return net, corpus.held_out, vocabulary


@pytest.fixture
def place(run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # nothing here survives a power failure, and needn't
    return run


def _load(path: Path) -> Any:
    net, vocabulary = TextRun(path).load()
    figures = evaluate(net, TextRun(path).read_corpus().held_out, vocabulary)
    return figures.nats_per_character, figures.characters, sample(net, vocabulary, "to", length=9, seed=1)


def _net(path: Path) -> Any:
    x = torch.arange(8).view(4, 2)
    result = DeepRNN.load(path).eval()(x).output
    assert result is not None
    return result.tolist()


def _evaluation(path: Path) -> Any:
    return TextRun(path).read_evaluation()


def _resume(path: Path) -> Any:
    trained = resume(path)
    rows = [row.split(",") for row in (path / "metrics.csv").read_text().splitlines()]
    weights = {name: weight.tolist() for name, weight in trained.net.state_dict().items()}
    return trained.steps, weights, [row[:2] + row[3:] for row in rows]


USES: tuple[Callable[[Path], Any], ...] = (_load, _net, _evaluation, _resume)


def _tries(path: Path, use: Callable[[Path], Any]) -> tuple[Any, list[str]]:
    """A use's result, or its error, and what it noted; the run is as it was before."""
    copy = path.parent / "copy"
    if copy.exists():
        shutil.rmtree(copy)
    shutil.copytree(path, copy)
    try:
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always", FileWarning)
            result = use(copy)
    except (RunError, ValueError, FileNotFoundError) as error:
        return error, []
    return result, [str(note.message) for note in notes]


def _check(place: Path, name: str, damage: Callable[[Path], None], before: dict[Any, Any]) -> int:
    """Damages a file of a copy and uses the run in every way; how many uses refused it."""
    damaged = place.parent / "damaged"
    if damaged.exists():
        shutil.rmtree(damaged)
    shutil.copytree(place, damaged)
    damage(damaged / name)
    refused = 0
    for use in USES:
        result, notes = _tries(damaged, use)
        if isinstance(result, Exception):
            assert Path(name).name in str(result), f"{use.__name__}: {result!r}"
            refused += 1
        elif use is _evaluation and not (damaged / "evaluation.json").exists():
            assert result is None
        elif result != before[use]:
            # The only difference that is allowed is told: rows of a table that is gone.
            assert any("metrics.csv is gone" in note for note in notes), f"{use.__name__} differs in silence"
            assert result[:2] == before[use][:2]
    return refused


@pytest.fixture
def before(place: Path) -> dict[Any, Any]:
    return {use: _tries(place, use)[0] for use in USES}


def test_what_is_compared_is_there(before: dict[Any, Any]) -> None:
    assert not any(isinstance(result, Exception) for result in before.values()), before
    assert before[_resume][0] == 5
    assert len(before[_resume][2]) == 6


def _flips(path: Path, seed: int) -> Iterator[Callable[[Path], None]]:
    size, moments = path.stat().st_size, random.Random(seed)
    for _ in range(FLIPS):
        at, bit = moments.randrange(size), 1 << moments.randrange(8)

        def flip(file: Path, at: int = at, bit: int = bit) -> None:
            content = bytearray(file.read_bytes())
            content[at] ^= bit
            file.write_bytes(content)

        yield flip


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_found_or_harmless(name: str, place: Path, before: dict[Any, Any]) -> None:
    refused = [_check(place, name, flip, before) for flip in _flips(place / name, seed=len(name))]
    assert sum(map(bool, refused)) > FLIPS // 3  # most bits of a file matter to somebody


def _truncate(part: float) -> Callable[[Path], None]:
    return lambda file: file.write_bytes(file.read_bytes()[: int(file.stat().st_size * part)]) and None


def _directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": lambda file: file.write_bytes(b"") and None,
    "cut-1/9": _truncate(1 / 9),
    "cut-1/2": _truncate(1 / 2),
    "cut-99%": _truncate(0.99),
    "missing": lambda file: file.unlink(),
    "directory": _directory,
    "deep": lambda file: file.write_text("[" * 200_000) and None,
    "deep-objects": lambda file: file.write_text('{"a":' * 200_000) and None,
    "nan": lambda file: file.write_text('{"format": NaN}') and None,
    "list": lambda file: file.write_text("[1, 2]") and None,
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)) and None,
    "not-utf-8": lambda file: file.write_bytes(b"\xff\xfe" + file.read_bytes()) and None,
}


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file_is_named(name: str, place: Path, before: dict[Any, Any]) -> None:
    for what, damage in DAMAGES.items():
        refused = _check(place, name, damage, before)
        tolerated = ("missing",) if name in ("metrics.csv", "evaluation.json") else ()
        if name.startswith("checkpoints"):
            tolerated = ("missing",)  # then the one before it is taken
        assert refused or what in tolerated, what


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every object or list of a JSON file, with each of its names or indices."""
    if isinstance(content, dict | list):
        for key in content if isinstance(content, dict) else range(len(content)):
            yield content, key
            yield from _places(content[key])


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".json")])
def test_wrong_kinds_in_a_file_without_a_digest_are_named(name: str, place: Path, before: dict[Any, Any]) -> None:
    """Values of every kind in every place, as if written by hand. What can be believed may be used, with a note."""
    drawn = random.Random(1)
    content = json.loads((place / name).read_text())
    del content["digest"]
    places = len(list(_places(content)))
    for _ in range(40):
        changed = json.loads(json.dumps(content))
        holder, key = list(_places(changed))[drawn.randrange(places)]
        holder[key] = drawn.choice(KINDS)

        def damage(file: Path, changed: Any = changed) -> None:
            file.write_text(json.dumps(changed))

        damaged = place.parent / "damaged"
        if damaged.exists():
            shutil.rmtree(damaged)
        shutil.copytree(place, damaged)
        damage(damaged / name)
        for use in (_load, _net, _evaluation):
            result, notes = _tries(damaged, use)
            if isinstance(result, Exception):
                assert isinstance(result, RunError | ValueError | FileNotFoundError)
            elif result != before[use]:
                assert any("carries no digest" in note for note in notes), (holder, key)
