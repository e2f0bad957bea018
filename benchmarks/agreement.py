"""Whether contenders compute the same: nothing is timed before they do."""

import numpy as np

from benchmarks.contenders.interface import Answer

TOLERANCE = 1e-4
"""Largest norm of a difference, relative to the norm of ours, of the hidden states and of each gradient."""

JUMP_TOLERANCE = 3e-2
"""The same, of gradients through a phi whose derivative jumps.

relu's is 0 or 1: an argument that rounds to the other side of zero changes a gradient by that whole row's share. Of the
524,288 arguments of the bottom layer at (4, 128, 16, 256), torch rounds one differently than float64 does, and its
gradients there are 6e-3 of their norm away from float64's; deeprnn's, with no such argument, are 6e-7 away.
"""


def furthest(ours: Answer, theirs: Answer, *, of: str, jumps: bool = False) -> tuple[str, float]:
    """The part of an answer that differs most, and by how much.

    Args:
        of: the row and the contender, for the error's text.
        jumps: whether phi's derivative jumps; gradients then have `JUMP_TOLERANCE`.

    Raises:
        ValueError: a part is missing or left over, has another shape, is not finite, or differs by more than its
            tolerance.
    """
    if ours.keys() != theirs.keys():
        raise ValueError(f"{of}: answers with {', '.join(theirs)}, where deeprnn has {', '.join(ours)}.")
    distances = {name: _distance(ours[name], theirs[name], f"{of}: {name}") for name in ours}
    for name, distance in distances.items():
        allowed = JUMP_TOLERANCE if jumps and name != "hidden" else TOLERANCE
        if not distance <= allowed:
            raise ValueError(
                f"{of}: {name} differs from deeprnn's by {distance:.1e} of its norm; {allowed:.0e} is allowed."
            )
    return max(distances.items(), key=lambda part: part[1])


def _distance(ours: np.ndarray, theirs: np.ndarray, what: str) -> float:
    if ours.shape != theirs.shape:
        raise ValueError(f"{what} has shape {theirs.shape}, deeprnn's {ours.shape}.")
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise ValueError(f"{what} holds a value that is not finite, there or in deeprnn's.")
    norm = np.linalg.norm(ours.astype(np.float64))
    if norm == 0:
        raise ValueError(f"{what} is all zeros in deeprnn's answer, which compares nothing.")
    return float(np.linalg.norm(ours.astype(np.float64) - theirs) / norm)
