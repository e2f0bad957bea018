"""Results as Markdown: the whole table, and the summary above it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks import targets
from benchmarks.contenders import NAMES, OURS
from benchmarks.grid import CELLS, TASKS, Row
from benchmarks.targets import Entry

_MISS = "✗"


def publishable(results: dict[str, Any]) -> bool:
    """Whether these are results of the whole grid, every row of ours on the compiled kernels."""
    return results["complete"] and all(entry["kernel"] == "native" for entry in results["rows"])


def table(results: dict[str, Any]) -> str:
    """Every row: times, ratios, speed, share of the bound, and what it misses."""
    entries: Sequence[Entry] = results["rows"]
    peers = [name for name in NAMES if name != OURS and any(name in entry["contenders"] for entry in entries)]
    headings = ["cell", "L,H,B,T", "task", "threads", "kernel", "deeprnn ms", *peers]
    headings += ["GFLOP/s", "bound", "share", "misses"]
    body = [_table_row(entry, entries, peers) for entry in entries]
    parts = [
        _facts(results),
        "Each peer's column says how many times as long it takes as deeprnn in the same round: the median over rounds, "
        "and the quartiles. The bound is the smaller of the multiply-add peak and the bandwidth at which one layer's "
        "W_hh is read, times the row's operations for each byte of weights. How it is measured: docs/benchmarks.md.",
        _markdown(headings, body),
    ]
    if results["memory"]:
        headings = ["cell", "L,H,B,T", "deeprnn MB", "torch MB", "ratio", "misses"]
        parts += [
            "## Peak memory of a training step",
            "What the step adds to the process's resident memory at its peak; 1 MB is 10^6 bytes. For softplus torch "
            "is a loop of its operations.",
            _markdown(headings, map(_memory_row, results["memory"])),
        ]
    return "\n\n".join([*parts, "## Who is left out, and why", _left_out(entries)]) + "\n"


def _missed_first(verdict: targets.Verdict) -> bool:
    return verdict.met is not False


def summary(results: dict[str, Any]) -> str:
    """A row for each cell and task (means, worst row, share of the bound, memory); the targets, missed ones first."""
    entries, memory = results["rows"], results["memory"]
    groups = [(CELLS[cell].name, task, _of(entries, cell, task), _of(memory, cell, task)) for cell, task in _kinds()]
    groups.append(("all", "both", entries, memory))
    headings = [
        "cell",
        "task",
        "against torch.nn",
        "against the best peer",
        "worst row",
        "share of the bound, H ≥ 128: median (lowest)",
        "memory against torch (largest)",
    ]
    body = [_summary_row(*group) for group in groups if group[2]]
    verdicts = [
        (
            verdict.target,
            verdict.measured,
            "" if verdict.met is None else "yes" if verdict.met else _MISS,
            verdict.at_bound,
        )
        for verdict in sorted(targets.verdicts(entries, memory), key=_missed_first)
    ]
    return (
        "\n\n".join(
            [
                _facts(results),
                "Geometric means of how many times as long the other takes. torch.nn lacks softplus: a loop of torch "
                "operations stands in. The worst row is the one where the best peer comes closest, or leads.",
                _markdown(headings, body),
                "At the bound: what the mean would be if every row of deeprnn's ran at its bound; none can be larger.",
                _markdown(["target", "measured", "met", "at the bound"], verdicts),
            ]
        )
        + "\n"
    )


def contended(results: dict[str, Any]) -> str:
    """Calls alone and beside one busy process: ours and torch's, in milliseconds, and how many times as long."""
    headings = ["cell", "L,H,B,T", "task", "deeprnn alone", "contended", "times", "torch alone", "contended", "times"]
    body: list[list[str]] = []
    for entry in results["rows"]:
        row = Row.from_json(entry)
        line = [row.bench_cell.name, str(row.shape), row.task]
        for name in (OURS, entry["torch"]):
            alone, beside = entry["alone"][name], entry["contended"][name]
            line += [_digits(alone * 1e3), _digits(beside * 1e3), f"{beside / alone:.1f}x"]
        body.append(line)
    where = f"{_machine(results)} Milliseconds a call, mean, on two threads."
    return f"{where}\n\n{_markdown(headings, body)}\n"


def _facts(results: dict[str, Any]) -> str:
    where = _machine(results)
    if publishable(results):
        return where
    kernels = sorted({entry["kernel"] for entry in results["rows"]})
    of = "the whole grid" if results["complete"] else "a part of the grid"
    return f"{where} **Not for publication: {of}, deeprnn's layers on {', '.join(kernels)}.**"


