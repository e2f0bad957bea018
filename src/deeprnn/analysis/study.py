"""All that `deeprnn analyze` measures on a run, in order."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from deeprnn.analysis.measurements.context_need import WINDOWS
from deeprnn.analysis.probes.scores import interval, resamples
from deeprnn.analysis.report.inventory import measure_units
from deeprnn.analysis.report.knowledge import HEADLINE, probe_layers, probe_rows, write_rows
from deeprnn.analysis.report.material import Material, Progress, gather, untrained
from deeprnn.analysis.report.memory import measure_construction, measure_ripples
from deeprnn.analysis.report.prediction import TARGET, measure_ablations, measure_lens, price
from deeprnn.analysis.report.results import Results, check_place
from deeprnn.analysis.report.verdict import judge
from deeprnn.deep import DeepRNN
from deeprnn.saving import weights_digest
from deeprnn.tasks.text import Document, TextRun, Vocabulary


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
        FileExistsError: the run holds files of these names that are not an analysis's.
        RunError, TextError, OSError: there is no run, its texts have changed, or are too few; nothing is written.
        ValueError: the two runs don't fit together.
    """
    began = time.perf_counter()
    tell = progress or _say_nothing
    run = TextRun(Path(path))
    plan = run.read_plan()
    check_place(run.path)  # before minutes are spent
    weights = weights_digest(run.path)
    net, vocabulary = run.load()
    net.eval()
    tell("reading", 0, 1)
    sizes: dict[str, int] = {name: getattr(effort, name) for name in ("files", "per_file", "characters")}
    held_out = run.read_corpus().held_out
    material = gather(held_out, vocabulary, **sizes)
    other = None if against is None else _load_other(Path(against), vocabulary, held_out)
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
    measure_lens(results, material, symbols, states, bare, progress=tell)
    measure_ripples(results, material, net, fresh, snippets=effort.snippets, horizon=effort.horizon, progress=tell)
    measure_construction(results, material, net, fresh[0], snippets=effort.snippets, progress=tell)
    measure_ablations(results, material, net, characters=effort.ablated, resets=effort.resets, progress=tell)
    measure_units(results, material, net, states, bare, knowledge.splits[0], shifts=effort.shifts, progress=tell)
    results.facts = _facts(run, net, material, effort)
    results.facts["bits_per_character"] = results.parts["ablation"]["bits"]["value"]
    if other is not None:
        results.facts["against"] = _compare(results, material, net, other, str(against))
    results.facts["weights"] = weights
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


def _load_other(path: Path, vocabulary: Vocabulary, held_out: Sequence[Document]) -> DeepRNN:
    run = TextRun(path)
    other, theirs = run.load()
    remedy = "\n  Train it on the same text: deeprnn train --out ... with the --text or --corpus of this run."
    if theirs.kind != vocabulary.kind or theirs.to_json() != vocabulary.to_json():
        raise ValueError(
            f"--against {path}: its vocabulary is another one, so its text and its bits are not the same.{remedy}"
        )
    learned = {document["sha256"] for document in run.read_documents() if document["part"] == "training"}
    known = [document.name for document in held_out if document.sha256 in learned]
    if known:
        raise ValueError(
            f"--against {path}: it was trained on {len(known)} of the texts that this run holds out, such as "
            f"{known[0]!r}, so nothing measured on them would be fair.{remedy}"
        )
    return other.eval()


def _facts(run: TextRun, net: DeepRNN, material: Material, effort: Effort) -> dict[str, Any]:
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


def _compare(results: Results, material: Material, net: DeepRNN, other: DeepRNN, name: str) -> dict[str, Any]:
    """The net that the run is compared with: its size, and its bits on the same characters."""
    ours, theirs = (price(material, one, characters=results.facts["effort"]["ablated"]) for one in (net, other))
    weights = resamples(len(material.names), 1000, seed=0)
    bits = interval(theirs.bits, weights)
    results.add(0, TARGET, "bits", bits, control="against")
    more = interval(lambda drawn: theirs.bits(drawn) - ours.bits(drawn), weights)
    results.add(0, TARGET, "bits over the run", more, control="against")
    return {
        "run": name,
        "network": [cell.describe() for cell in other.cells],
        "parameters": sum(weight.numel() for weight in other.parameters()),
        "bits_per_character": asdict(bits),
        "bits_over_run": asdict(more),
    }
