"""Single units: the best for each class, their time scales, and how often their gates are open or shut."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from deeprnn.analysis import labels as label_sets
from deeprnn.analysis.measurements.units import BestUnit, autocorrelation_time, best_units, saturation
from deeprnn.analysis.probes.examples import Split
from deeprnn.analysis.progress import Progress
from deeprnn.analysis.recording.recorder import record
from deeprnn.analysis.report.table import Table, Where
from deeprnn.analysis.report.text_sample import TextSample
from deeprnn.deep import DeepRNN

_STEPS, _FILES = 2_000, 16
"""Steps of each file, and files, that time scales and gates are measured on."""


def measure_units(
    table: Table,
    sample: TextSample,
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
    every = {label.name: label.classes for label in label_sets.all_of(sample.kind)}
    jobs = 2 * len(trained) + 1
    for layer, (ours, bare) in enumerate(zip(trained, untrained, strict=True), start=1):
        for one in best_units(ours, sample.labels, split, shifts=shifts):
            where = _where(layer, one, every)
            table.add("best unit AUC", one.auc, **where)
            table.add("best unit p", one.p, **where)
        progress("units", 2 * layer - 1, jobs)
        for one in best_units(bare, sample.labels, split, shifts=0):
            table.add("best unit AUC", one.auc, **{**_where(layer, one, every), "control": "untrained"})
        progress("units", 2 * layer, jobs)
    _add_time_scales(table, sample, net)
    progress("units", jobs, jobs)


def _where(layer: int, best: BestUnit, classes: Mapping[str, Sequence[str]]) -> Where:
    label_class = classes[best.label][best.label_class]
    return {"layer": layer, "label": best.label, "label_class": label_class, "unit": best.unit}


def _add_time_scales(table: Table, sample: TextSample, net: DeepRNN) -> None:
    """Autocorrelation times and gate saturation, unit by unit."""
    steps = min(_STEPS, len(sample.x))
    gates = [(index, gate) for index, cell in enumerate(net.cells) for gate in cell.gate_meanings]
    names = ["layers.*.hidden", *(f"layers.{index}.gate.{gate}" for index, gate in gates)]
    x, lengths = sample.x[:steps, :_FILES], sample.lengths[:_FILES].clamp(max=steps)
    recording = record(net, x, names)
    valid = torch.arange(steps) < lengths[:, None]
    for index in range(len(net.cells)):
        times = autocorrelation_time(recording[f"layers.{index}.hidden"].transpose(0, 1), lengths)
        for unit, time in enumerate(times.tolist()):
            table.add("autocorrelation time", time, layer=index + 1, unit=unit)
    for index, gate in gates:
        opened, shut = saturation(recording[f"layers.{index}.gate.{gate}"][valid])
        for unit, (high, low) in enumerate(zip(opened.tolist(), shut.tolist(), strict=True)):
            table.add("gate open", high, layer=index + 1, label=gate, unit=unit)
            table.add("gate shut", low, layer=index + 1, label=gate, unit=unit)
