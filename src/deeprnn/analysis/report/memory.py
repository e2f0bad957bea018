"""A run's memory as `deeprnn analyze` reports it: ripples, and the time that units take to build their context anew."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deeprnn.analysis.measurements.construction import Construction, construction
from deeprnn.analysis.measurements.ripple import Floats, band, decay, ripples
from deeprnn.analysis.probes.scores import Interval, resamples
from deeprnn.analysis.report.material import Material, Progress
from deeprnn.analysis.report.results import Control, Results
from deeprnn.deep import DeepRNN

BEFORE = 100
"""Characters that are read before a ripple is set off, and before a shared text begins."""
_SHARED = 100
_DECAY = {"half": "ripple half", "one_percent": "ripple 1 %", "tail": "ripple tail"}


def measure_ripples(
    results: Results,
    material: Material,
    net: DeepRNN,
    fresh: Sequence[DeepRNN],
    *,
    snippets: int,
    horizon: int,
    progress: Progress,
) -> None:
    """Adds the ripples of the net, and of the nets untrained as a band around nothing learned.

    Args:
        net: the run's. fresh: untrained ones of several seeds.
        snippets: places that ripples start from. horizon: characters that they are followed.
    """
    x = material.snippets(snippets, BEFORE + horizon, seed=1)
    replacement = _another(x[BEFORE], material)
    curves: list[Floats] = []
    for index, one in enumerate((net, *fresh)):
        curves.append(ripples(one, x, BEFORE, replacement=replacement))
        progress("ripples", index + 1, 1 + len(fresh))
    ours, bare = curves[0], [of_net.mean(2) for of_net in curves[1:]]
    lowest, highest = band(bare)
    weights = resamples(snippets, 200, seed=0)
    weights /= weights.sum(1, keepdims=True)
    layers: list[dict[str, Any]] = []
    for layer, of_rows in enumerate(ours):
        low, high = np.quantile(of_rows @ weights.T, [0.025, 0.975], axis=1)
        part: dict[str, Any] = {
            "layer": layer + 1,
            "curve": of_rows.mean(1).tolist(),
            "low": low.tolist(),
            "high": high.tolist(),
            "untrained_low": lowest[layer].tolist(),
            "untrained_high": highest[layer].tolist(),
        }
        found = _decays(of_rows, weights)
        _add_ripple(results, layer, of_rows.mean(1), found, seed=-1, control="trained")
        untrained: list[dict[str, Interval]] = []
        for seed, of_net in enumerate(curves[1:]):
            untrained.append(_decays(of_net[layer], weights))
            _add_ripple(results, layer, of_net[layer].mean(1), untrained[-1], seed=seed, control="untrained")
        for name, figure in found.items():
            part[name] = asdict(figure)
            part[f"untrained_{name}"] = [one[name].value for one in untrained]
        layers.append(part)
    results.parts["ripples"] = {"n": snippets, "seeds": len(fresh), "layers": layers}


def measure_construction(
    results: Results, material: Material, net: DeepRNN, fresh: DeepRNN, *, snippets: int, progress: Progress
) -> None:
    """Adds the times that units take to agree with themselves after another history, trained and untrained."""
    x = material.snippets(snippets, BEFORE + _SHARED, seed=3)
    histories, shared = x[:BEFORE], x[BEFORE:]
    found: list[Construction] = []
    for one in (net, fresh):
        found.append(construction(one, shared, histories, histories.roll(1, dims=1)))
        progress("construction", len(found), 2)
    layers: list[dict[str, Any]] = []
    for layer in range(len(net.cells)):
        part: dict[str, Any] = {"layer": layer + 1}
        for prefix, control, one in (("", "trained", found[0]), ("untrained_", "untrained", found[1])):
            half = one.half[layer]
            first, median, third = _quartiles(half)
            for name, value in (("first quartile", first), ("median unit", median), ("third quartile", third)):
                results.add(layer + 1, "", f"construction half, {name}", value, control=_control(control))
            part[f"{prefix}half"] = {"value": median, "low": first, "high": third}
            part[f"{prefix}correlation"] = np.nanmean(one.correlation[layer], axis=1).tolist()
            part[f"{prefix}half_of_units"] = half.tolist()
        layers.append(part)
    results.parts["construction"] = {"n": snippets, "seeds": 1, "layers": layers}


def _control(name: str) -> Control:
    return "trained" if name == "trained" else "untrained"


def _add_ripple(
    results: Results, layer: int, curve: Floats, found: dict[str, Interval], *, seed: int, control: Control
) -> None:
    for name, figure in found.items():
        results.add(layer + 1, "", _DECAY[name], figure, seed=seed, control=control)
    for step, distance in enumerate(curve.tolist()):
        results.add(layer + 1, "", f"ripple {step}", distance, seed=seed, control=control)


def _decays(of_rows: Floats, weights: Floats) -> dict[str, Interval]:
    """The three numbers of a layer's ripple (T, B), with intervals over the places that it started from."""
    value = decay(of_rows.mean(1))
    drawn = [decay(curve) for curve in (of_rows @ weights.T).T]
    return {name: _spread(getattr(value, name), [getattr(one, name) for one in drawn]) for name in _DECAY}


def _spread(value: float, drawn: list[float]) -> Interval:
    finite = np.array([one for one in drawn if np.isfinite(one)])
    if not len(finite):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(finite, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def _quartiles(half: Floats) -> tuple[float, float, float]:
    finite = half[np.isfinite(half)]
    if not len(finite):
        return float("nan"), float("nan"), float("nan")
    first, median, third = np.quantile(finite, [0.25, 0.5, 0.75]).tolist()
    return first, median, third


def _another(symbols: Tensor, material: Material) -> Tensor:
    """(B,) for each symbol another one, as frequent as the text has them."""
    random = torch.Generator().manual_seed(2)
    text = material.x[1:][material.following[:-1] >= 0]
    found = symbols.clone()
    while bool((same := found == symbols).any()):
        found[same] = text[torch.randint(len(text), (int(same.sum()),), generator=random)]
    return found
