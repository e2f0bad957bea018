"""Whether contenders compute the same: nothing is timed before they do."""

import numpy as np

from benchmarks.contenders.interface import Answer

TOLERANCE = 1e-4
"""Largest norm of a difference, relative to the norm of ours, of the hidden states and of each gradient."""


def furthest(ours: Answer, theirs: Answer, *, of: str) -> tuple[str, float]:
    """The part of an answer that differs most, and by how much.

    Args:
        of: the row and the contender, for the error's text.

    Raises:
        ValueError: a part is missing or left over, has another shape, is not finite, or differs by more than
            `TOLERANCE`.
    """
    if ours.keys() != theirs.keys():
        raise ValueError(f"{of}: answers with {', '.join(theirs)}, where deeprnn has {', '.join(ours)}.")
    distances = {name: _distance(ours[name], theirs[name], f"{of}: {name}") for name in ours}
    name = max(distances, key=lambda part: distances[part])
    if not distances[name] <= TOLERANCE:
        raise ValueError(
            f"{of}: {name} differs from deeprnn's by {distances[name]:.1e} of its norm; {TOLERANCE:.0e} is allowed."
        )
    return name, distances[name]


def _distance(ours: np.ndarray, theirs: np.ndarray, what: str) -> float:
    if ours.shape != theirs.shape:
        raise ValueError(f"{what} has shape {theirs.shape}, deeprnn's {ours.shape}.")
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise ValueError(f"{what} holds a value that is not finite, there or in deeprnn's.")
    norm = np.linalg.norm(ours.astype(np.float64))
    if norm == 0:
        raise ValueError(f"{what} is all zeros in deeprnn's answer, which compares nothing.")
    return float(np.linalg.norm(ours.astype(np.float64) - theirs) / norm)
