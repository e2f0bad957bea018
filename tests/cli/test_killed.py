"""Killed and interrupted for real: other processes, real signals."""

import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

COMMAND = [
    sys.executable, "-c", "from deeprnn.cli import main; main()", "train", "--layers", "gru:12 lstm:9:zoneout=0.1",
    "--steps", "200", "--batch", "4", "--bptt", "16", "--dropout", "0.2", "--threads", "1", "--seed", "5",
]  # fmt: skip
TEXT = "it was the best of times, it was the worst of times; " * 100


def start(*arguments: object) -> "subprocess.Popen[str]":
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> tuple[str, str]:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output, errors


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    """Until the file is there, or the process has ended."""
    deadline = time.monotonic() + 60
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(TEXT)
    return path


def test_killed_at_any_moment_it_ends_with_the_same_bits(book: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    finish(start("--text", book, "--out", whole))
    moments = random.Random(0)
    killed = 0
    for _ in range(3):
        process = start("--text", book, "--out", parts, "--resume", "--checkpoint-seconds", 0)
        wait_for(parts, process)
        time.sleep(moments.uniform(0, 1.0))
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    assert killed == 3
    finish(start("--text", book, "--out", parts, "--resume"))
    assert (whole / "model.safetensors").read_bytes() == (parts / "model.safetensors").read_bytes()
    last = [sorted((run / "checkpoints").iterdir())[-1].name for run in (whole, parts)]
    assert last == ["step-000000200.safetensors"] * 2


def test_interrupted_it_saves_and_says_how_to_resume(book: Path, tmp_path: Path) -> None:
    run = tmp_path / "a run"
    process = start("--text", book, "--out", run, "--steps", 100_000)
    wait_for(run / "metrics.csv", process)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    stopped = re.search(r"Stopped at step ([\d,]+) of 100,000; all is saved in", errors)
    assert stopped is not None, errors
    step = int(stopped[1].replace(",", ""))
    assert (run / "checkpoints" / f"step-{step:09d}.safetensors").exists()
    line = errors.splitlines()[-1].removeprefix("Resume with:").strip()
    assert shlex.split(line) == ["deeprnn", "train", "--out", str(run), "--resume"]


def test_minutes_are_kept(book: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    command = [argument for argument in COMMAND if argument not in ("--steps", "200")]
    arguments = [*command, "--text", str(book), "--out", str(tmp_path / "run"), "--minutes", "0.25"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(arguments, check=True, capture_output=True, timeout=120, env=environment)
    assert 6 < time.monotonic() - began < 15 + 20
