"""All that `deeprnn analyze` measures on a run, in order."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deeprnn.analysis.ablation import ablate, surprise
from deeprnn.analysis.construction import construction
from deeprnn.analysis.context_need import WINDOWS
from deeprnn.analysis.examples import Split
from deeprnn.analysis.knowledge import HEADLINE, Knowledge, Progress, probe_layers, probe_rows, write_rows
from deeprnn.analysis.lens import lens
from deeprnn.analysis.material import Material, gather, untrained
from deeprnn.analysis.recording import record
from deeprnn.analysis.results import Control, Results
from deeprnn.analysis.ripple import Floats, decay, ripples
from deeprnn.analysis.scores import Interval, interval, resamples
from deeprnn.analysis.units import autocorrelation_time, best_units, saturation
from deeprnn.analysis.verdict import judge
from deeprnn.deep import DeepRNN
from deeprnn.training import Run

_GATES = {"GRU": ("z", "r"), "LSTM": ("i", "f", "o")}
"""The gates that can saturate, by cell."""


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        files, per_file: how much held-out text is read: so many files, so many characters of each at most.
        characters: how many of them are looked at by probes and units.
        seeds: splits of the files.
        snippets: places that ripples and construction start from. horizon: characters that a ripple is followed.
        untrained: nets that make the untrained band of the ripples.
        ablated: characters of each file that ablations read. resets: every how many characters they reset a state.
        shifts: of the labels, for the chance of the best unit.
    """

    files: int = 64
    per_file: int = 16_000
    characters: int = 50_000
    seeds: int = 5
    snippets: int = 512
    horizon: int = 400
    untrained: int = 5
    ablated: int = 4_000
    resets: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
    shifts: int = 99


FULL = Effort()
QUICK = Effort(
    files=32,
    per_file=4_000,
    characters=12_000,
    seeds=2,
    snippets=96,
    horizon=150,
    untrained=2,
    ablated=600,
    resets=(1, 8, 64),
    shifts=19,
)


def analyze(
    path: str | Path,
    effort: Effort = FULL,
    *,
    against: str | Path | None = None,
    progress: Progress | None = None,
) -> Results:
    """Measures what each layer of a run's net knows, on the run's held-out text, and writes it into the run.

    Args:
        path: the run's directory; `analysis.parquet` and `analysis.json` are put there.
        effort: `FULL`, `QUICK`, or your own.
        against: another run over the same texts and symbols, such as a one-layer net of as many parameters trained as
            long: its bits per character and its probes are set beside.
        progress: called with what is being done, how much of it is done, and how much there is.

    Raises:
        RunError, TextError, OSError: there is no run, its texts have changed, or are too few; nothing is written.
        ValueError: the two runs don't fit together.
    """
    began = time.perf_counter()
    tell = progress or _say_nothing
    run = Run(Path(path))
    plan = run.read_plan()
    net, vocabulary = run.load_net().eval(), run.load_vocabulary()
    tell("reading", 0, 1)
    sizes: dict[str, int] = {name: getattr(effort, name) for name in ("files", "per_file", "characters")}
    material = gather(run.read_corpus().held_out, vocabulary, **sizes)
    other = None if against is None else _load_other(Path(against), vocabulary.to_json(), vocabulary.kind)
    seed = plan.settings.seed
    fresh = [untrained(net, seed + index) for index in range(effort.untrained)]
    states, bare = _read([net, fresh[0]], material, tell)
    theirs = () if other is None else material.states(other)

    symbols = len(vocabulary)
    results = Results()
    knowledge = probe_layers(material, symbols, states, bare, seeds=effort.seeds, progress=tell, against=theirs)
    write_rows(knowledge, results)
    results.probes = probe_rows(knowledge)
    results.verdict = judge(
        knowledge.labels.names,
        knowledge.need(),
        knowledge.centres("trained"),
        untrained=knowledge.centres("untrained"),
        layers=len(net.cells),
    )
    for label, need in zip(knowledge.labels.names, knowledge.need().tolist(), strict=True):
        results.add(0, label, "context need", need, control="window")
    _add_lens(results, material, symbols, {"trained": states, "untrained": bare}, tell)
    _add_ripples(results, material, net, fresh, effort, tell)
    _add_construction(results, material, {"trained": net, "untrained": fresh[0]}, effort, tell)
    whole = _add_ablations(results, material, net, effort, tell)
    _add_units(results, material, net, {"trained": states, "untrained": bare}, knowledge.splits[0], effort, tell)
    results.facts = _facts(run, net, material, effort) | {"bits_per_character": whole}
    if other is not None:
        results.facts["against"] = _compare(results, material, other, str(against), knowledge)
    results.facts["seconds"] = round(time.perf_counter() - began, 1)
    results.write(run.path)
    return results


