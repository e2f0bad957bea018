"""One HTML file from its parts: style, scripts, plotting library, data, weights."""

import html
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

SCRIPTS = ("engine.js",)
"""The page's own scripts, in the order in which they are run."""

_SLOT = re.compile(r"\{\{(\w+)\}\}")


@cache
def web_file(name: str) -> str:
    """The text of one of the files in `web/`."""
    return (files("deeprnn.explorer") / "web" / name).read_text(encoding="utf-8")


def library() -> str:
    """The plotting library, as the wheel of plotly brings it.

    Raises:
        ImportError: plotly is not installed.
    """
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()
