"""What `analysis.json` holds, made from the table."""

from dataclasses import asdict
from typing import Any

from deeprnn.analysis.report.ripples import DECAYS
from deeprnn.analysis.report.table import NEXT_CHARACTER, Control, Figures, Metric
from deeprnn.analysis.statistics import Interval

_PREFIXES: dict[Control, str] = {"trained": "", "untrained": "untrained_"}


def ripples(figures: Figures, layers: int) -> list[dict[str, Any]]:
    """For each layer its curve with the interval, the band of the nets untrained, and what describes the decay."""
    seeds: list[int] = sorted(figures.present("ripple", "seed", control="untrained"))
    found: list[dict[str, Any]] = []
    for layer in range(1, layers + 1):
        own = figures.rows("ripple", layer=layer, control="trained").sort("step")
        bare = [figures.values("ripple", "step", layer=layer, control="untrained", seed=seed) for seed in seeds]
        part: dict[str, Any] = {
            "layer": layer,
            "curve": own["value"].to_list(),
            "low": own["low"].to_list(),
            "high": own["high"].to_list(),
            "untrained_low": [min(step) for step in zip(*bare, strict=True)],
            "untrained_high": [max(step) for step in zip(*bare, strict=True)],
        }
        for name, metric in DECAYS.items():
            part[name] = asdict(figures.figure(metric, layer=layer))
            part[f"untrained_{name}"] = figures.values(metric, "seed", layer=layer, control="untrained")
        found.append(part)
    return found


def construction(figures: Figures, layers: int) -> list[dict[str, Any]]:
    """For each layer the median unit between the quartiles, every unit, and the correlation at each step."""
    return [
        {"layer": layer}
        | {
            prefix + name: value
            for control, prefix in _PREFIXES.items()
            for name, value in {
                "half": asdict(figures.figure("construction half", layer=layer, control=control)),
                "correlation": figures.values("construction correlation", "step", layer=layer, control=control),
                "half_of_units": figures.values("construction half", "unit", layer=layer, control=control),
            }.items()
        }
        for layer in range(1, layers + 1)
    ]


def next_character(figures: Figures, layers: int) -> list[dict[str, Any]]:
    """For each layer the bits and the accuracy of the next character read off it."""
    return [
        {"layer": layer}
        | {
            f"{prefix}{metric}": asdict(figures.figure(metric, label=NEXT_CHARACTER, layer=layer, control=control))
            for control, prefix in _PREFIXES.items()
            for metric in ("bits", "accuracy")
        }
        for layer in range(1, layers + 1)
    ]


def own_bits(figures: Figures, control: Control = "trained") -> Interval:
    """The net's own bits a character, or those of the net that it is compared with."""
    return figures.figure("bits", label=NEXT_CHARACTER, control=control)


def ablation(figures: Figures, layers: int) -> list[dict[str, Any]]:
    """For each layer the bits lost when it passes zero, its mean, or when its state is reset every so often."""
    return [
        {
            "layer": layer,
            "zero": asdict(figures.figure("bits lost", label=NEXT_CHARACTER, layer=layer, change="zero")),
            "mean": asdict(figures.figure("bits lost", label=NEXT_CHARACTER, layer=layer, change="mean")),
            "resets": {
                str(row["step"]): {name: row[name] for name in ("value", "low", "high")}
                for row in figures.rows("bits lost", layer=layer, change="reset").iter_rows(named=True)
            },
        }
        for layer in range(1, layers + 1)
    ]


def units(figures: Figures, layers: int) -> list[dict[str, Any]]:
    """For each layer the best unit for each class, and every unit's time scale and gates."""
    return [
        {
            "layer": layer,
            "best": _best_units(figures, layer),
            "autocorrelation_time": figures.values("autocorrelation time", "unit", layer=layer),
            "gates": {
                gate: {
                    "open": figures.values("gate open", "unit", layer=layer, label=gate),
                    "shut": figures.values("gate shut", "unit", layer=layer, label=gate),
                }
                for gate in figures.present("gate open", "label", layer=layer)
            },
        }
        for layer in range(1, layers + 1)
    ]


def _best_units(figures: Figures, layer: int) -> list[dict[str, Any]]:
    """A class of a label each: the unit of the net that tells it best, and how well one of the net untrained does."""

    def by_class(metric: Metric, control: Control) -> dict[tuple[str, str], tuple[int, float]]:
        rows = figures.rows(metric, layer=layer, control=control)
        return {
            (label, name): (unit, value)
            for label, name, unit, value in rows.select("label", "label_class", "unit", "value").iter_rows()
        }

    chance, bare = by_class("best unit p", "trained"), by_class("best unit AUC", "untrained")
    return [
        {
            "label": label,
            "class": name,
            "unit": unit,
            "auc": auc,
            "p": chance[label, name][1],
            "untrained_auc": bare[label, name][1] if (label, name) in bare else None,
        }
        for (label, name), (unit, auc) in by_class("best unit AUC", "trained").items()
    ]
