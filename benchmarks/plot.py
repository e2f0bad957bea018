"""Results as a picture: speed of every contender on every row, below the row's bound."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.contenders import NAMES, OURS
from benchmarks.grid import CELLS, TASKS, Row

_MARKS = {
    OURS: ("o", "#c1272d"),
    "torch.nn": ("s", "#0072b2"),
    "torch loop": ("D", "#56b4e9"),
    "torch.compile": ("v", "#8da0cb"),
    "JAX": ("^", "#009e73"),
    "ONNX Runtime": ("X", "#e69f00"),
}


def draw(results: dict[str, Any], threads: int, path: Path) -> None:
    """Writes the rows of one number of threads: a panel for each cell and task, a column for each shape."""
    entries = [entry for entry in results["rows"] if entry["threads"] == threads]
    cells = [cell for cell in CELLS if any(entry["cell"] == cell for entry in entries)]
    figure, axes = plt.subplots(
        len(TASKS), len(cells), figsize=(3.2 * len(cells), 6.4), sharex=True, sharey=True, squeeze=False
    )
    for line, task in zip(axes, TASKS, strict=True):
        for panel, cell in zip(line, cells, strict=True):
            _panel(panel, [entry for entry in entries if (entry["cell"], entry["task"]) == (cell, task)])
            panel.set_title(f"{CELLS[cell].name}, {task}", fontsize=10)
        line[0].set_ylabel("GFLOP/s")
    for panel in axes[-1]:
        panel.set_xlabel("L,H,B,T")
    shown = {
        label: handle for panel in axes.flat for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    order = [name for name in (*NAMES, "bound") if name in shown]
    plural = "" if threads == 1 else "s"
    figure.suptitle(f"{results['machine']['processor']}, {threads} thread{plural}", fontsize=11)
    figure.legend([shown[name] for name in order], order, loc="lower center", ncols=len(order), frameon=False)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    # Without a date and with a fixed salt, equal results make equal files.
    with matplotlib.rc_context({"svg.hashsalt": "deeprnn"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)
    plt.close(figure)


def _panel(panel: Axes, entries: list[dict[str, Any]]) -> None:
    places = range(len(entries))
    for name, (marker, colour) in _MARKS.items():
        points = [
            (place, entry["flops"] / entry["contenders"][name]["seconds"]["median"] / 1e9)
            for place, entry in zip(places, entries, strict=True)
            if name in entry["contenders"]
        ]
        if points:
            front = 3 if name == OURS else 2
            panel.scatter(*zip(*points, strict=True), marker=marker, color=colour, s=34, zorder=front, label=name)
    bounds = [(place, entry["limits"]["gflops"]) for place, entry in enumerate(entries) if entry["limits"]]
    if bounds:
        panel.scatter(*zip(*bounds, strict=True), marker="_", color="black", s=220, zorder=1, label="bound")
    panel.set_xticks(list(places), [str(Row.from_json(entry).shape) for entry in entries], rotation=90, fontsize=8)
    panel.set_ylim(bottom=0)
    panel.grid(axis="y", color="#dddddd", linewidth=0.6, zorder=0)
    panel.spines[["top", "right"]].set_visible(False)
