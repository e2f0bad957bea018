"""Single units as `deeprnn analyze` reports them: the best for each class, their gates and time scales."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from deeprnn.analysis import labels as label_sets
from deeprnn.analysis.measurements.units import autocorrelation_time, best_units, saturation
from deeprnn.analysis.probes.examples import Split
from deeprnn.analysis.recording.recorder import record
from deeprnn.analysis.report.material import Material, Progress
from deeprnn.analysis.report.results import Results
from deeprnn.deep import DeepRNN

_GATES = {"GRU": ("z", "r"), "LSTM": ("i", "f", "o")}
"""The gates that can saturate, by cell."""
_STEPS, _FILES = 2_000, 16
"""How much text time scales and gates are taken from: so many steps of so many files."""


def measure_units(
    results: Results,
    material: Material,
    net: DeepRNN,
    trained: Sequence[Tensor],
    untrained: Sequence[Tensor],
    split: Split,
    *,
    shifts: int,
    progress: Progress,
) -> None:
    """Adds the best unit for each class of each label, and every unit's autocorrelation time and gates.

    Args:
        trained, untrained: states (N, H) of the layers of the net and of the net untrained.
        shifts: of the labels, for the chance of the best unit.
    """
    classes = _class_names(material)
    jobs, done = 2 * len(trained) + 1, 0
    layers: list[dict[str, Any]] = []
    for index, (ours, bare) in enumerate(zip(trained, untrained, strict=True)):
        best: dict[tuple[str, int], dict[str, Any]] = {}
        for unit in best_units(ours, material.labels, split, shifts=shifts):
            name = classes[unit.label][unit.label_class]
            best[unit.label, unit.label_class] = {
                "label": unit.label,
                "class": name,
                "unit": unit.unit,
                "auc": unit.auc,
                "p": unit.p,
                "untrained_auc": None,
            }
            shown = f"{unit.label}: {name}"
            results.add(index + 1, shown, "best unit", float(unit.unit))
            results.add(index + 1, shown, "best unit AUC", unit.auc)
            results.add(index + 1, shown, "best unit p", unit.p)
        progress("units", done + 1, jobs)
        for unit in best_units(bare, material.labels, split, shifts=0):
            best[unit.label, unit.label_class]["untrained_auc"] = unit.auc
            shown = f"{unit.label}: {classes[unit.label][unit.label_class]}"
            results.add(index + 1, shown, "best unit AUC", unit.auc, control="untrained")
        done += 2
        progress("units", done, jobs)
        layers.append({"layer": index + 1, "best": list(best.values())})
    _add_time_scales(results, material, net, layers)
    progress("units", jobs, jobs)
    results.parts["units"] = {"n": len(split.measure), "seeds": 1, "layers": layers}


def _class_names(material: Material) -> dict[str, tuple[str, ...]]:
    every = {label.name: label.classes for label in label_sets.all_of(material.kind)}
    return {name: every[name] for name in material.labels.names}


def _add_time_scales(results: Results, material: Material, net: DeepRNN, layers: list[dict[str, Any]]) -> None:
    """Autocorrelation times and gate saturation, unit by unit; the table's "label" is the unit's number."""
    steps = min(_STEPS, len(material.x))
    gates = [(index, gate) for index, cell in enumerate(net.cells) for gate in _GATES.get(type(cell).__name__, ())]
    names = ["layers.*.hidden", *(f"layers.{index}.gate.{gate}" for index, gate in gates)]
    x, lengths = material.x[:steps, :_FILES], material.lengths[:_FILES].clamp(max=steps)
    recording = record(net, x, names)
    valid = torch.arange(steps) < lengths[:, None]
    for index, layer in enumerate(layers):
        times = autocorrelation_time(recording[f"layers.{index}.hidden"].transpose(0, 1), lengths).tolist()
        layer["autocorrelation_time"], layer["gates"] = times, {}
        for unit, value in enumerate(times):
            results.add(index + 1, f"unit {unit}", "autocorrelation time", value)
    for index, gate in gates:
        opened, shut = saturation(recording[f"layers.{index}.gate.{gate}"][valid])
        layers[index]["gates"][gate] = {"open": opened.tolist(), "shut": shut.tolist()}
        for unit, (high, low) in enumerate(zip(opened.tolist(), shut.tolist(), strict=True)):
            results.add(index + 1, f"unit {unit}", f"gate {gate} open", high)
            results.add(index + 1, f"unit {unit}", f"gate {gate} shut", low)
