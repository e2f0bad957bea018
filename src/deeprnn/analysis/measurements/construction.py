"""How long each unit takes to rebuild its context."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deeprnn.analysis.statistics import Floats
from deeprnn.deep import DeepRNN
from deeprnn.state import DeepState


@dataclass(frozen=True)
class Construction:
    """What `construction` measured.

    Attributes:
        correlation: L arrays (T, H_l): for each step of the shared text and each unit, Pearson's r over the texts
            between its values after the one history and after the other; nan where a unit does not vary.
        half: L arrays (H_l,): the first step at which r is at least half its highest value; nan for a unit whose r
            never rises above 0.
    """

    correlation: tuple[Floats, ...]
    half: tuple[Floats, ...]


@torch.no_grad()
def construction(net: DeepRNN, shared: Tensor, history: Tensor, other: Tensor) -> Construction:
    """How soon the same text brings a unit to the same value, whatever was read before it.

    Each of B texts is read twice, once after its own history and once after another text's; a unit that looks at the
    last few characters alone agrees with itself at once, one that holds long context takes as long as it holds.

    Args:
        net: takes (T, B) integers, runs forward in time.
        shared: (T, B) the texts that are read after either history, B >= 3, better hundreds.
        history, other: (P, B) what stood before, and what is put there in its place.

    Cost: two runs of the net over the batch, and a sum over (T, B, H) a layer.

    Pitfalls: r rests on B texts: its error is about 1/sqrt(B). A unit that hardly varies has an r of noise. A unit
    with a time to half of 0 is one of the last character, not one that "constructs fast"; an untrained net's higher
    layers take longer too, so compare with one. What separates two histories may be their last characters only:
    cut them at places of one kind, such as line ends.

    Source: Chien, Zhang & Honey 2021, "Mapping the timescale organization of neural language models", section 2;
    they fit a logistic curve to r where this takes the first crossing.

    >>> from deeprnn import DeepRNN, GRU
    >>> net = DeepRNN(30, [GRU(8), GRU(8)])
    >>> shared, history, other = torch.randint(30, (3, 20, 16))
    >>> [half.shape for half in construction(net, shared, history, other).half]
    [(8,), (8,)]
    """
    _check(shared, history, other)
    runs: list[tuple[Tensor, ...]] = []
    for before in (history, other):
        state: DeepState | None = net(before).state if len(before) else None
        runs.append(net(shared, state).hidden)
    correlation = tuple(_correlate(first, second) for first, second in zip(*runs, strict=True))
    return Construction(correlation, tuple(_half(layer) for layer in correlation))


def _correlate(first: Tensor, second: Tensor) -> Floats:
    """Pearson's r over the batch of two (T, B, H)."""
    a, b = (part.double() - part.double().mean(1, keepdim=True) for part in (first, second))
    spread = a.square().sum(1).sqrt() * b.square().sum(1).sqrt()
    # Below float32's resolution of the values themselves, what varies is rounding.
    size = torch.maximum(first.abs().amax(1), second.abs().amax(1)).double()
    still = spread <= first.shape[1] * (1e-6 * size).square()
    r = ((a * b).sum(1) / spread.clamp(min=1e-300)).clamp(-1, 1)
    return r.masked_fill(still, float("nan")).cpu().numpy()


def _half(correlation: Floats) -> Floats:
    """(H,) the first step at which each column of (T, H) reaches half its maximum."""
    highest = np.fmax.reduce(correlation, axis=0)
    with np.errstate(invalid="ignore"):
        reached = correlation >= highest / 2
    first = reached.argmax(0).astype(np.float64)
    first[~(highest > 0)] = np.nan
    return first


def _check(shared: Tensor, history: Tensor, other: Tensor) -> None:
    shapes = {"shared": shared, "history": history, "other": other}
    for name, ids in shapes.items():
        if ids.dim() != 2 or ids.is_floating_point() or ids.shape[1] != shared.shape[1]:
            raise ValueError(
                f"{name} has shape {tuple(ids.shape)}, {ids.dtype}; it holds ids, a column for each of the "
                f"{shared.shape[-1]} shared texts."
            )
    if shared.shape[1] < 3 or shared.shape[0] < 1:
        raise ValueError(f"shared has shape {tuple(shared.shape)}; a correlation needs at least three texts.")
