"""What the kernels are meant to reach, and which rows fall short of it."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from benchmarks.contenders import OURS, TORCH
from benchmarks.grid import Row, Shape

Entry: TypeAlias = dict[str, Any]
"""A row of the results, as `session.measure_row` and `memory.measure` write it."""

_SHARE = {"inference": 0.75, "training": 0.65}
_SHARE_SMALL = 0.60
_WIDE, _SMALL = 128, 32
_MEMORY = 0.6
_TORCH_LSTM, _TORCH_LSTM_TRAINING = 1.05, 1.4
_EQUAL_IS_ENOUGH = Shape(2, 650, 20, 35)


def torch_ratio(entry: Entry) -> float | None:
    """How many times as long torch takes as ours: torch.nn, or a loop for a phi that it lacks."""
    return next((ratio(entry, name) for name in TORCH if name in entry["contenders"]), None)


def best_peer(entry: Entry) -> str | None:
    """The row's fastest contender beside ours."""
    peers = [name for name in entry["contenders"] if name != OURS]
    return min(peers, key=lambda name: ratio(entry, name), default=None)


def best_ratio(entry: Entry) -> float | None:
    """How many times as long the fastest peer takes as ours."""
    peer = best_peer(entry)
    return None if peer is None else ratio(entry, peer)


def ratio(entry: Entry, name: str) -> float:
    """How many times as long a contender takes as ours, the median over rounds."""
    return entry["contenders"][name]["ratio"]["median"]


def share(entry: Entry) -> float | None:
    """What part of the row's bound ours reaches; None where nothing measured the bound."""
    return None if entry["limits"] is None else entry["gflops"] / entry["limits"]["gflops"]


def geometric_mean(values: Iterable[float | None]) -> float | None:
    """The geometric mean of the values that are there; None if none is."""
    logs = [math.log(value) for value in values if value is not None]
    return math.exp(sum(logs) / len(logs)) if logs else None


def misses(entry: Entry, entries: Sequence[Entry]) -> list[str]:
    """Which targets a row misses, in a few words each.

    Args:
        entries: all rows; at H = 32 the share counts on whatever number of threads it is largest.
    """
    row = Row.from_json(entry)
    missed: list[str] = []
    peer, best = best_peer(entry), best_ratio(entry)
    if best is not None and best <= 1:
        missed.append(f"{peer} is faster")
    against_torch = torch_ratio(entry)
    if row.cell == "lstm" and row.task == "inference" and against_torch is not None:
        least = 1.0 if row.shape == _EQUAL_IS_ENOUGH else _TORCH_LSTM
        if against_torch < least:
            missed.append(f"torch's LSTM: {against_torch:.2f}x < {least:.2f}x")
    reached, wanted = _counted_share(entry, entries), _share_wanted(row)
    if reached is not None and wanted is not None and reached < wanted:
        missed.append(f"share: {reached:.0%} < {wanted:.0%}")
    return missed


def memory_misses(entry: Entry) -> list[str]:
    """Likewise, for a row of memory."""
    return [f"memory: {entry['ratio']:.2f}x > {_MEMORY}x"] if entry["ratio"] > _MEMORY else []


def _share_wanted(row: Row) -> float | None:
    if row.shape.H >= _WIDE:
        return _SHARE[row.task]
    return _SHARE_SMALL if row.shape.H == _SMALL else None


def _counted_share(entry: Entry, entries: Sequence[Entry]) -> float | None:
    row = Row.from_json(entry)
    if row.shape.H != _SMALL:
        return share(entry)
    same = (other for other in entries if _but_threads(other) == _but_threads(entry))
    return max((part for other in same if (part := share(other)) is not None), default=None)


def _but_threads(entry: Entry) -> tuple[Any, ...]:
    return tuple(entry[name] for name in ("cell", "L", "H", "B", "T", "task"))


@dataclass(frozen=True)
class Verdict:
    """A target of the whole grid, and what was measured.

    Attributes:
        met: None where nothing was measured.
        at_bound: what it would be if every row of ours ran at its bound; empty where that says nothing.
    """

    target: str
    measured: str
    met: bool | None
    at_bound: str = ""


def verdicts(entries: Sequence[Entry], memory: Sequence[Entry]) -> list[Verdict]:
    """The targets of the whole grid."""
    lstm = [entry for entry in entries if entry["cell"] == "lstm" and entry["task"] == "training"]
    shares = [entry for entry in entries if share(entry) is not None and _share_wanted(Row.from_json(entry))]
    with_peer = [entry for entry in entries if best_peer(entry) is not None]
    lstm_inference = [
        entry
        for entry in entries
        if (entry["cell"], entry["task"]) == ("lstm", "inference") and torch_ratio(entry) is not None
    ]

    def missing(word: str) -> Callable[[Entry], bool]:
        return lambda entry: any(word in miss for miss in misses(entry, entries))

    return [
        _count("faster than every peer, every row", with_peer, missing("is faster")),
        _mean("geometric mean against torch.nn at least 3x", entries, torch_ratio, 3.0),
        _mean("geometric mean against each row's best peer at least 1.5x", entries, best_ratio, 1.5),
        _count("LSTM inference against torch at least 1.05x (2,650,20,35: 1.0x)", lstm_inference, missing("torch's")),
        _mean("LSTM training against torch, geometric mean at least 1.4x", lstm, torch_ratio, 1.4),
        _count("share of the bound (H >= 128: 75 %, training 65 %; H = 32: 60 %)", shares, missing("share")),
        _count("memory of a training step at most 0.6x torch's", memory, lambda entry: bool(memory_misses(entry))),
    ]


def _mean(target: str, entries: Sequence[Entry], of: Callable[[Entry], float | None], least: float) -> Verdict:
    mean = geometric_mean(map(of, entries))
    if mean is None:
        return Verdict(target, "not measured", None)
    # A share above 1, which a disturbed probe can give, is taken for the bound itself.
    parts = {id(entry): min(part, 1.0) for entry in entries if (part := share(entry)) is not None}
    at_bound = geometric_mean(
        value / parts[id(entry)] for entry in entries if id(entry) in parts and (value := of(entry)) is not None
    )
    return Verdict(target, f"{mean:.2f}x", mean >= least, "" if at_bound is None else f"{at_bound:.2f}x")


def _count(target: str, entries: Sequence[Entry], short: Callable[[Entry], bool]) -> Verdict:
    if not entries:
        return Verdict(target, "not measured", None)
    met = sum(not short(entry) for entry in entries)
    return Verdict(target, f"{met} of {len(entries)} rows", met == len(entries))
