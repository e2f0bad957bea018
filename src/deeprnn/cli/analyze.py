"""`deeprnn analyze`: what each layer of a run knows."""

from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from deeprnn.cli import options
from deeprnn.cli.failures import complain, told_plainly

if TYPE_CHECKING:
    from deeprnn.analysis.results import ProbeRow, Results

Quick: TypeAlias = Annotated[
    bool, typer.Option("--quick", help="Less text and fewer seeds: at most two minutes on two cores.")
]
Against: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="Another run on the same text to set beside it, such as a one-layer net of as many parameters.",
    ),
]


def analyze(
    run: options.RunArgument, quick: Quick = False, against: Against = None, threads: options.Threads = None
) -> None:
    """Measure what each layer of a trained network knows, and whether higher layers need more context.

    Labels of the held-out text are read from every layer by linear probes, beside the same network untrained and a
    window of the last characters. The figures go into the run: analysis.parquet and analysis.json.
    """
    with told_plainly():
        if find_spec("polars") is None:
            complain("deeprnn analyze writes its table with polars:  pip install 'deeprnn[analysis]'")
            raise typer.Exit(1)
        from deeprnn.analysis.study import FULL, QUICK
        from deeprnn.analysis.study import analyze as measure
        from deeprnn.cli.figures import stderr, stdout
        from deeprnn.training.device import set_threads

        set_threads(threads)
        with AnalysisDisplay(stderr()) as display:
            results = measure(run, QUICK if quick else FULL, against=against, progress=display)
        _print(stdout(), results, run)


class AnalysisDisplay:
    """Called with what is being measured; a bar for it on a terminal, a line for each part elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn("{task.description:16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Progress(*columns, console=console)
        self._tasks = dict[str, int]()

    def __enter__(self) -> "AnalysisDisplay":
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bars.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total)
            if not self._console.is_terminal:
                self._console.print(what, highlight=False)
        self._bars.update(self._bars.task_ids[self._tasks[what]], completed=done, total=total)


def knowledge_table(results: "Results") -> Table:
    """Labels by layers: accuracies on held-out text, with what the window and the net untrained reach."""
    table = Table(
        title="what each layer knows: accuracy of linear probes on held-out files",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        caption_justify="left",
        caption=(
            "needs: the share of the label that the last 1, 4, 8, 24 characters leave open, on average.\n"
            f"most frequent: always naming one class. last {results.facts['window']}: from the last characters alone. "
            "untrained: the best layer\nof the same net before training. bold: the best layer. dim: not above both "
            "last and untrained at that layer, by\nthe 95 % interval over files. centre: the layer around which the "
            "label is read."
        ),
    )
    table.add_column("label", no_wrap=True)
    layers = len(results.probes[0].layers) if results.probes else 0
    headings = ["needs", "most frequent", f"last {results.facts['window']}", "untrained"]
    headings += [f"layer {layer}" for layer in range(1, layers + 1)] + ["centre"]
    headings += ["other net"] if results.probes and results.probes[0].against else []
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in results.probes:
        cells = [f"{row.need:.2f}", _share(row.chance), _share(row.window), _share(max(row.untrained))]
        table.add_row(
            row.label,
            *cells,
            *_layer_cells(row),
            f"{row.centre:.2f}",
            *([_share(max(row.against))] if row.against else []),
        )
    return table


def _layer_cells(row: "ProbeRow") -> list[Text]:
    best = max(row.layers)
    return [
        Text(_share(value), style=("bold" if value == best else "") if above else "dim")
        for value, above in zip(row.layers, row.above, strict=True)
    ]


def _share(value: float) -> str:
    return f"{value:.3f}".removeprefix("0") if value < 1 else "1.00"


def _print(console: Console, results: "Results", run: Path) -> None:
    from deeprnn.analysis.results import SUMMARY, TABLE

    facts = results.facts
    assert results.verdict is not None
    console.print(knowledge_table(results))
    console.print()
    console.print(Text(results.verdict.paragraph))
    if "against" in facts:
        other = facts["against"]
        console.print(
            Text(
                f"\n{other['run']} ({', '.join(other['network'])}; {other['parameters']:,} parameters beside "
                f"{facts['parameters']:,}) needs {other['bits_per_character']:.3f} bits a character where this net "
                f"needs {facts['bits_per_character']:.3f}."
            )
        )
    for notice in facts["notices"]:
        console.print(Text(f"note: {notice}", style="dim"), soft_wrap=True)
    console.print(
        Text(
            f"{facts['characters']:,} characters of {facts['files']} held-out files, {facts['seeds']} seeds, "
            f"{facts['seconds']:.0f} s; all figures: {run / TABLE}, {run / SUMMARY}",
            style="dim",
        ),
        soft_wrap=True,
    )
