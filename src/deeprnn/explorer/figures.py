"""What `deeprnn analyze` measured, arranged for the page's views; nothing is computed here that it did not write."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deeprnn.analysis.report.results import SUMMARY, TABLE, read_summary
from deeprnn.disk import digest
from deeprnn.saving import WEIGHTS, weights_digest

if TYPE_CHECKING:
    import polars

_DECAYS = {"half": "ripple half", "one_percent": "ripple 1 %", "tail": "ripple tail"}
_PARTS = ("ripples", "construction", "lens", "ablation", "units")
_CONSTRUCTION = ("first quartile", "median unit", "third quartile")


def measured(directory: Path) -> dict[str, Any]:
    """All of a run's figures.

    Returns:
        "summary": `analysis.json`, of its longer parts only how many places they rest on; "labels": for each label the
        figures of layers and controls; "ripples", "lens", "ablation", "scales", "construction", "best": see the
        functions of those names. A figure with an interval is [value, low, high]; what is no number is None.

    Raises:
        FileNotFoundError: the run has not been analyzed; the message says how. ValueError: a file is damaged.
    """
    summary = read_summary(directory)
    table = _read_table(directory, summary)
    layers = len(summary["network"])
    return {
        "summary": {name: _counts(part) if name in _PARTS else part for name, part in summary.items()},
        "labels": {probe["label"]: _label(table, probe["label"], layers) for probe in summary["probes"]},
        "ripples": _ripples(table, layers),
        "lens": _lens(table, layers),
        "ablation": _ablation(table),
        "scales": _scales(table, layers),
        "construction": _construction(table, layers),
        "best": _best(table),
    }


def _counts(part: dict[str, Any]) -> dict[str, Any]:
    """How many places a measurement rests on; its figures are taken from the table."""
    return {name: part[name] for name in ("n", "seeds")}


def is_stale(directory: Path, summary: Mapping[str, Any]) -> bool:
    """Whether the net is no longer the one that was analyzed."""
    if "weights" in summary:
        return summary["weights"] != weights_digest(directory)
    return (directory / WEIGHTS).stat().st_mtime > (directory / SUMMARY).stat().st_mtime


def _read_table(directory: Path, summary: Mapping[str, Any]) -> "polars.DataFrame":
    import polars

    path = directory / TABLE
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; make it with: deeprnn analyze {directory}")
    if "table" in summary and summary["table"] != digest.of_file(path):
        raise ValueError(
            f"{path} is not the table that {SUMMARY} was written with, or is damaged.\n"
            f"  Make both anew: deeprnn analyze {directory}"
        )
    try:
        return polars.read_parquet(path)
    except polars.exceptions.PolarsError as error:
        raise ValueError(
            f"{path} is not a complete table ({error}); make it again: deeprnn analyze {directory}"
        ) from error


def _figures(
    table: "polars.DataFrame", metric: str, control: str, label: str | None = None, seed: int | None = -1
) -> dict[int, list[float | None]]:
    """[value, low, high] by layer, of one metric."""
    import polars

    chosen = (polars.col("metric") == metric) & (polars.col("control") == control)
    if label is not None:
        chosen &= polars.col("label") == label
    if seed is not None:
        chosen &= polars.col("seed") == seed
    rows = table.filter(chosen).select("layer", "value", "low", "high").iter_rows()
    return {layer: [_number(part) for part in figure] for layer, *figure in rows}


def _per_layer(found: dict[int, list[float | None]], layers: int) -> list[list[float | None] | None]:
    return [found.get(layer) for layer in range(1, layers + 1)]


def _label(table: "polars.DataFrame", label: str, layers: int) -> dict[str, Any]:
    """One label: accuracies with intervals, bits over the window, centres of gravity, the ladder of windows."""
    import polars

    window = table.filter((polars.col("label") == label) & (polars.col("control") == "window")).filter(
        polars.col("metric").str.starts_with("accuracy window ") & (polars.col("seed") == -1)
    )
    ladder = {int(metric.rpartition(" ")[2]): _number(value) for metric, value in window["metric", "value"].iter_rows()}
    over = next(iter(table.filter(polars.col("metric").str.starts_with("bits over window"))["metric"]), "")
    return {
        "accuracy": {
            control: _per_layer(_figures(table, "accuracy", control, label), layers)
            for control in ("trained", "untrained")
        },
        "shuffled": _per_layer(_figures(table, "accuracy", "shuffled", label), layers),
        "bits": {
            control: _per_layer(_figures(table, over, control, label), layers) for control in ("trained", "untrained")
        },
        "centre": {
            control: _figures(table, "centre of gravity", control, label).get(0) for control in ("trained", "untrained")
        },
        "windows": dict(sorted(ladder.items())),
    }


def _ripples(table: "polars.DataFrame", layers: int) -> dict[str, Any]:
    """Mean curves: of the net (L, T), of each untrained one (seeds, L, T); and the three numbers of each layer."""
    import polars

    rows = table.filter(polars.col("metric").str.contains(r"^ripple \d+$"))
    curves: dict[tuple[str, int], list[list[float | None]]] = {}
    step = polars.col("metric").str.slice(7).cast(polars.Int32).alias("step")
    for layer, seed, control, value in (
        rows.with_columns(step).sort("step").select("layer", "seed", "control", "value").iter_rows()
    ):
        curves.setdefault((control, seed), [[] for _ in range(layers)])[layer - 1].append(_number(value))
    seeds = sorted(seed for control, seed in curves if control == "untrained")
    decay = {
        name: {
            "trained": _per_layer(_figures(table, metric, "trained"), layers),
            "untrained": [_per_layer(_figures(table, metric, "untrained", seed=seed), layers) for seed in seeds],
        }
        for name, metric in _DECAYS.items()
    }
    return {
        "trained": curves.get(("trained", -1), []),
        "untrained": [curves["untrained", seed] for seed in seeds],
        "decay": decay,
    }


def _lens(table: "polars.DataFrame", layers: int) -> dict[str, Any]:
    """Bits and accuracy of the next character, read from each layer."""
    return {
        name: {
            control: _per_layer(_figures(table, f"lens {name}", control), layers)
            for control in ("trained", "untrained")
        }
        for name in ("bits", "accuracy")
    }


def _ablation(table: "polars.DataFrame") -> list[dict[str, Any]]:
    """Bits lost by each change of each layer."""
    import polars

    rows = table.filter(polars.col("metric").str.starts_with("bits lost, "))
    return [
        {"layer": layer, "change": metric.removeprefix("bits lost, "), "figure": [_number(part) for part in figure]}
        for layer, metric, *figure in rows.select("layer", "metric", "value", "low", "high").iter_rows()
    ]


def _scales(table: "polars.DataFrame", layers: int) -> list[dict[str, Any]]:
    """Each layer's units: autocorrelation times, and the shares of steps at which each gate is open, and shut."""
    import polars

    metric = polars.col("metric")
    rows = table.filter((metric == "autocorrelation time") | metric.str.contains(r"^gate \w+ (open|shut)$"))
    found: list[dict[str, Any]] = [{} for _ in range(layers)]
    unit = polars.col("label").str.slice(5).cast(polars.Int32).alias("unit")
    for layer, name, value in rows.with_columns(unit).sort("unit").select("layer", "metric", "value").iter_rows():
        found[layer - 1].setdefault(name, []).append(_number(value))
    return found


