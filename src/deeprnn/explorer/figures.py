"""What `deeprnn analyze` measured, arranged for the page's views; nothing is computed here that it did not write."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from deeprnn.analysis.report.results import SUMMARY, read_figures, read_summary
from deeprnn.analysis.report.ripples import DECAYS
from deeprnn.analysis.report.table import NEXT_CHARACTER, Control, Figures, Metric, Where
from deeprnn.analysis.statistics import Interval
from deeprnn.saving import WEIGHTS, weights_digest

_PARTS = ("ripples", "construction", "next_character", "ablation", "units")
_BOTH: tuple[Control, Control] = ("trained", "untrained")


def measured(directory: Path) -> dict[str, Any]:
    """All of a run's figures.

    Returns:
        "summary": `analysis.json`, of its longer parts only how many places they rest on; "labels": for each label the
        figures of layers and controls; "ripples", "next_character", "ablation", "scales", "construction", "best": see
        the functions of those names. A figure with an interval is [value, low, high]; NaN is None.

    Raises:
        FileNotFoundError: the run has not been analyzed; the message says how. ValueError: a file is damaged.
    """
    summary = read_summary(directory)
    figures = read_figures(directory, summary)
    layers = range(1, len(summary["network"]) + 1)
    return {
        "summary": {name: _counts(part) if name in _PARTS else part for name, part in summary.items()},
        "labels": {probe["label"]: _label(figures, probe["label"], layers, summary) for probe in summary["probes"]},
        "ripples": _ripples(figures, layers),
        "next_character": _next_character(figures, layers),
        "ablation": _ablation(figures),
        "scales": [_scales(figures, layer) for layer in layers],
        "construction": _construction(figures, layers),
        "best": _best(figures),
    }


def is_stale(directory: Path, summary: Mapping[str, Any]) -> bool:
    """Whether the net is no longer the one that was analyzed."""
    if "weights" in summary:
        return summary["weights"] != weights_digest(directory)
    return (directory / WEIGHTS).stat().st_mtime > (directory / SUMMARY).stat().st_mtime


def _counts(part: dict[str, Any]) -> dict[str, Any]:
    """How many places a measurement rests on; its figures are taken from the table."""
    return {name: part[name] for name in ("n", "seeds")}


def _label(figures: Figures, label: str, layers: range, summary: Mapping[str, Any]) -> dict[str, Any]:
    """One label: accuracies with intervals, bits over the window, centres of gravity, the accuracy of each window."""
    window: int = summary["window"]
    return {
        "accuracy": {one: _per_layer(figures, "accuracy", layers, label=label, control=one) for one in _BOTH},
        "shuffled": _per_layer(figures, "accuracy", layers, label=label, control="shuffled"),
        "bits": {
            one: _per_layer(figures, "bits over window", layers, label=label, step=window, control=one) for one in _BOTH
        },
        "centre": {one: _json(figures.figure("centre of gravity", label=label, control=one)) for one in _BOTH},
        "windows": {
            k: figures.figure("accuracy", label=label, step=k, control="window").value for k in summary["windows"]
        },
    }


def _ripples(figures: Figures, layers: range) -> dict[str, Any]:
    """Mean curves: of the net (L, T), of each untrained one (seeds, L, T); and the three numbers of each layer."""
    seeds: list[int] = sorted(figures.present("ripple", "seed", control="untrained"))

    def curves(control: Control, seed: int | None) -> list[list[float]]:
        return [figures.values("ripple", "step", layer=layer, seed=seed, control=control) for layer in layers]

    return {
        "trained": curves("trained", None),
        "untrained": [curves("untrained", seed) for seed in seeds],
        "decay": {
            name: {
                "trained": _per_layer(figures, metric, layers),
                "untrained": [_per_layer(figures, metric, layers, seed=seed, control="untrained") for seed in seeds],
            }
            for name, metric in DECAYS.items()
        },
    }


def _next_character(figures: Figures, layers: range) -> dict[str, Any]:
    """Bits and accuracy of the next character, read from each layer."""
    metrics: tuple[Metric, Metric] = ("bits", "accuracy")
    return {
        metric: {one: _per_layer(figures, metric, layers, label=NEXT_CHARACTER, control=one) for one in _BOTH}
        for metric in metrics
    }


def _ablation(figures: Figures) -> list[dict[str, Any]]:
    """Bits lost by each change of each layer; "every" is how many characters lie between two resets."""
    rows = figures.rows("bits lost").select("layer", "change", "step", "value", "low", "high")
    return [
        {"layer": layer, "change": change, "every": step, "figure": _json(Interval(*figure))}
        for layer, change, step, *figure in rows.iter_rows()
    ]


def _scales(figures: Figures, layer: int) -> dict[str, Any]:
    """A layer's units: autocorrelation times, and the shares of steps at which each gate is open, and shut."""
    gates: list[str] = figures.present("gate open", "label", layer=layer)
    return {
        "autocorrelation_time": [_number(one) for one in figures.values("autocorrelation time", "unit", layer=layer)],
        "gates": {
            gate: {
                "open": figures.values("gate open", "unit", layer=layer, label=gate),
                "shut": figures.values("gate shut", "unit", layer=layer, label=gate),
            }
            for gate in gates
        },
    }


def _construction(figures: Figures, layers: range) -> dict[str, Any]:
    """Characters until a unit agrees with itself whatever was read before: [median, quartiles] over a layer's units."""
    return {one: _per_layer(figures, "construction half", layers, control=one) for one in _BOTH}


def _best(figures: Figures) -> list[dict[str, Any]]:
    """Each layer's unit that tells a class of a label best, with its AUC and the chance of one as good."""
    columns = ("layer", "label", "label_class", "unit", "value")
    keys = ("layer", "label", "label_class")
    auc = figures.rows("best unit AUC", control="trained").select(columns)
    chance = figures.rows("best unit p", control="trained").select(*keys, p="value")
    return [
        {"layer": layer, "label": label, "class": name, "unit": unit, "auc": _number(value), "p": _number(p)}
        for layer, label, name, unit, value, p in auc.join(chance, on=keys, maintain_order="left").iter_rows()
    ]


def _per_layer(
    figures: Figures, metric: Metric, layers: range, **where: Unpack[Where]
) -> list[list[float | None] | None]:
    """[value, low, high] of a metric at each layer."""
    return [_json(figures.figure(metric, **{**where, "layer": layer})) for layer in layers]


def _json(figure: Interval) -> list[float | None]:
    return [_number(part) for part in (figure.value, figure.low, figure.high)]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
