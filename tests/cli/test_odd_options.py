"""Every option of every command with values that no one means to give: no traceback, nothing written elsewhere."""

import random
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.main import get_command
from typer.testing import CliRunner

from deeprnn.cli import app

CALLS = 240
ODD = [
    "", " ", "\0", "a\0b", "nan", "inf", "-inf", "-0.0", "0", "-1", "1", "2", "1e308", "1e-320", "1e999", "9" * 19,
    "9" * 25, "9" * 5000, "\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT THREE}", "\ud800", "caf\udce9", "[/b]",
    "[bold]x[/bold]", "x[y", "-", "--", "--out", "../..", ".", "/", "/dev/null", "/dev/full", "/proc/self/mem",
    "\x1b[31mred", "line\nbreak", "\u202egnal", "True", "None", "0x10", " 3", "1,5", "x" * 300, "x" * 5000, "%s",
    "${HOME}", "~", "cuda", "cuda:99", "mps", "meta", "privateuseone", "cpu:1", "characters", "bytes", "python",
    "64-true", "bf16-mixed", "gru:\N{SUPERSCRIPT TWO}", "gru:0", "gru:-1", "gru:1.5", "gru:9223372036854775807",
    "gru:100000000000", "gru:" + "9" * 5000, "9" * 5000 + "x gru:2", "2x", "gru", ":", "=", "gru:4:",
    "gru:4:zoneout=nan", "gru:4:zoneout=1e999", "gru:4:init=", "gru:4:hidden_size=3", "elman:4:relu:relu", "gru:4\0",
    "lstm:4:[/b]", "text.txt", "texts", "run", "run/training.json", "missing", "missing/deeper",
    "text.txt/below", "loop",
]  # fmt: skip
"""Some of them are right for some options, so that the commands are also entered."""
LASTING = {"--minutes": {"1", "2", "9" * 19}, "--length": {"9" * 19, "9" * 25}, "--steps": {"9" * 19}}
"""What would be done, and take long."""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a text and a run, beside files that are none of the commands' business."""
    top = tmp_path_factory.mktemp("odd")
    inside = top / "up" / "inside"
    (inside / "texts").mkdir(parents=True)
    (top / "outside.txt").write_text("not yours")
    (top / "up" / "training.json").write_text("{}")
    for path in (inside / "text.txt", inside / "texts" / "a.txt", inside / "texts" / "b.txt"):
        path.write_text("she sells sea shells by the sea shore. " * 20)
    (inside / "loop").symlink_to("loop")
    arguments = ["train", "--text", inside / "text.txt", "--out", inside / "run", *SMALL]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return inside


SMALL = ["--layers", "gru:3", "--batch", "2", "--bptt", "5", "--steps", "2", "--threads", "1", "--device", "cpu"]
BASES: dict[str, list[str]] = {
    "train": ["--text", "text.txt", *SMALL],
    "evaluate": ["run"],
    "sample": ["run", "--length", "3"],
    "draw": ["--layers", "gru:3", "--input-size", "4", "--output-size", "4"],
    "analyze": ["missing"],
    "explore": ["missing"],
}


def drawn_call(draw: random.Random, command: str) -> list[str]:
    """A call with one to three odd values: as an option's, or in place of the run."""
    parameters = get_command(app).commands[command].params  # type: ignore[attr-defined]
    arguments = list(BASES[command])
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        parameter = draw.choice(parameters)
        if parameter.param_type_name == "argument":
            arguments = [draw.choice(ODD), *arguments[1 if command != "train" else 0 :]]
            continue
        name = max(parameter.opts, key=len)
        if name == "--help":
            continue
        if parameter.is_flag:
            arguments.append(name)
            continue
        while (value := draw.choice(ODD)) in LASTING.get(name, ()):
            pass
        if name == "--minutes" and "--steps" in arguments:
            del arguments[arguments.index("--steps") :][:2]
        arguments += [name, value]
    return [command, *arguments]


def contents(top: Path, but: Path) -> dict[str, Any]:
    found = {str(path): path for path in top.rglob("*") if but not in (path, *path.parents)}
    return {name: path.read_bytes() if path.is_file() else None for name, path in found.items()}


@pytest.mark.skipif(sys.platform != "linux", reason="some of the values are Linux's paths")
@pytest.mark.parametrize("seed", range(8))
def test_odd_values_are_refused_or_right(seed: int, sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sandbox)
    monkeypatch.setattr("webbrowser.open", lambda _: pytest.fail("a browser was opened"))
    before, threads = contents(sandbox.parent.parent, sandbox), torch.get_num_threads()
    draw = random.Random(seed)
    statuses: dict[int, int] = {}
    for number in range(CALLS // 8):
        call = drawn_call(draw, draw.choice([*BASES, "train", "train", "draw", "sample"]))
        if call[0] == "train" and "--out" not in call:
            call += ["--out", f"out{seed}-{number}"]
        result = CliRunner().invoke(app, call)
        torch.set_num_threads(threads)
        told = f"{call}: {result.exit_code}, {result.exception!r}\n{result.output}"
        assert result.exit_code in (0, 1, 2, 130), told
        assert result.exception is None or isinstance(result.exception, SystemExit), told
        assert "Traceback" not in result.output, told
        assert "defect of deeprnn" not in result.output, told
        assert result.exit_code == 0 or result.stderr.strip(), told
        assert "\x1b" not in result.output, told
        statuses[result.exit_code] = statuses.get(result.exit_code, 0) + 1
        assert contents(sandbox.parent.parent, sandbox) == before, told
    assert statuses.keys() >= {0, 1, 2}
    assert sum(statuses.values()) == CALLS // 8