def _machine(results: dict[str, Any]) -> str:
    facts = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    instruction_set = facts.get("instruction_set", "instruction set unknown")
    return f"{facts['processor']}, {facts['cores']} cores, {instruction_set}, {facts['date'][:10]}. {versions}."


def _table_row(entry: Entry, entries: Sequence[Entry], peers: Sequence[str]) -> list[str]:
    row = Row.from_json(entry)
    ours = {name: seconds * 1e3 for name, seconds in entry["contenders"][OURS]["seconds"].items()}
    share = targets.share(entry)
    return [
        row.bench_cell.name,
        str(row.shape),
        row.task,
        str(row.threads),
        entry["kernel"],
        f"{_digits(ours['median'])} ({_digits(ours['lower'])}–{_digits(ours['upper'])})",
        *(_ratio_cell(entry, name) for name in peers),
        f"{entry['gflops']:.1f}",
        "no probe" if share is None else f"{entry['limits']['gflops']:.0f}",
        "" if share is None else f"{share:.0%}",
        "; ".join(f"{_MISS} {miss}" for miss in targets.misses(entry, entries)),
    ]


def _ratio_cell(entry: Entry, name: str) -> str:
    if name not in entry["contenders"]:
        return ""
    ratio = entry["contenders"][name]["ratio"]
    return f"{ratio['median']:.2f}x ({ratio['lower']:.2f}–{ratio['upper']:.2f})"


def _memory_row(entry: Entry) -> list[str]:
    row = Row.from_json(entry)
    return [
        row.bench_cell.name,
        str(row.shape),
        _digits(entry["bytes"] / 1e6),
        _digits(entry["torch_bytes"] / 1e6),
        f"{entry['ratio']:.2f}x",
        "; ".join(f"{_MISS} {miss}" for miss in targets.memory_misses(entry)),
    ]


def _summary_row(cell: str, task: str, entries: Sequence[Entry], memory: Sequence[Entry]) -> list[str]:
    ratios = [(best, entry) for entry in entries if (best := targets.best_ratio(entry)) is not None]
    worst = ""
    if ratios:
        best, entry = min(ratios, key=lambda pair: pair[0])
        row = Row.from_json(entry)
        plural = "" if row.threads == 1 else "s"
        named = f"{row.bench_cell.name} {row.task} " if task == "both" else ""
        mark = f"{_MISS} " if best <= 1 else ""
        worst = f"{mark}{best:.2f}x {targets.best_peer(entry)}, {named}{row.shape}, {row.threads} thread{plural}"
    mean = targets.geometric_mean(entry["ratio"] for entry in memory)
    shares = sorted(part for e in entries if e["H"] >= 128 and (part := targets.share(e)) is not None)
    return [
        cell,
        task,
        _times(targets.geometric_mean(map(targets.torch_ratio, entries))),
        _times(targets.geometric_mean(best for best, _ in ratios)),
        worst,
        f"{shares[len(shares) // 2]:.0%} ({shares[0]:.0%})" if shares else "no probe",
        f"{_times(mean)} ({max(entry['ratio'] for entry in memory):.2f}x)" if mean is not None else "",
    ]


def _left_out(entries: Sequence[Entry]) -> str:
    """Each contender that some rows lack, by reason."""
    lacking: dict[tuple[str, str], int] = {}
    for entry in entries:
        for name, reason in entry["left_out"].items():
            lacking[name, reason] = lacking.get((name, reason), 0) + 1
    return _markdown(["contender", "why", "rows"], [(*pair, str(count)) for pair, count in lacking.items()])


def _kinds() -> Iterable[tuple[str, str]]:
    return ((cell, task) for cell in CELLS for task in TASKS)


def _of(entries: Sequence[Entry], cell: str, task: str) -> list[Entry]:
    return [entry for entry in entries if (entry["cell"], entry["task"]) == (cell, task)]


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}x"


def _digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    for limit, digits in ((1, 3), (10, 2), (100, 1)):
        if value < limit:
            return f"{value:.{digits}f}"
    return f"{value:.0f}"


def _markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    line: Callable[[Sequence[str]], str] = lambda cells: f"| {' | '.join(cells)} |"  # noqa: E731
    return "\n".join([line(headings), line(["---"] * len(headings)), *map(line, rows)])
