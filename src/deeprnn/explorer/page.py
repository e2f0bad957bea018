"""One HTML file from its parts: style, scripts, plotting library, content, weights. It refers to nothing outside."""

import html
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

COMPUTING = ("engine.js", "service.js")
"""What runs in a worker, beside the page."""
SCRIPTS = (
    "dom.js",
    "theme.js",
    "palette.js",
    "figure.js",
    "plot.js",
    "remote.js",
    "symbols.js",
    "textview.js",
    "textpicker.js",
    "matrix.js",
    "detail.js",
    "strips.js",
    "live.js",
    "ripples.js",
    "reader.js",
    "selection.js",
    "nextcharacter.js",
    "ablation.js",
    "timescales.js",
    "training.js",
    "app.js",
)
"""The page's own scripts, in the order in which they are run."""

_SLOT = re.compile(r"\{\{(\w+)\}\}")


@cache
def web_file(name: str) -> str:
    """The text of one of the files in `web/`."""
    return (files("deeprnn.explorer") / "web" / name).read_text(encoding="utf-8")


def render(content: dict[str, Any], weights: str) -> str:
    """The page.

    Args:
        content: what the views show, as JSON.
        weights: the net's and the probes' numbers (see `embedding.pack`).

    Raises:
        ImportError: plotly, whose library the page holds, is not installed.
    """
    parts = {
        "title": html.escape(f"{content['title']}: what each layer knows"),
        "style": web_file("style.css"),
        "content": _as_json(content),
        "computing": _script(*map(web_file, COMPUTING)),
        "scripts": _script(*map(web_file, SCRIPTS)),
        "library": _script(_library()),
        "weights": weights,
    }
    return _SLOT.sub(lambda slot: parts[slot[1]], web_file("index.html"))


def _library() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def _script(*sources: str) -> str:
    """Sources as they can stand inside a script element: nothing in them ends it."""
    return "\n".join(sources).replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _as_json(content: Any) -> str:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")
