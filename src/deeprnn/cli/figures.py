"""An evaluation shown: its progress, and its figures with their names."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from deeprnn import DeepRNN
    from deeprnn.tasks.text import Document, Evaluation, Vocabulary


def evaluate_shown(
    net: "DeepRNN",
    documents: "Sequence[Document]",
    vocabulary: "Vocabulary",
    console: Console,
    *,
    at_most: int | None = None,
) -> "Evaluation":
    """`deeprnn.tasks.text.evaluate` with a bar, where the console is a terminal."""
    from deeprnn.tasks.text import evaluate

    columns = (TextColumn("evaluating", markup=False), BarColumn(bar_width=None), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("evaluating")
        return evaluate(
            net,
            documents,
            vocabulary,
            at_most=at_most,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def evaluation_rows(evaluation: "Evaluation") -> list[tuple[str, str]]:
    """An evaluation's figures with their names."""
    unknown = f"{evaluation.unknown_share:.4%}"
    if evaluation.unknown_share > 0:
        unknown += " (they share one symbol, which is easier to predict than the characters themselves)"
    documents = "1 document" if evaluation.documents == 1 else f"{evaluation.documents:,} documents"
    characters = f"{evaluation.characters:,} in {documents}"
    if evaluation.not_read:
        characters += f"; {evaluation.not_read:,} more are held out, and `deeprnn evaluate` reads them all"
    return [
        ("bits per character", f"{evaluation.bits_per_character:.4f}"),
        ("nats per character", f"{evaluation.nats_per_character:.4f}"),
        ("characters", characters),
        ("unknown characters", unknown),
        ("time", f"{evaluation.seconds:.1f} s"),
    ]
