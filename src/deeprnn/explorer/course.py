"""The course of a run's training, as the page shows it."""

import csv
from typing import Any

import torch

from deeprnn.analysis.ablation import surprise
from deeprnn.analysis.material import gather, untrained
from deeprnn.deep import DeepRNN
from deeprnn.explorer.texts import Texts
from deeprnn.saving import read_tensors
from deeprnn.text import Vocabulary
from deeprnn.training import Run

_FILES, _PER_FILE, _LOOKED_AT = 32, 1_000, 4_000
_ROWS = 600
"""Rows of the training's table that are drawn at most; more would lie on the same pixels."""


def course_of(run: Run, net: DeepRNN, texts: Texts, vocabulary: Vocabulary) -> dict[str, Any]:
    """The rows of `metrics.csv`, and held-out bits per character of the net untrained, of every checkpoint that the
    run keeps, and of the net as it is, all on the same characters.

    Returns:
        "rows": [characters read, seconds, bits a character of training text] each; "held_out": {"what", "characters"
        (read by then; None where unknown), "bits"} each; "measured": how many characters those bits are over.
    """
    steps = _read_steps(run)
    rows = [[characters, seconds, bits] for _, characters, seconds, bits in steps]
    found: dict[str, Any] = {"rows": _thinned(rows, _ROWS), "held_out": [], "measured": 0}
    material = gather(texts.every, vocabulary, files=_FILES, per_file=_PER_FILE, characters=_LOOKED_AT)
    found["measured"] = int((material.following >= 0).sum())
    plan = run.read_plan()
    by_step = {step: characters for step, characters, *_ in steps}

    def add(what: str, characters: int | None, one: DeepRNN) -> None:
        bits = float(surprise(one, material.x, material.following).bits())
        found["held_out"].append({"what": what, "characters": characters, "bits": bits})

    add("untrained", 0, untrained(net, plan.settings.seed))
    for path in sorted(run.checkpoints.glob("step-*.safetensors")):
        step = int(path.stem.removeprefix("step-"))
        nearest = min(by_step, key=lambda known: abs(known - step), default=None)
        if nearest is not None:
            add(f"checkpoint at step {step:,}", by_step[nearest], _load(run, net, path.name))
    if not any(one["what"] != "untrained" for one in found["held_out"]):
        add("the net as it is", int(rows[-1][0]) if rows else None, net)
    return found


def _thinned(rows: list[Any], most: int) -> list[Any]:
    """So many rows at most, evenly, and the last one beside them.

    >>> _thinned([0, 1, 2, 3, 4, 5, 6, 7], 3), _thinned([0, 1], 3), _thinned([], 3)
    ([0, 3, 6, 7], [0, 1], [])
    """
    every = max(1, -(-len(rows) // most))
    return rows[::every] + (rows[-1:] if (len(rows) - 1) % every else [])


def _load(run: Run, like: DeepRNN, name: str) -> DeepRNN:
    tensors = read_tensors(run.checkpoints / name)
    weights = {key.removeprefix("net."): tensor for key, tensor in tensors.items() if key.startswith("net.")}
    one = untrained(like, 0)
    with torch.no_grad():
        one.load_state_dict(weights)
    return one


def _read_steps(run: Run) -> list[tuple[int, int, float, float]]:
    """(step, characters, seconds, bits per character) of each row of the table; none where there is no table."""
    if not run.metrics_file.is_file():
        return []
    with run.metrics_file.open(encoding="utf-8", newline="") as file:
        return [
            (int(row["step"]), int(row["characters"]), float(row["seconds"]), float(row["bits_per_character"]))
            for row in csv.DictReader(file)
        ]
