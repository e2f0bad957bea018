"""Processes that measure something and tell it as JSON."""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.grid import Row

_ROOT = Path(__file__).parent.parent


class ChildFailed(RuntimeError):
    """A child process ended with an error; its own words stand in the message, or above on the terminal."""


def events(module: str, job: Mapping[str, Any], *, threads: int, environment: Mapping[str, str]) -> Generator[Any]:
    """What `python -m module` writes to the descriptor that it is given, one JSON value a line, as it comes.

    The process is confined to as many cores as threads.

    Raises:
        ChildFailed: the process ended with an error.
    """
    read_end, write_end = os.pipe()
    with machine.confined(threads):
        child = subprocess.Popen(
            [sys.executable, "-m", module, str(write_end)],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=sys.stderr,
            pass_fds=(write_end,),
            env={**machine.thread_environment(threads), **environment},
        )
    os.close(write_end)
    try:
        assert child.stdin is not None
        with child.stdin as stdin:
            stdin.write(json.dumps(job).encode())
        with os.fdopen(read_end, encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
        if child.wait() != 0:
            raise ChildFailed(f"{module} ended with status {child.returncode}; its error stands above.")
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()


def answer(module: str, row: Row, *arguments: str, environment: Mapping[str, str], limit: float | None = None) -> Any:
    """The JSON value that `python -m module arguments` prints last, given a row on its input.

    Raises:
        ChildFailed: the process ended with an error; the message is its last line.
        subprocess.TimeoutExpired: it took more than `limit` seconds.
    """
    finished = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=_ROOT,
        input=json.dumps(row.to_json()),
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
        env={**machine.thread_environment(row.threads), **environment},
    )
    if finished.returncode != 0:
        lines = finished.stderr.strip().splitlines()
        raise ChildFailed(lines[-1] if lines else f"{module} ended with status {finished.returncode}")
    return json.loads(finished.stdout.splitlines()[-1])
