"""What the page holds of a run: its figures, its texts, its net."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from deeprnn.analysis.progress import Progress
from deeprnn.analysis.report.results import SUMMARY
from deeprnn.deep import DeepRNN
from deeprnn.explorer import embedding
from deeprnn.explorer.figures import is_stale, measured
from deeprnn.explorer.fitted import Fitted, fit
from deeprnn.explorer.how import how_each_was_made
from deeprnn.explorer.texts import choose, describe_labels, describe_vocabulary
from deeprnn.explorer.training_curve import training_curve
from deeprnn.tasks.text import TextRun, Vocabulary

FORMAT = "deeprnn page 2"


@dataclass(frozen=True)
class Content:
    """What the page is made of.

    Attributes:
        json: all that is read as text.
        numbers: all weights, as one text.
    """

    json: dict[str, Any]
    numbers: str


def gather_content(path: Path, progress: Progress) -> Content:
    """Reads a run, and fits the probes that colour the page's texts.

    Raises:
        RunError, TextError, OSError: there is no run, or its texts have changed.
        FileNotFoundError: it has not been analyzed; the message says how. ValueError: a file is damaged.
    """
    run = TextRun(path)
    run.read_plan()
    figures = measured(path)
    net, vocabulary = run.load()
    net.eval()
    progress("reading", 0, 1)
    texts = choose(run.read_corpus().held_out, vocabulary)
    progress("reading", 1, 1)
    fitted = fit(net, texts, vocabulary, progress)
    training = training_curve(run, net, texts, vocabulary)
    notices = [*figures["summary"]["notices"], *texts.notices]
    if is_stale(path, figures["summary"]):
        notices.insert(0, f"the net is not the one that {SUMMARY} is about; run again: deeprnn analyze {path}")
    refusal = embedding.why_not(net)
    packed = embedding.pack(_tensors(net, fitted, runs=refusal is None))
    return Content(
        {
            "format": FORMAT,
            "title": path.resolve().name,
            "run": str(path),
            "notices": notices,
            "measured": figures,
            "training": training,
            "evaluation": run.read_evaluation(),
            "net": _describe(net, vocabulary, packed.index, refusal),
            "labels": describe_labels(texts.kind),
            "texts": [excerpt.to_json() for excerpt in texts.shown],
            "fitted": fitted.to_json(),
            "how": how_each_was_made(path),
        },
        packed.text,
    )


def _tensors(net: DeepRNN, fitted: Fitted, *, runs: bool) -> dict[str, Tensor]:
    return {**net.state_dict(), **fitted.tensors} if runs else {}


def _describe(net: DeepRNN, vocabulary: Vocabulary, index: embedding.Index, refusal: str | None) -> dict[str, Any]:
    return {
        "layers": [
            {"words": cell.describe(), "units": cell.output_width, "gates": dict(cell.gate_meanings)}
            for cell in net.cells
        ],
        "refusal": refusal,
        "config": None if refusal else embedding.config_of(net),
        "index": index,
        "vocabulary": describe_vocabulary(vocabulary),
    }
