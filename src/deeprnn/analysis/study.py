"""All that `deeprnn analyze` measures on a run, in order."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from deeprnn.analysis.measurements.context_need import WINDOWS
from deeprnn.analysis.progress import Progress, ignore_progress
from deeprnn.analysis.report.ablations import compare_predictions, measure_ablations
from deeprnn.analysis.report.construction import BEFORE_SHARED, SHARED, measure_construction
from deeprnn.analysis.report.next_character import measure_next_character
from deeprnn.analysis.report.probes import HEADLINE, add_figures, probe_layers
from deeprnn.analysis.report.results import Results, check_place
from deeprnn.analysis.report.ripples import BEFORE_RIPPLE, measure_ripples
from deeprnn.analysis.report.table import Table
from deeprnn.analysis.report.text_sample import TextSample, sample_texts, untrained
from deeprnn.analysis.report.units import measure_units
from deeprnn.analysis.report.verdict import judge
from deeprnn.deep import DeepRNN
from deeprnn.saving import weights_digest
from deeprnn.tasks.text import Document, TextRun, Vocabulary


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        files, per_file: the most held-out files that are read, and characters of each.
        characters: how many of them probes and units are measured on.
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
            long: its bits per character and its probes are compared.
        progress: called with what is being done, how much of it is done, and how much there is.

    Raises:
        FileExistsError: the run holds files of these names that are not an analysis's.
        RunError, TextError, OSError: there is no run, its texts have changed, or are too few; nothing is written.
        ValueError: the two runs don't fit together.
    """
    began = time.perf_counter()
    tell = progress or ignore_progress
    run = TextRun(Path(path))
    plan = run.read_plan()
    check_place(run.path)  # before minutes are spent
    weights = weights_digest(run.path)
    net, vocabulary = run.load()
    net.eval()
    tell("reading", 0, 1)
    sizes: dict[str, int] = {name: getattr(effort, name) for name in ("files", "per_file", "characters")}
    held_out = run.read_corpus().held_out
    sample = sample_texts(held_out, vocabulary, **sizes)
    sample.check_longer_than(max(BEFORE_RIPPLE + effort.horizon, BEFORE_SHARED + SHARED))  # before minutes are spent
    other = None if against is None else _load_other(Path(against), vocabulary, held_out)
    seed = plan.settings.seed
    fresh = [untrained(net, seed + index) for index in range(effort.untrained)]
    states, bare = _read([net, fresh[0]], sample, tell)
    theirs = () if other is None else sample.states(other)

    symbols = len(vocabulary)
    table = Table()
    scores = probe_layers(sample, symbols, states, bare, seeds=effort.seeds, progress=tell, against=theirs)
    add_figures(scores, table)
    verdict = judge(
        scores.labels.names,
        scores.need(),
        scores.centres("trained"),
        untrained=scores.centres("untrained"),
        layers=len(net.cells),
    )
    heads_on = measure_next_character(table, sample, symbols, states, bare, progress=tell)
    measure_ripples(table, sample, net, fresh, snippets=effort.snippets, horizon=effort.horizon, progress=tell)
    measure_construction(table, sample, net, fresh[0], snippets=effort.snippets, progress=tell)
    ablated = measure_ablations(table, sample, net, characters=effort.ablated, resets=effort.resets, progress=tell)
    split = scores.splits[0]
    measure_units(table, sample, net, states, bare, split, shifts=effort.shifts, progress=tell)
    if other is not None:
        compare_predictions(table, sample, net, other, characters=effort.ablated)
    results = Results(
        figures=table.figures(),
        verdict=verdict,
        counts={
            "ripples": {"n": effort.snippets, "seeds": len(fresh)},
            "construction": {"n": effort.snippets, "seeds": 1},
            "next_character": {"n": heads_on, "seeds": 1},
            "ablation": {"n": ablated, "seeds": 1},
            "units": {"n": len(split.measure), "seeds": 1},
        },
        facts={
            "run": run.path.name,
            **_size(net),
            "files": len(sample.names),
            "characters": len(sample.step),
            "labels": len(sample.labels.names),
            "seeds": effort.seeds,
            "window": HEADLINE,
            "windows": list(WINDOWS),
            "effort": asdict(effort),
            "notices": list(sample.notices),
            "weights": weights,
            "seconds": round(time.perf_counter() - began, 1),
        },
        against=None if other is None else {"run": str(against), **_size(other)},
    )
    results.write(run.path)
    return results


def _read(nets: Sequence[DeepRNN], sample: TextSample, tell: Progress) -> list[tuple[Tensor, ...]]:
    found: list[tuple[Tensor, ...]] = []
    for net in nets:
        found.append(sample.states(net))
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


def _size(net: DeepRNN) -> dict[str, Any]:
    return {
        "network": [cell.describe() for cell in net.cells],
        "parameters": sum(weight.numel() for weight in net.parameters()),
    }
