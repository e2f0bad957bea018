"""The commands, called as a person calls them."""

import json
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import lightning_fabric
import pytest
import torch
from typer.main import get_command
from typer.testing import CliRunner, Result

from deeprnn import GRU, DeepRNN
from deeprnn.cli import app, options
from deeprnn.tasks.text import TextRun, evaluate
from deeprnn.training import Settings

TEXT = "she sells sea shells by the sea shore. " * 30
SMALL = ["--layers", "gru:6 elman:5:relu", "--batch", "4", "--bptt", "8", "--steps", "6", "--threads", "1"]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def succeed(*arguments: object) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def fail(*arguments: object, status: int = 1) -> str:
    """What the command complains, in one line; a traceback is no complaint."""
    result = call(*arguments)
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return " ".join(result.stderr.replace("│", " ").split())


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def run(book: Path, tmp_path: Path) -> Path:
    succeed("train", "--text", book, *SMALL, "--out", tmp_path / "run")
    return tmp_path / "run"


def test_training_tells_what_it_did_and_leaves_a_whole_run(book: Path, tmp_path: Path) -> None:
    output = succeed("train", "--text", book, *SMALL, "--out", tmp_path / "run")
    assert "step 6 of 6" in output
    for words in ("1,170 bytes", "its last 10% is held out", "bits per character", "a sample", "next:"):
        assert words in output
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {
        "checkpoints", "config.json", "evaluation.json", "manifest.json", "metrics.csv", "model.safetensors",
        "training.json", "vocabulary.json",
    }  # fmt: skip


def test_the_defaults_of_train_are_those_of_the_library() -> None:
    command = get_command(app).commands["train"]  # type: ignore[attr-defined]
    defaults = {parameter.name: parameter.default for parameter in command.params}
    assert {field.name: defaults[field.name] for field in fields(Settings)} == Settings().to_json()


def test_the_options_of_the_network_are_those_of_the_library() -> None:
    config = DeepRNN(3, [GRU(2)], 3).config()
    assert {*options.NET_OPTIONS} == {name for name, value in config.items() if value == 0} - {"batch_first", "one_hot"}
    for name in ("train", "draw"):
        command = get_command(app).commands[name]  # type: ignore[attr-defined]
        defaults = {parameter.name: parameter.default for parameter in command.params}
        assert {option: defaults[option] for option in options.NET_OPTIONS} == {
            option: config[option] for option in options.NET_OPTIONS
        }


def test_options_reach_the_network_and_the_run(book: Path, tmp_path: Path) -> None:
    succeed(
        "train", "--text", book, "--layers", "2x gru:6", "--steps", 2, "--batch", 3, "--bptt", 9, "--dropout", 0.25,
        "--variational-dropout", "--residual", "--input-to-all", "--output-from-all", "--learning-rate", 0.125,
        "--weight-decay", 0.0625, "--max-grad-norm", 0.5, "--warm-up", 7, "--seed", 11, "--threads", 1,
        "--device", "cpu", "--precision", "64-true", "--checkpoint-seconds", 5, "--vocabulary", "bytes",
        "--out", tmp_path / "run",
    )  # fmt: skip
    run = TextRun(tmp_path / "run")
    net = run.load_net()
    assert (net.dropout, net.variational_dropout, net.residual, net.input_to_all, net.output_from_all) == (
        0.25,
        *[True] * 4,
    )
    assert net.dtype == torch.float64
    assert net.input_size == 257
    assert run.read_plan().settings == Settings(
        batch=3, bptt=9, learning_rate=0.125, weight_decay=0.0625, warm_up=7, max_grad_norm=0.5, seed=11, threads=1,
        device="cpu", precision="64-true", checkpoint_seconds=5.0,
    )  # fmt: skip


