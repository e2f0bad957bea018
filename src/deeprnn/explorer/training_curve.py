"""A run's training curve: bits a character of training text as it was read, and of held-out text now and then."""

import csv
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from deeprnn.analysis.measurements.ablation import negative_log_likelihood
from deeprnn.analysis.report.text_sample import sample_texts, untrained
from deeprnn.deep import DeepRNN
from deeprnn.disk import tensor_file
from deeprnn.explorer.texts import Texts
from deeprnn.tasks.text import TextRun, Vocabulary
from deeprnn.tasks.text.run import COLUMNS
from deeprnn.training.checkpoint import checkpoint_paths, newest_checkpoint
from deeprnn.training.metrics import read_rows

_FILES, _PER_FILE, _LOOKED_AT = 32, 1_000, 4_000
_ROWS = 600
"""Rows of the training's table that are drawn at most; more would lie on the same pixels."""


def training_curve(run: TextRun, net: DeepRNN, texts: Texts, vocabulary: Vocabulary) -> dict[str, Any]:
    """The rows of `metrics.csv`, and held-out bits per character of the net untrained, of every checkpoint that the
    run keeps, and of the net as it is, all on the same characters.

    Returns:
        "rows": [characters read, seconds, bits a character of training text] each; "held_out": {"what", "characters"
        (read by then; None where unknown), "bits"} each; "measured": how many characters those bits are over.
    """
    steps = _read_steps(run)
    rows = [[characters, seconds, bits] for _, characters, seconds, bits in steps]
    found: dict[str, Any] = {"rows": _thinned(rows, _ROWS), "held_out": [], "measured": 0}
    sample = sample_texts(texts.every, vocabulary, files=_FILES, per_file=_PER_FILE, characters=_LOOKED_AT)
    found["measured"] = int((sample.targets >= 0).sum())
    plan = run.read_plan()
    by_step = {step: characters for step, characters, *_ in steps}

    def add(what: str, characters: int | None, one: DeepRNN) -> None:
        bits = float(negative_log_likelihood(one, sample.x, sample.targets).bits())
        found["held_out"].append({"what": what, "characters": characters, "bits": bits})

    add("untrained", 0, untrained(net, plan.settings.seed))
    for path in reversed(checkpoint_paths(run.checkpoints)):
        step = int(path.stem.removeprefix("step-"))
        nearest = min(by_step, key=lambda known: abs(known - step), default=None)
        one = None if nearest is None else _load(path, net)
        if nearest is not None and one is not None:
            add(f"checkpoint at step {step:,}", by_step[nearest], one)
    if not any(one["what"] != "untrained" for one in found["held_out"]):
        add("the net as it is", int(rows[-1][0]) if rows else None, net)
    return found


def _thinned(rows: list[Any], most: int) -> list[Any]:
    """At most this many rows, evenly spaced, and the last one.

    >>> _thinned([0, 1, 2, 3, 4, 5, 6, 7], 3), _thinned([0, 1], 3), _thinned([], 3)
    ([0, 3, 6, 7], [0, 1], [])
    """
    every = max(1, -(-len(rows) // most))
    return rows[::every] + (rows[-1:] if (len(rows) - 1) % every else [])


def _load(path: Path, like: DeepRNN) -> DeepRNN | None:
    """The network of a checkpoint; None where a training that is under way has removed it meanwhile."""
    try:
        tensors = tensor_file.read(path, remedy="Delete it; the page then leaves it out.")
    except FileNotFoundError:
        return None
    one = untrained(like, 0)
    with torch.no_grad():
        for name, weight in one.named_parameters():
            if f"net.{name}" not in tensors or tensors[f"net.{name}"].shape != weight.shape:
                raise ValueError(f"{path} does not hold the run's network: {name} is missing, or of another shape.")
            weight.copy_(tensors[f"net.{name}"])
    return one


def _read_steps(run: TextRun) -> list[tuple[int, int, float, float]]:
    """(step, characters, seconds, bits per character) of each row of the table; none where there is no table."""
    path, newest = run.metrics_file, newest_checkpoint(run.checkpoints)
    if not path.exists():
        return []
    with suppress(FileNotFoundError):  # removed meanwhile by a training that is under way
        about = {} if newest is None else tensor_file.read_metadata(newest)
        if about.get("rows") is not None:
            read_rows(path, COLUMNS, int(about["step"]), about["rows"])
    try:
        return [
            (int(row["step"]), int(row["characters"]), float(row["seconds"]), float(row["bits_per_character"]))
            for row in csv.DictReader(read_rows(path, COLUMNS), COLUMNS)
        ]
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}).\n  Restore it from a copy, or delete it.") from error