def _construction(table: "polars.DataFrame", layers: int) -> dict[str, Any]:
    """Characters until a unit agrees with itself whatever was read before: quartiles over a layer's units."""
    return {
        control: {
            name: [
                None if figure is None else figure[0]
                for figure in _per_layer(_figures(table, f"construction half, {name}", control), layers)
            ]
            for name in _CONSTRUCTION
        }
        for control in ("trained", "untrained")
    }


def _best(table: "polars.DataFrame") -> dict[str, list[dict[str, Any]]]:
    """By "label: class", each layer's unit that tells the class best, with its AUC and the chance of one as good."""
    import polars

    found: dict[str, list[dict[str, Any]]] = {}
    auc: dict[tuple[int, str], float | None] = {}
    chance: dict[tuple[int, str], float | None] = {}
    trained = table.filter(polars.col("control") == "trained")
    for metric, into in (("best unit AUC", auc), ("best unit p", chance)):
        for layer, label, value in (
            trained.filter(polars.col("metric") == metric).select("layer", "label", "value").iter_rows()
        ):
            into[layer, label] = _number(value)
    rows = trained.filter(polars.col("metric") == "best unit").select("layer", "label", "value")
    for layer, label, value in rows.iter_rows():
        place = (layer, label)
        one = {"layer": layer, "unit": int(value), "auc": auc.get(place), "p": chance.get(place)}
        found.setdefault(label, []).append(one)
    return found


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
