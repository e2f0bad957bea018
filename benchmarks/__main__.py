"""`python -m benchmarks`: measures the grid and writes results, tables and plots."""

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks import children, compile_trial, contended, machine, memory, publish
from benchmarks.grid import CELLS, QUICK, SHAPES, TASKS, THREADS, Row, Shape, Task, rows

_CACHE = publish.ROOT / "build" / "benchmarks"

console = Console(stderr=True)


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Two shapes, few rounds, no torch.compile.")] = False,
    shapes: Annotated[list[str] | None, typer.Option("--rows", help="L,H,B,T; may be given again.")] = None,
    cells: Annotated[list[str] | None, typer.Option("--cells", help="A cell; may be given again.")] = None,
    threads: Annotated[list[int] | None, typer.Option("--threads", help="May be given again.")] = None,
    repeat: Annotated[int | None, typer.Option("--repeat", min=1, help="Rounds of a row, at least.")] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", help="Of each contender in a row, about.")] = None,
    kernel: Annotated[str, typer.Option(help="auto, native, aten or reference; it runs or the run fails.")] = "auto",
    beside_others: Annotated[
        bool, typer.Option("--contended", help="Only the table of calls beside one busy process.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where results go.")] = publish.RESULTS,
) -> None:
    """Times deeprnn beside its peers, every answer compared first.

    The whole grid on the compiled kernels is written to grid.json, table.md, summary.md and grid-*.svg, and the calls
    beside a busy process to contended.json and contended.md; anything less to partial*, beside them.
    docs/benchmarks.md says how it is measured.
    """
    if beside_others:
        with _progress() as progress:
            _contended(progress, kernel, out)
        return
    begun = time.perf_counter()
    try:
        chosen = rows(
            cells or list(CELLS),
            [Shape.parse(shape) for shape in shapes] if shapes else QUICK if quick else SHAPES,
            threads or THREADS,
        )
        for count in {row.threads for row in chosen}:
            with machine.confined(count):
                pass
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    complete = set(rows()) <= set(chosen) and not quick
    results: dict[str, Any] = {"complete": False, "machine": machine.facts(), "compile_seconds": {}}
    results |= {"rows": [], "memory": []}
    effort = {"seconds": seconds or (0.1 if quick else 0.4), "rounds": repeat or (3 if quick else 5), "kernel": kernel}
    results["effort"] = effort
    try:
        with _progress() as progress:
            outcomes = {} if quick else _compile(progress, chosen)
            _memory(progress, chosen, kernel, results)
            _time(progress, chosen, outcomes, effort, results)
            if complete:
                _contended(progress, kernel, out)
        results["complete"] = complete
        results["compile_seconds"] = {name: taken for name, taken in outcomes.items() if not isinstance(taken, str)}
    except children.ChildFailed as error:
        console.print(f"[red]{error}[/red]")
        raise typer.Exit(1) from error
    finally:
        results["minutes"] = (time.perf_counter() - begun) / 60
        if results["rows"]:
            publish.write(results, out)
            console.print(f"{len(results['rows'])} rows in {results['minutes']:.1f} minutes, in {out}")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _advance(progress: Progress, task: TaskID) -> None:
    """One more is done; where no terminal shows a bar, a line says so."""
    progress.advance(task)
    if not console.is_terminal:
        shown = progress.tasks[task]
        console.print(f"{shown.description}: {shown.completed:.0f} of {shown.total:.0f}", soft_wrap=True, markup=False)


