"""A training shown while it runs: a bar on a terminal, lines elsewhere."""

import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

if TYPE_CHECKING:
    from deeprnn.training import Report

_LINE_SECONDS = 15.0
"""The least time between two lines where the output is not a terminal."""


class TrainingDisplay:
    """Called with each `Report`; on a terminal a bar that moves, elsewhere a plain line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[figures]}", markup=False),
            console=console,
            transient=False,
        )
        self._task = self._bar.add_task("measuring speed", total=None, figures="")
        self._bits: float | None = None
        self._last_line = time.monotonic()

    def __enter__(self) -> "TrainingDisplay":
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def __call__(self, report: "Report") -> None:
        if report.steps is None:
            self._bar.update(self._task, figures=f"{report.throughput:,.0f} {report.unit}/s")
            return
        bits = report.metrics["bits_per_character"]
        self._bits = bits if self._bits is None else 0.9 * self._bits + 0.1 * bits
        figures = (
            f"step {report.step:,} of {report.steps:,}   {self._bits:.3f} bits/character   "
            f"{report.throughput:,.0f} {report.unit}/s   {clock(report.seconds_left)} left"
        )
        short = (
            f"{report.step:,}/{report.steps:,}  {self._bits:.3f} bits/character  "
            f"{report.throughput:,.0f} {report.unit}/s  {clock(report.seconds_left)} left"
        )
        self._bar.update(self._task, description="training", total=report.steps, completed=report.step, figures=short)
        now = time.monotonic()
        ends = report.step == report.steps
        if not self._console.is_terminal and (ends or now - self._last_line >= _LINE_SECONDS):
            self._last_line = now
            self._console.print(figures, highlight=False, soft_wrap=True)


def clock(seconds: float) -> str:
    """Seconds as a person reads them.

    >>> clock(75.4), clock(3 * 3600 + 125)
    ('1:15', '3:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