def _say_nothing(_what: str, _done: int, _total: int) -> None:
    pass


def _read(nets: Sequence[DeepRNN], material: Material, tell: Progress) -> list[tuple[Tensor, ...]]:
    found: list[tuple[Tensor, ...]] = []
    for net in nets:
        found.append(material.states(net))
        tell("reading", len(found), len(nets))
    return found


def _load_other(path: Path, symbols: dict[str, Any], kind: str) -> DeepRNN:
    run = Run(path)
    run.read_plan()
    vocabulary = run.load_vocabulary()
    if vocabulary.kind != kind or vocabulary.to_json() != symbols:
        raise ValueError(
            f"--against {path}: its vocabulary is another one, so its text and its bits are not the same.\n"
            f"  Train it on the same text: deeprnn train --out ... with the --text or --corpus of this run."
        )
    return run.load_net().eval()


def _add_lens(
    results: Results, material: Material, symbols: int, states: dict[Control, tuple[Tensor, ...]], tell: Progress
) -> None:
    split = Split.of(material.groups, seed=0)
    weights = resamples(split.files, 1000, seed=0)
    jobs, done = sum(map(len, states.values())), 0
    for control, layers in states.items():
        for index, layer in enumerate(layers):
            (head,) = lens([layer], material.next_symbol, symbols, split)
            results.add(index + 1, "next character", "lens bits", interval(head.score.bits, weights), control=control)
            hits = interval(head.score.accuracy, weights)
            results.add(index + 1, "next character", "lens accuracy", hits, control=control)
            done += 1
            tell("next character", done, jobs)


def _add_ripples(
    results: Results, material: Material, net: DeepRNN, fresh: Sequence[DeepRNN], effort: Effort, tell: Progress
) -> None:
    before = 100
    x = material.snippets(effort.snippets, before + effort.horizon, seed=1)
    replacement = _another(x[before], material)
    for done, (control, seed, one) in enumerate(
        [("trained", -1, net), *(("untrained", index, other) for index, other in enumerate(fresh))], start=1
    ):
        curves = ripples(one, x, before, replacement=replacement)
        for layer, of_rows in enumerate(curves, start=1):
            for name, figure in _decays(of_rows).items():
                results.add(layer, "", name, figure, seed=seed, control=_control(control))
            for step, distance in enumerate(of_rows.mean(1).tolist()):
                results.add(layer, "", f"ripple {step}", distance, seed=seed, control=_control(control))
        tell("ripples", done, 1 + len(fresh))


def _decays(of_rows: Floats) -> dict[str, Interval]:
    """The three numbers of a layer's ripple (T, B), with intervals over the places that it started from."""
    weights = resamples(of_rows.shape[1], 200, seed=0)
    found = decay(of_rows.mean(1))
    drawn = [decay(of_rows @ row / row.sum()) for row in weights]
    figures = {"ripple half": "half", "ripple 1 %": "one_percent", "ripple tail": "tail"}
    return {
        name: _spread(getattr(found, part), [getattr(one, part) for one in drawn]) for name, part in figures.items()
    }