def _compile(progress: Progress, chosen: Sequence[Row]) -> compile_trial.Outcomes:
    """What torch.compile manages within its minute; successes are remembered, with what it compiled."""
    version = machine.facts()["versions"].get("torch", "")
    path = _CACHE / f"compile-torch-{version}.json"
    known: compile_trial.Outcomes = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    loops = [row for row in chosen if CELLS[row.cell].phi == "softplus"]
    loops = [row for row in loops if row.threads == max(row.threads for row in loops)]
    task = progress.add_task("torch.compile, which loops within a minute", total=len(loops))

    def tried(kind: Task) -> compile_trial.Outcomes:
        mine = [row for row in loops if row.task == kind]
        return compile_trial.try_all(mine, known, _CACHE / "inductor", lambda: _advance(progress, task))

    outcomes: compile_trial.Outcomes = {}
    with ThreadPoolExecutor(len(TASKS)) as pool:
        for of_task in pool.map(tried, TASKS):
            outcomes |= of_task
    path.parent.mkdir(parents=True, exist_ok=True)
    known |= {name: outcome for name, outcome in outcomes.items() if not isinstance(outcome, str)}
    path.write_text(json.dumps(known, indent=1), encoding="utf-8")
    return outcomes


def _memory(progress: Progress, chosen: Sequence[Row], kernel: str, results: dict[str, Any]) -> None:
    """Peak memory of every net's training step; nothing is timed, so two processes run at once."""
    if not memory.possible():
        console.print("Peak memory is measured on Linux only.")
        return
    most = max(row.threads for row in chosen)
    trained = [row for row in chosen if row.task == "training" and row.threads == most]
    task = progress.add_task("peak memory of a training step", total=len(trained))

    def measured(row: Row) -> dict[str, object]:
        entry = memory.measure(row, kernel)
        _advance(progress, task)
        return entry

    with ThreadPoolExecutor(2) as pool:
        results["memory"] += pool.map(measured, trained)


def _time(
    progress: Progress,
    chosen: Sequence[Row],
    outcomes: compile_trial.Outcomes,
    effort: dict[str, Any],
    results: dict[str, Any],
) -> None:
    """A process for each number of threads, its rows one after the other."""
    task = progress.add_task("timing", total=len(chosen))
    for threads in sorted({row.threads for row in chosen}):
        mine = [row for row in chosen if row.threads == threads]
        job = {
            **effort,
            "threads": threads,
            "rows": [row.to_json() | {"left_out": _out(row, outcomes)} for row in mine],
        }
        environment = compile_trial.environment(_CACHE / "inductor")
        waiting = iter(mine)
        _describe(progress.update, task, next(waiting))
        for event in children.events("benchmarks.session", job, threads=threads, environment=environment):
            if "machine" in event:
                results["machine"] |= event["machine"]
                continue
            results["rows"].append(event)
            _advance(progress, task)
            _describe(progress.update, task, next(waiting, None))


def _contended(progress: Progress, kernel: str, out: Path) -> None:
    """Calls alone and beside one busy process, in a process whose cores that one shares."""
    results: dict[str, Any] = {"machine": machine.facts(), "rows": []}
    task = progress.add_task("beside a busy process", total=len(contended.ROWS))
    job = {"kernel": kernel, "seconds": 2.0, "rows": [row.to_json() for row in contended.ROWS]}
    try:
        for entry in children.events("benchmarks.contended", job, threads=contended.THREADS, environment={}):
            if "machine" in entry:
                results["machine"] |= entry["machine"]
                continue
            results["rows"].append(entry)
            _advance(progress, task)
    except (children.ChildFailed, ValueError) as error:  # ValueError: fewer cores than threads
        console.print(f"[red]beside a busy process: {error}[/red]")
        raise typer.Exit(1) from error
    publish.write_contended(results, out)


def _describe(update: Callable[..., None], task: Any, row: Row | None) -> None:
    if row is not None:
        update(task, description=f"timing {row}")


def _out(row: Row, outcomes: compile_trial.Outcomes) -> dict[str, str]:
    """Why torch.compile does not run a row that it could: the trial took too long, or there was none."""
    if CELLS[row.cell].phi != "softplus":
        return {}
    outcome = outcomes.get(compile_trial.key(row), "not tried in a quick run")
    return {"torch.compile": outcome} if isinstance(outcome, str) else {}


if __name__ == "__main__":
    typer.run(main)
