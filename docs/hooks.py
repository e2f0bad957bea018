"""What the pages' snippets find when they are executed: the program `deeprnn`, and a directory of their own."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

_DIRECTORY = tempfile.TemporaryDirectory(prefix="deeprnn-docs-")
_BEFORE = Path.cwd()


def on_pre_build(config: Any) -> None:  # noqa: ARG001  # the name and the argument are mkdocs's
    """Before the pages are made."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ["COLUMNS"] = "92"
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks are small, and threads would wait for each other
    os.chdir(_DIRECTORY.name)


def on_post_build(config: Any) -> None:  # noqa: ARG001
    """After the pages are made."""
    os.chdir(_BEFORE)