def _spread(value: float, drawn: list[float]) -> Interval:
    finite = np.array([one for one in drawn if np.isfinite(one)])
    if not len(finite):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(finite, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def _another(symbols: Tensor, material: Material) -> Tensor:
    """(B,) for each symbol another one, as frequent as the text has them."""
    random = torch.Generator().manual_seed(2)
    text = material.x[1:][material.following[1:] >= 0]
    found = symbols.clone()
    while bool((same := found == symbols).any()):
        found[same] = text[torch.randint(len(text), (int(same.sum()),), generator=random)]
    return found


def _add_construction(
    results: Results, material: Material, nets: dict[Control, DeepRNN], effort: Effort, tell: Progress
) -> None:
    before, steps = 100, min(100, effort.horizon)
    x = material.snippets(max(effort.snippets, 64), before + steps, seed=3)
    histories, shared = x[:before], x[before:]
    for done, (control, net) in enumerate(nets.items(), start=1):
        found = construction(net, shared, histories, histories.roll(1, dims=1))
        for layer, half in enumerate(found.half, start=1):
            finite = half[np.isfinite(half)]
            if len(finite):
                quarters = np.quantile(finite, [0.5, 0.25, 0.75])
                results.add(layer, "", "construction half, median unit", float(quarters[0]), control=control)
                results.add(layer, "", "construction half, first quartile", float(quarters[1]), control=control)
                results.add(layer, "", "construction half, third quartile", float(quarters[2]), control=control)
        tell("construction", done, len(nets))


def _add_ablations(results: Results, material: Material, net: DeepRNN, effort: Effort, tell: Progress) -> float:
    """Adds them; returns the net's own bits per character on what they read."""
    x, following = material.x[: effort.ablated], material.following[: effort.ablated]
    whole, changed = ablate(
        net, x, following, resets=effort.resets, progress=lambda done, runs: tell("ablations", done, runs)
    )
    weights = resamples(x.shape[1], 1000, seed=0)
    results.add(0, "next character", "bits", interval(whole.bits, weights))
    for one in changed:
        results.add(one.layer + 1, "next character", f"bits lost, {one.change}", one.bits_lost(whole, weights))
    return float(whole.bits())


def _add_units(
    results: Results,
    material: Material,
    net: DeepRNN,
    states: dict[Control, tuple[Tensor, ...]],
    split: Split,
    effort: Effort,
    tell: Progress,
) -> None:
    jobs = sum(map(len, states.values())) + 1
    done = 0
    classes = _class_names(material)
    for control, layers in states.items():
        for index, layer in enumerate(layers):
            for best in best_units(layer, material.labels, split, shifts=effort.shifts):
                name = f"{best.label}: {classes.get(best.label, {}).get(best.label_class, best.label_class)}"
                results.add(index + 1, name, "best unit", float(best.unit), control=control)
                results.add(index + 1, name, "best unit AUC", best.auc, control=control)
                results.add(index + 1, name, "best unit p", best.p, control=control)
            done += 1
            tell("units", done, jobs)
    _add_time_scales(results, material, net)
    tell("units", jobs, jobs)


def _class_names(material: Material) -> dict[str, dict[int, str]]:
    from deeprnn.analysis import labels

    every = {label.name: label for kind in ("python", "text") for label in labels.all_of(kind)}
    return {name: dict(enumerate(every[name].classes)) for name in material.labels.names}


def _add_time_scales(results: Results, material: Material, net: DeepRNN) -> None:
    """Autocorrelation times and gate saturation, unit by unit; the "label" is the unit's number."""
    steps = min(2_000, len(material.x))
    names = ["layers.*.hidden"]
    names += [
        f"layers.{layer}.gate.{gate}"
        for layer, cell in enumerate(net.cells)
        for gate in _GATES.get(type(cell).__name__, ())
    ]
    x, lengths = material.x[:steps, :16], material.lengths[:16].clamp(max=steps)
    recording = record(net, x, names)
    valid = torch.arange(steps) < lengths[:, None]
    for index in range(len(net.cells)):
        times = autocorrelation_time(recording[f"layers.{index}.hidden"].transpose(0, 1), lengths)
        for unit, value in enumerate(times.tolist()):
            results.add(index + 1, f"unit {unit}", "autocorrelation time", value)
    for name in names[1:]:
        _, layer, _, gate = name.split(".")
        opened, shut = saturation(recording[name][valid])
        for unit, (high, low) in enumerate(zip(opened.tolist(), shut.tolist(), strict=True)):
            results.add(int(layer) + 1, f"unit {unit}", f"gate {gate} open", high)
            results.add(int(layer) + 1, f"unit {unit}", f"gate {gate} shut", low)


def _facts(run: Run, net: DeepRNN, material: Material, effort: Effort) -> dict[str, Any]:
    return {
        "run": run.path.name,
        "network": [cell.describe() for cell in net.cells],
        "parameters": sum(weight.numel() for weight in net.parameters()),
        "files": len(material.names),
        "characters": len(material.step),
        "labels": len(material.labels.names),
        "seeds": effort.seeds,
        "window": HEADLINE,
        "windows": list(WINDOWS),
        "effort": asdict(effort),
        "notices": list(material.notices),
    }


def _compare(results: Results, material: Material, other: DeepRNN, name: str, knowledge: Knowledge) -> dict[str, Any]:
    """The net that the run is compared with: its size, and its bits on the same characters."""
    x = material.x[: results.facts["effort"]["ablated"]]
    cost = surprise(other, x, material.following[: len(x)])
    figure = interval(cost.bits, resamples(x.shape[1], 1000, seed=0))
    results.add(0, "next character", "bits", figure, control="against")
    return {
        "run": name,
        "network": [cell.describe() for cell in other.cells],
        "parameters": sum(weight.numel() for weight in other.parameters()),
        "bits_per_character": figure.value,
        "bits_over_run": figure.value - results.facts["bits_per_character"],
        "labels": len(knowledge.labels.names),
    }


def _control(name: str) -> Control:
    return "trained" if name == "trained" else "untrained"