def test_several_texts_follow_one_option_or_none(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(TEXT)
    texts = [tmp_path / f"{name}.txt" for name in "abc"]
    for number, given in enumerate((["--text", *texts], texts, ["--text", texts[0], "--text", texts[1], texts[2]])):
        succeed("train", *given, *SMALL, "--out", tmp_path / f"run{number}")
        documents = json.loads((tmp_path / f"run{number}" / "manifest.json").read_text())["documents"]
        assert sorted(document["name"] for document in documents) == ["a.txt", "b.txt", "c.txt"]
        assert {document["part"] for document in documents} == {"training", "held_out"}


def test_without_a_name_a_run_is_called_after_its_text(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text(TEXT)
    for name in ("book", "book-2", "book-3"):
        succeed("train", "book.txt", *SMALL)
        assert TextRun(tmp_path / "runs" / name).exists


def test_the_clock_of_minutes_starts_with_the_command(book: Path, tmp_path: Path, monkeypatch) -> None:
    began: list[float] = []

    def deadline(when: float, seconds: float, *_: object) -> None:
        began.extend((when, seconds))
        raise ValueError("enough")

    monkeypatch.setattr("deeprnn.cli.start.Deadline", deadline)
    before = time.monotonic()
    assert "enough" in fail("train", "--text", book, *SMALL[:6], "--minutes", 2, "--out", tmp_path / "run")
    assert before <= began[0] <= time.monotonic()
    assert began[1] == 120


def test_a_timed_training_makes_one_fabric(book: Path, tmp_path: Path, monkeypatch) -> None:
    made: list[object] = []

    class Counted(lightning_fabric.Fabric):
        def __init__(self, **arguments: object) -> None:
            made.append(arguments)
            super().__init__(**arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(lightning_fabric, "Fabric", Counted)
    succeed("train", "--text", book, *SMALL[:6], "--minutes", 0.05, "--out", tmp_path / "run")
    assert len(made) == 1


def test_the_package_is_a_program() -> None:
    for arguments, words in ((["--version"], "deeprnn 0.1.0"), (["train", "--help"], "--bptt")):
        told = subprocess.run([sys.executable, "-m", "deeprnn", *arguments], capture_output=True, text=True, check=True)
        assert words in told.stdout


def test_evaluate_writes_json_alone_on_standard_output(run: Path) -> None:
    result = call("evaluate", run, "--json")
    assert result.exit_code == 0
    figures = json.loads(result.stdout)
    assert figures.keys() >= {"bits_per_character", "nats_per_character", "characters", "unknown_share"}
    opened = TextRun(run)
    expected = evaluate(opened.load_net(), opened.read_corpus().held_out, opened.load_vocabulary())
    assert figures["characters"] == 117
    assert figures["nats_per_character"] == pytest.approx(expected.nats_per_character, rel=1e-6)
    assert json.loads((run / "evaluation.json").read_text())["nats_per_character"] == pytest.approx(
        figures["nats_per_character"], rel=1e-6
    )


def test_evaluate_reads_another_text_whole(run: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("sea shells? ÄÖ")
    figures = json.loads(succeed("evaluate", run, "--text", tmp_path / "other.txt", "--json"))
    assert figures["characters"] == 14
    assert figures["unknown_share"] == 3 / 14
    assert "21.4286%" in succeed("evaluate", run, "--text", tmp_path / "other.txt")


def test_sample_continues_its_prompt(run: Path) -> None:
    first, same, other = (
        succeed("sample", run, "--prompt", "she ", "--length", 40, "--seed", seed) for seed in (5, 5, 6)
    )
    assert first.startswith("she ")
    assert len(first.rstrip("\n")) >= 40
    assert first == same != other


def test_sample_says_which_characters_are_unknown(run: Path) -> None:
    result = call("sample", run, "--prompt", "she Ä?", "--length", 3)
    assert result.exit_code == 0
    assert "never seen '?Ä'" in result.stderr


def test_a_finished_run_resumes_with_the_same_command(book: Path, run: Path) -> None:
    weights = (run / "model.safetensors").read_bytes()
    assert "resuming" in succeed("train", "--text", book, *SMALL, "--out", run, "--resume")
    succeed("train", "--out", run, "--resume")
    assert (run / "model.safetensors").read_bytes() == weights


@pytest.mark.parametrize(
    "other",
    [
        ["--layers", "gru:7"], ["--batch", 5], ["--steps", 7], ["--dropout", 0.5], ["--vocabulary", "bytes"],
        ["--corpus", "python"], ["--seed", 1], ["--residual"],
    ],
    ids=lambda other: str(other[0]),
)  # fmt: skip
def test_a_resumed_run_keeps_its_settings(other: list[object], run: Path) -> None:
    assert f"{other[0]} differs from what" in fail("train", "--out", run, "--resume", *other)


def test_another_text_is_refused_with_its_option_or_without(run: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("another text")
    for option in ([], ["--text"]):
        told = fail("train", *option, tmp_path / "other.txt", "--out", run, "--resume")
        assert "--text differs from what" in told


def test_resume_with_a_text_begins_where_nothing_was_begun(book: Path, tmp_path: Path) -> None:
    assert "step 6 of 6" in succeed("train", "--text", book, *SMALL, "--out", tmp_path / "new", "--resume")
    assert "holds no run" in fail("train", "--out", tmp_path / "newer", "--resume")


def test_a_text_that_changed_is_not_gone_on_with(book: Path, run: Path) -> None:
    book.write_text(TEXT + "and more")
    assert "manifest.json lists: 2 differ, such as 'book.txt'" in fail("train", "--out", run, "--resume")
    assert "manifest.json lists" in fail("evaluate", run)


def test_an_existing_run_is_replaced_only_when_told(book: Path, run: Path) -> None:
    assert "holds a run already. Continue it: --resume. Replace it: --overwrite" in fail(
        "train", "--text", book, *SMALL, "--out", run
    )
    succeed("train", "--text", book, *SMALL, "--out", run, "--overwrite")


def test_a_wrong_text_costs_no_run(tmp_path: Path, run: Path) -> None:
    before = (run / "model.safetensors").read_bytes()
    fail("train", "--text", tmp_path / "missing.txt", *SMALL, "--out", run, "--overwrite")
    assert (run / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty.txt: no text was found"),
        (b"x", "holds a single character"),
        (b"short", "fewer than the 8 steps"),
        (b"caf\xe9 " * 50, "is not UTF-8 text: byte 3 is 0xe9. Convert it"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "is not UTF-8 text"),
    ],
    ids=["empty", "one", "short", "latin1", "binary"],
)
def test_a_text_that_is_none_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_bytes(content)
    complaint = fail(
        "train", "--text", tmp_path / "empty.txt", *SMALL[2:], "--layers", "gru:3", "--out", tmp_path / "r"
    )
    assert words in complaint
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--layres", "gru:3"], "--layers"),
        (["--resume"], "--resume requires --out RUN"),
        (["--out", "r", "--resume", "--overwrite"], "give only one of them"),
        (["--steps", "3", "--minutes", "1"], "give only one of them"),
        (["--text", "a", "--corpus", "python"], "give only one of them"),
        (["--minutes", "0"], "must be greater than 0"),
        (["--minutes", "nan"], "must be greater than 0"),
        (["--steps", "many"], "unable to parse string as an integer"),
        (["--dropout", "1.5"], "should be less than or equal to 0.99"),
        (["--vocabulary", "words"], "'characters', 'bytes'"),
        (["--precision", "8"], "'32-true'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_says_what_is_right(arguments: list[str], words: str) -> None:
    assert words in fail("train", *arguments, status=2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--layers", "gru:6 lsmt:5"], "'lsmt:5' is not understood: there is no cell 'lsmt'; did you mean 'lstm'?"),
        (["--layers", "gru:6 gru:5", "--residual"], "a residual connection adds equal widths only"),
        (["--layers", "gru:6:direction=both"], "runs backward in time"),
        (["--learning-rate", "-1"], "--learning-rate must be a finite number greater than 0, got -1.0"),
        (["--max-grad-norm", "0"], "--max-grad-norm must be greater than 0, got 0.0"),
        (["--device", "abacus"], "--device must be cpu, cuda, cuda:1, mps or auto, got 'abacus'"),
        (["--out", "/dev/null/run"], "/dev/null/run could not be written: Not a directory"),
        (["--out", "/dev/null"], "/dev/null is a file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_can_not_be_trained_is_told(arguments: list[str], words: str, book: Path, tmp_path: Path) -> None:
    assert words in fail("train", "--text", book, *SMALL, "--out", tmp_path / "r", *arguments)


def test_a_loss_that_explodes_is_told(book: Path, tmp_path: Path) -> None:
    arguments = [
        "--layers",
        "elman:6:identity",
        "--learning-rate",
        "1e30",
        "--max-grad-norm",
        "1e30",
        "--steps",
        30,
        "--warm-up",
        0,
    ]
    complaint = fail("train", "--text", book, *arguments, "--batch", 4, "--bptt", 8, "--out", tmp_path / "r")
    assert "no longer finite" in complaint
    assert "a lower --learning-rate (it was 1e+30" in complaint


@pytest.mark.parametrize("command", ["evaluate", "sample"])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocabulary.json", "training.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_run_is_named(command: str, name: str, damage: str, run: Path) -> None:
    path = run / name
    if damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.unlink()
    assert name in fail(command, run)


def test_no_run_is_named(tmp_path: Path) -> None:
    for command in ("evaluate", "sample"):
        assert "holds no run" in fail(command, tmp_path / "nothing")


def test_help_is_complete_and_quick() -> None:
    for command in ([], ["train"], ["evaluate"], ["sample"]):
        assert "Usage" in succeed(*command, "--help")
    code = (
        "import sys; from deeprnn.cli import app; app(['--help'], standalone_mode=False); print('torch' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output.endswith("False\n")
