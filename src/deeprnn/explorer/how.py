"""For each figure of the page, what it is in plain words, and the Python code that gives the same numbers."""

import textwrap
from pathlib import Path

_TABLE = """
import polars as pl

table = pl.read_parquet("{run}/analysis.parquet")  # written by: deeprnn analyze {run}
"""

_NET = """
import torch
from deeprnn.tasks.text import TextRun

run = TextRun(Path("{run}"))
net, vocabulary = run.load_net().eval(), run.load_vocabulary()
x = torch.from_numpy(vocabulary.encode("def read(self):\\n    return 1\\n" * 4)).long()[:, None]  # (T, B)
"""

_CODE = {
    "matrix": """
import json
from pathlib import Path

summary = json.loads(Path("{run}/analysis.json").read_text())  # written by: deeprnn analyze {run}
for row in summary["probes"]:
    print(row["label"], row["window"], max(row["untrained"]), row["layers"], row["above"])
print(summary["paragraph"])
""",
    "live": "from pathlib import Path\n"
    + _NET.strip()
    + """
result = net(x)
result.hidden[0][-1, 0]  # layer 1 after the last character
torch.softmax(result.output[-1, 0], 0).topk(8)  # what comes next
""",
    "ripples": "from pathlib import Path\n"
    + _NET.strip()
    + """
from deeprnn.analysis.measurements.ripple import decay, ripple

x = torch.cat([x, x.flip(0)], 1)  # two texts or more, side by side
curves = ripple(net, x, 10, replacement=(x[10] + 1) % len(vocabulary))  # (L, T - 10)
[decay(curve).half for curve in curves]
""",
    "reader": "from pathlib import Path\n"
    + _NET.strip()
    + """
from deeprnn.analysis import names_of, record

recording = record(net, x, ["layers.*.hidden"])
recording["layers.0.hidden"][0, :, 7]  # unit 7 of layer 1 at every character
print(*names_of(net))  # all that can be recorded
""",
    "selection": "from pathlib import Path\n"
    + _NET.strip()
    + """
from deeprnn.analysis import record

states = record(net, x)["layers.0.hidden"][0]  # (T, H)
inside = torch.zeros(len(states), dtype=torch.bool)
inside[4:8] = True
contrast = (states[inside].mean(0) - states[~inside].mean(0)) / states[~inside].std(0)
contrast.abs().topk(5)
""",
    "next-character": _TABLE
    + """
table.filter(metric="bits", label="next character").select("control", "layer", "value", "low", "high")
""",
    "ablation": _TABLE
    + """
table.filter(metric="bits lost").select("layer", "change", "step", "value", "low", "high")
""",
    "timescales": _TABLE
    + """
table.filter(metric="autocorrelation time").select("layer", "unit", "value")
""",
    "training": """
import polars as pl

pl.read_csv("{run}/metrics.csv").select("characters", "bits_per_character")
""",
}


def how_each_was_made(run: Path) -> dict[str, str]:
    """The code behind each figure, by the view's name.

    >>> how_each_was_made(Path("runs/book"))["training"].splitlines()[-1]
    'pl.read_csv("runs/book/metrics.csv").select("characters", "bits_per_character")'
    """
    return {view: textwrap.dedent(code).strip().replace("{run}", run.as_posix()) for view, code in _CODE.items()}
