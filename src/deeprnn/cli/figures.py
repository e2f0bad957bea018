"""Figures shown: tables, and an evaluation with its progress."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from deeprnn import DeepRNN
    from deeprnn.text import Document, Vocabulary
    from deeprnn.training import Evaluation


def stdout() -> Console:
    """The console for results."""
    return Console(highlight=False)


def stderr() -> Console:
    """The console for progress and complaints."""
    return Console(stderr=True, highlight=False)


def evaluate_shown(
    net: "DeepRNN", documents: "Sequence[Document]", vocabulary: "Vocabulary", console: Console
) -> "Evaluation":
    """`deeprnn.training.evaluate` with a bar, where the console is a terminal."""
    from deeprnn.training import evaluate

    columns = (TextColumn("evaluating"), BarColumn(bar_width=None), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("evaluating")
        return evaluate(
            net, documents, vocabulary, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )


def table_of(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    """Names and values, without lines around them."""
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table


def evaluation_rows(evaluation: "Evaluation") -> list[tuple[str, str]]:
    """An evaluation's figures with their names."""
    unknown = f"{evaluation.unknown_share:.4%}"
    if evaluation.unknown_share > 0:
        unknown += " (all of them are one symbol: predicting it is cheap, and flatters the figure)"
    return [
        ("bits per character", f"{evaluation.bits_per_character:.4f}"),
        ("nats per character", f"{evaluation.nats_per_character:.4f}"),
        ("characters", f"{evaluation.characters:,} in {evaluation.documents:,} documents"),
        ("unknown characters", unknown),
        ("time", f"{evaluation.seconds:.1f} s"),
    ]


def evaluation_table(evaluation: "Evaluation") -> Table:
    """An evaluation as a table."""
    return table_of("held-out text", evaluation_rows(evaluation))
