"""What is printed where printing fails: a training is worth more than its report."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deeprnn.cli import app, finish, terminal
from deeprnn.training import RunError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX shells, streams and signals")

TEXT = "Однажды в студёную зимнюю пору я из лесу вышел. " * 40
SMALL = ["--layers", "gru:4", "--batch", "2", "--bptt", "8", "--steps", "4", "--threads", "1"]
PROGRAM = f"{sys.executable} -c 'from deeprnn.cli import main; main()'"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def shell(line: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, timeout=120, check=False, env={**os.environ, **environment}
    )


@pytest.mark.parametrize("columns", ["0", "1", "-5", "x", "9" * 5000])
def test_a_width_that_is_none_hides_nothing(columns: str, tmp_path: Path) -> None:
    done = shell(f"{PROGRAM} evaluate {tmp_path}", COLUMNS=columns)
    assert done.returncode == 1
    assert b"holds no run" in done.stderr
    assert b"Usage" in shell(f"{PROGRAM} --help", COLUMNS=columns).stdout


@pytest.mark.parametrize(("isa", "status"), [("garbage", 1), ("", 0)])
def test_an_instruction_set_that_is_none_leaves_no_run(isa: str, status: int, book: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = shell(f"{PROGRAM} train --text {book} --out {run} {' '.join(SMALL)}", DEEPRNN_ISA=isa)
    assert done.returncode == status, done.stderr
    if status:
        assert b"DEEPRNN_ISA=garbage" in done.stderr
        assert not run.exists()


@pytest.mark.parametrize(
    ("where", "status", "told"),
    [
        ("| true; exit ${PIPESTATUS[0]}", 0, b""),
        (">&-", 0, b""),
        (">&- 2>&- <&-", 0, b""),
        ("> /dev/full", 1, b"standard output could not be written: No space left on device"),
    ],
    ids=["reader-gone", "closed", "all-closed", "full"],
)
def test_a_training_ends_whole_wherever_its_output_goes(
    where: str, status: int, told: bytes, book: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = shell(f"{PROGRAM} train --text {book} --out {run} {' '.join(SMALL)} {where}")
    assert done.returncode == status, done.stderr
    assert told in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert (run / "checkpoints" / "step-000000004.safetensors").exists()
    assert json.loads((run / "evaluation.json").read_text())["characters"] > 0
    assert (run / "net.svg").read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1251"])
def test_what_a_terminal_can_not_show_is_escaped(encoding: str, book: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = {"PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    done = shell(f"{PROGRAM} train --text {book} --out {run} {' '.join(SMALL)}", **settings)
    assert done.returncode == 0, done.stderr
    assert "next:" in done.stdout.decode(encoding)
    assert ("Однажды" if encoding == "cp1251" else r"\u041e\u0434\u043d") in done.stdout.decode(encoding)
    done = shell(f"{PROGRAM} sample {run} --length 30 --seed 1", **settings)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout) > 30


def test_a_sample_stops_when_its_reader_has_enough(book: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert CliRunner().invoke(app, ["train", "--text", str(book), "--out", str(run), *SMALL]).exit_code == 0
    done = shell(f"{PROGRAM} sample {run} --length {10**30} | head -c 40; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout) == 40


def test_an_interrupt_before_the_run_exists_advises_no_resume(tmp_path: Path) -> None:
    code = (
        "import os, signal\nfrom deeprnn.tasks.text import Corpus\n"
        "Corpus.from_files = staticmethod(lambda _: os.kill(os.getpid(), signal.SIGINT))\n"
        "from deeprnn.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "train", "--text", __file__, "--out", str(tmp_path / "run"), *SMALL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (130, "\nInterrupted.\n")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("ignored", "stops"), [(False, True), (True, False)], ids=["hang-up", "nohup"])
def test_a_closed_terminal_saves_and_stops_unless_it_is_ignored(
    ignored: bool, stops: bool, book: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = ["train", "--text", str(book), "--out", str(run), *SMALL, "--steps", "100000"]
    command = [sys.executable, "-c", "from deeprnn.cli import main; main()", *arguments]
    command = ["nohup", *command] if ignored else command
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not (run / "metrics.csv").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGHUP)
        if not stops:
            time.sleep(0.5)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Stopped at step" in errors
    assert b"--resume" in errors


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_output_that_can_not_be_written_is_told_by_every_command(book: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert CliRunner().invoke(app, ["train", "--text", str(book), "--out", str(run), *SMALL]).exit_code == 0
    for command in ("evaluate", "evaluate --json", "sample", "draw"):
        name, *more = command.split()
        done = shell(f"{PROGRAM} {name} {run} {' '.join(more)} > /dev/full")
        assert done.returncode == 1
        assert done.stderr == b"error: standard output could not be written: No space left on device\n"


@pytest.mark.parametrize("what", ["the drawing", "the evaluation", "the sample"])
def test_what_fails_after_a_training_is_told_and_costs_nothing_else(
    what: str, book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RunError("no space left")

    place = {"the drawing": "deeprnn.diagram.draw", "the evaluation": "deeprnn.cli.finish._evaluate"}
    monkeypatch.setattr(place.get(what, "deeprnn.cli.finish._sample"), fail)
    result = CliRunner().invoke(app, ["train", "--text", str(book), "--out", str(tmp_path / "run"), *SMALL])
    assert result.exit_code == 1
    assert "error: no space left" in result.stderr
    assert f"the training is finished and saved, but {what} failed" in result.stderr
    assert "--resume" in result.stderr
    assert ("bits per character" in result.stdout) == (what != "the evaluation")
    assert ("a sample" in result.stdout) == (what != "the sample")
    monkeypatch.undo()
    assert CliRunner().invoke(app, ["train", "--out", str(tmp_path / "run"), "--resume"]).exit_code == 0
    assert (tmp_path / "run" / "evaluation.json").exists()


def test_an_error_that_no_one_foresaw_is_told_with_its_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(_: object) -> None:
        raise LookupError("nowhere")

    monkeypatch.setattr("deeprnn.training.run.Run.read_plan", fail)
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path)])
    assert result.exit_code == 1
    assert "LookupError: nowhere" in result.stderr
    assert "DEEPRNN_DEBUG=1" in result.stderr
    assert "Traceback" not in result.stderr
    monkeypatch.setenv("DEEPRNN_DEBUG", "1")
    assert "Traceback" in CliRunner().invoke(app, ["evaluate", str(tmp_path)]).stderr


@pytest.mark.parametrize(
    "name", ["a b", "it's", r"back\slash", "[/b]", "\x1b[31m", "new\nline", "caf\udce9", "é", "-", "$HOME", ""]
)
def test_a_shell_reads_the_very_word_that_is_printed(name: str) -> None:
    printed = subprocess.run(
        ["bash", "-c", f"printf %s {terminal.shell_word(name)}"], stdout=subprocess.PIPE, check=True
    ).stdout
    assert os.fsdecode(printed) == name
    assert not set(terminal.shell_word(name)) & {"\x1b", "\n"}


def test_a_window_of_twenty_columns_shows_every_word(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    monkeypatch.setenv("COLUMNS", "20")
    console = terminal.Terminal(output)
    terminal.print_rows(console, "[a] run", [("bits per character", "1.5000"), ("diagram", "a [long] way/net.svg")])
    assert output.getvalue() == "[a] run\nbits per character  1.5000\ndiagram             a [long] way/net.svg\n"


def test_the_resume_command_is_that_of_the_run() -> None:
    assert finish.resume_command(Path("a run")) == "deeprnn train --out 'a run' --resume"


def test_a_run_whose_name_is_not_utf8_is_used_by_every_command(book: Path, tmp_path: Path) -> None:
    run = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    try:
        Path(run).mkdir()
    except OSError:
        pytest.skip("this file system takes no such name")
    small = ["--text", str(book), *SMALL]
    for arguments in (["train", "--out", run, *small], ["train", "--out", run, "--resume"], ["evaluate", run],
                      ["sample", run, "--length", "5"], ["draw", run]):  # fmt: skip
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    result = CliRunner().invoke(app, ["analyze", run])
    assert result.exit_code == 1
    assert "characters of held-out text" in result.stderr
