"""`deeprnn analyze`: what each layer of a run knows."""

import math
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
from deeprnn.cli.failures import errors_as_messages, print_error

if TYPE_CHECKING:
    from deeprnn.analysis.report.probe_rows import ProbeRow
    from deeprnn.analysis.report.results import Results

Quick: TypeAlias = Annotated[
    bool, typer.Option("--quick", help="Use less text and fewer seeds: at most two minutes on two cores.")
]
Against: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="Another run on the same text to compare with, such as a one-layer network with as many parameters.",
        parser=options.path,
    ),
]


def analyze(
    run: options.RunArgument, quick: Quick = False, against: Against = None, threads: options.Threads = None
) -> None:
    """Measure what each layer of a trained network knows, and whether higher layers need more context.

    Labels of the held-out text are read from every layer by linear probes, beside the same network untrained and a
    window of the last characters. The figures go into the run: analysis.parquet and analysis.json.
    """
    with errors_as_messages():
        if find_spec("polars") is None:
            print_error("deeprnn analyze writes its table with polars:  pip install 'deeprnn[analysis]'")
            raise typer.Exit(1)
        from deeprnn.analysis.study import FULL, QUICK
        from deeprnn.analysis.study import analyze as measure
        from deeprnn.cli.terminal import stderr, stdout
        from deeprnn.training import set_threads

        for given in (run,) if against is None else (run, against):
            _check(given)
        set_threads(threads)
        with AnalysisDisplay(stderr()) as display:
            results = measure(run, QUICK if quick else FULL, against=against, progress=display)
        console = stdout()
        _print(console, results, run)
        console.check()


class AnalysisDisplay:
    """Called with what is being measured; a bar for it on a terminal, a line for each part elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (
            TextColumn("{task.description:16}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
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


def _check(path: Path) -> None:
    """Raises RunError, with what to do, where a run's directory is none."""
    from deeprnn.tasks.text import TextRun
    from deeprnn.training import RunError

    if TextRun(path).exists:
        return
    what = "holds no run" if path.is_dir() else "is not a directory, so it holds no run"
    beside = sorted(str(plan.parent) for plan in path.parent.glob("*/training.json"))
    remedy = (
        f"Runs beside it: {', '.join(beside)}" if beside else "Train one first: deeprnn train --minutes 3 --out RUN"
    )
    raise RunError(f"{path} {what}.\n  {remedy}")


def probe_table(results: "Results") -> Table:
    """Labels by layers: accuracies on held-out text, with what the window and the net untrained reach."""
    table = Table(
        title="what each layer knows: accuracy of linear probes on held-out files",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        collapse_padding=results.against is not None,  # one column more in 80 characters
    )
    table.add_column("\nlabel", no_wrap=True)
    layers = len(results.facts["network"])
    headings = ["\nneed", "most\nfrequent", f"last\n{results.facts['window']}", "\nuntrained"]
    headings += [f"layer\n{layer}" for layer in range(1, layers + 1)] + ["\ncentre"]
    headings += [] if results.against is None else ["other\nnet"]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in results.probes:
        cells = [f"{row.need:.2f}", _share(row.chance), _share(row.window), _share(max(row.untrained))]
        table.add_row(
            row.label,
            *cells,
            *_layer_cells(row),
            "" if math.isnan(row.centre) else f"{row.centre:.2f}",
            *([_share(max(row.against))] if row.against else []),
        )
    return table


def _legend(results: "Results") -> str:
    window = results.facts["window"]
    legend = (
        f"need: the share of the label that the last 1, 4, 8, 24 characters leave open, on average. most frequent: "
        f"always naming one class. last {window}: from the last {window} characters alone. untrained: the best layer "
        f"of the same net before training. Bold: the best layer. Dim: not above both last {window} and the same layer "
        f"untrained, by the 95 % interval over files. centre: the layer around which the label is read."
    )
    if results.against is not None:
        legend += " other net: the best layer of the net given with --against."
    return legend


def _layer_cells(row: "ProbeRow") -> list[Text]:
    best = max(row.layers)
    return [
        Text(_share(value), style=("bold" if value == best else "") if above else "dim")
        for value, above in zip(row.layers, row.above, strict=True)
    ]


def _share(value: float) -> str:
    return f"{value:.3f}".removeprefix("0") if value < 1 else "1.00"


def _print(console: Console, results: "Results", run: Path) -> None:
    from deeprnn.analysis.report.results import SUMMARY, TABLE
    from deeprnn.analysis.report.summary import own_bits
    from deeprnn.cli.terminal import visible

    facts = results.facts
    console.print(probe_table(results))
    console.print()
    console.print(Text(_legend(results), style="dim"))
    console.print()
    console.print(Text(results.verdict.paragraph))
    if results.against is not None:
        other = results.compared()
        ours, theirs = own_bits(results.figures).value, other["bits_per_character"]["value"]
        more = other["bits_over_run"]
        console.print(
            Text(
                f"\n{other['run']} ({', '.join(other['network'])}; {other['parameters']:,} parameters beside "
                f"{facts['parameters']:,}) needs {theirs:.3f} bits a character where this net needs {ours:.3f}: "
                f"{more['value']:+.3f} ({more['low']:+.3f} to {more['high']:+.3f})."
            )
        )
    seeds = "seed" if facts["seeds"] == 1 else "seeds"
    for notice in facts["notices"]:
        console.print(Text(f"note: {visible(notice)}", style="dim"), soft_wrap=True)
    console.print(
        Text(
            f"{facts['characters']:,} characters of {facts['files']} held-out files, {facts['seeds']} {seeds}, "
            f"{facts['seconds']:.0f} s\n"
            f"all figures: {visible(str(run / TABLE))}\n             {visible(str(run / SUMMARY))}",
            style="dim",
        ),
        soft_wrap=True,
    )
