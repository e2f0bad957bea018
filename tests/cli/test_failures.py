"""Errors name what a person typed: arguments in the library, options in the commands."""

import ast
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.main import get_command
from typer.testing import CliRunner

import deeprnn
from deeprnn import GRU, DeepRNN
from deeprnn.cli import app
from deeprnn.cli.failures import OPTIONS, as_options, describe
from deeprnn.notation import parse_layers
from deeprnn.tasks.text import Bytes, Characters, Corpus, resume, sample, train
from deeprnn.training import RunError, Settings, choose_device

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
TEXT = "she sells sea shells by the sea shore. " * 30
SMALL = ["--layers", "gru:3", "--batch", "2", "--bptt", "5", "--steps", "2", "--threads", "1", "--device", "cpu"]


def options_of_all_commands() -> set[str]:
    commands: Any = get_command(app)
    return {name for command in commands.commands.values() for option in command.params for name in option.opts}


def test_every_argument_stands_for_an_option_that_there_is() -> None:
    assert {option.split()[0] for option in OPTIONS.values()} <= options_of_all_commands()
    assert {field.name for field in fields(Settings)} <= OPTIONS.keys()


@pytest.mark.parametrize(
    ("message", "translated"),
    [
        ("`batch` must be at least 1", "--batch must be at least 1"),
        ("`device=cpu` works everywhere", "--device cpu works everywhere"),
        (
            "Continue it: `resume(out)`. Replace it: `overwrite=True`.",
            "Continue it: --resume. Replace it: --overwrite.",
        ),
        ("model bytes: `Bytes()`", "model bytes: --vocabulary bytes"),
        ("choose another: `out=runs/NAME`", "choose another: --out runs/NAME"),
        ("`deeprnn evaluate` and `nothing=1` stay", "`deeprnn evaluate` and `nothing=1` stay"),
        ("a ` alone, and `batch", "a ` alone, and `batch"),
    ],
)
def test_arguments_become_options(message: str, translated: str) -> None:
    assert as_options(message) == translated


def train_small(path: Path, corpus: Corpus, vocabulary: Any = None, **arguments: Any) -> None:
    vocabulary = vocabulary or Characters.of(corpus.training)
    net = DeepRNN(len(vocabulary), [GRU(3)], len(vocabulary))
    arguments = {"settings": Settings(batch=2, bptt=5), "steps": 2, **arguments}
    train(net, corpus, vocabulary, path, **arguments)


def _damaged(path: Path) -> None:
    train_small(path, Corpus.from_texts([TEXT]))
    newest = max((path / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:100])
    resume(path, Corpus.from_texts([TEXT]))


def _twice(path: Path) -> None:
    train_small(path, Corpus.from_texts([TEXT]))
    train_small(path, Corpus.from_texts([TEXT]))


def _latin(path: Path) -> None:
    (path.parent / "latin.txt").write_bytes(b"caf\xe9 " * 50)
    train_small(path, Corpus.from_files([path.parent / "latin.txt"]))


CALLS: dict[str, tuple[Any, str, str]] = {
    "setting": (lambda _: Settings(learning_rate=-1), "`learning_rate` must be", "--learning-rate must be"),
    "norm": (lambda _: Settings(max_grad_norm=0.0), "`max_grad_norm` must be", "--max-grad-norm must be"),
    "device": (lambda _: choose_device("abacus"), "`device` must be", "--device must be"),
    "layers": (lambda _: parse_layers("gru:6 lsmt:5"), "`layers` 'gru:6 lsmt:5'", "--layers 'gru:6 lsmt:5'"),
    "bptt": (lambda path: train_small(path, Corpus.from_texts(["abc"])), "`bptt=2`", "--bptt 2"),
    "latin1": (_latin, "model bytes: `Bytes()`", "model bytes: --vocabulary bytes"),
    "twice": (_twice, "`resume(out)`. Replace it: `overwrite=True`", "--resume. Replace it: --overwrite"),
    "damaged": (_damaged, "`resume(out)` continues from", "--resume continues from"),
    "prompt": (
        lambda _: sample(DeepRNN(257, [GRU(2)], 257), Bytes(), length=-1),
        "`length` and `temperature` must",
        "--length and --temperature must",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_library_names_arguments_and_the_commands_options(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    call, argument, option = CALLS[name]
    with pytest.raises((ValueError, RunError)) as raised:
        call(tmp_path / "run")
    message = str(raised.value)
    assert argument in message
    assert not OPTION.search(message)
    assert option in describe(raised.value)
    assert not any(f"`{known}" in describe(raised.value) for known in OPTIONS)


def test_a_command_prints_options(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(TEXT)
    call = ["train", "--text", str(tmp_path / "book.txt"), *SMALL, "--out", str(tmp_path / "run")]
    assert CliRunner().invoke(app, call).exit_code == 0
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 1
    assert "Continue it: --resume. Replace it: --overwrite." in result.stderr
    assert "`" not in result.stderr


def test_no_room_below_the_commands_speaks_of_options() -> None:
    """Docstrings included; what follows `#` is not."""
    top = Path(deeprnn.__file__).parent
    rooms = [top / name for name in ("cells", "diagram", "disk", "kernels", "tasks", "training")]
    files = [*top.glob("*.py"), *(path for room in rooms for path in room.rglob("*.py"))]
    assert len(files) > 50
    options = options_of_all_commands() - {"--help"}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not options.intersection(OPTION.findall(node.value)), f"{path}: {node.value}"
