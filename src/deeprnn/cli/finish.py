"""What follows a training: its figures, a sample, and what to type next."""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from deeprnn.cli.failures import print_error, print_exception

if TYPE_CHECKING:
    from deeprnn.cli.terminal import Terminal
    from deeprnn.tasks.text import EvaluationSpeed, Trained


LEAST_EVALUATED = 100_000
"""Held-out characters that are evaluated at the end, if there are so many;"""
EVALUATED_PART = 4
"""and more only up to this part of the characters trained on, so that it takes little of the time."""
AFTERWARDS = 3.0
"""Seconds kept for what follows the evaluation: a sample, and the end of the program."""
_FEWEST = 10_000
"""Held-out characters that are evaluated however little time there is."""


@dataclass(frozen=True)
class Deadline:
    """When a command that was given a time is to end.

    Attributes:
        end: that moment, by time.monotonic().
        speed: how fast the network is evaluated.
        lengths: of the held-out documents, in symbols.
    """

    end: float
    speed: "EvaluationSpeed"
    lengths: Sequence[int]

    def at_most(self, characters: int) -> int:
        """So many characters, or as many as can be evaluated in time."""
        left = self.end - AFTERWARDS - time.monotonic()
        while characters > _FEWEST and self.speed.seconds(self.lengths, characters) > left:
            characters = max(characters // 2, _FEWEST)
        return characters


def finish(trained: "Trained", deadline: Deadline | None = None) -> None:
    """Evaluates, lets the network write, and says what to type next.

    The training is saved by then: whatever fails here is told, and the rest is done all the same.

    Args:
        trained: what was trained.
        deadline: when all is to be done; it is kept by evaluating less text.

    Raises:
        typer.Exit: something failed; the status is 1.
    """
    from deeprnn.cli.progress import clock
    from deeprnn.cli.terminal import print_rows, shell_word, stdout
    from deeprnn.diagram import draw
    from deeprnn.training.errors import writing

    run, console = trained.run, stdout()
    failed: list[str] = []
    with _carrying_on("the drawing", failed), writing(run.drawing_file):
        draw(trained.net, run.drawing_file)
    rate = trained.characters / max(trained.seconds, 1e-9)
    rows = [
        ("trained", f"{trained.steps:,} steps of {trained.batch_size} streams, {trained.characters:,} characters"),
        ("time", f"{clock(trained.seconds)} at {rate:,.0f} characters/s"),
        ("diagram", str(run.drawing_file)),
    ]
    print_rows(console, f"\n{run.path}", rows[: None if run.drawing_file.exists() else -1])
    with _carrying_on("the evaluation", failed):
        _evaluate(trained, deadline, console)
    prompt = ""
    with _carrying_on("the sample", failed):
        prompt = _sample(trained, console)
    with _carrying_on("standard output", failed):
        console.check()
    if failed:
        print_error(
            f"{run.path}: the training is finished and saved, but {' and '.join(failed)} failed (see above).\n"
            f"  When the cause is removed, this does the rest:  {resume_command(run.path)}"
        )
        raise typer.Exit(1)
    name = shell_word(str(run.path))
    console.print(
        f"next:  deeprnn sample {name} --prompt {shell_word(prompt.strip() or 'The ')}\n"
        f"       deeprnn evaluate {name} --text FILE",
        soft_wrap=True,
    )


def resume_command(path: Path) -> str:
    """The command that continues the run in a directory."""
    from deeprnn.cli.terminal import shell_word

    return f"deeprnn train --out {shell_word(str(path))} --resume"


def _evaluate(trained: "Trained", deadline: Deadline | None, console: "Terminal") -> None:
    from deeprnn.cli.figures import evaluate_shown, evaluation_rows
    from deeprnn.cli.terminal import print_rows

    at_most = max(LEAST_EVALUATED, trained.characters // EVALUATED_PART)
    if deadline is not None:
        at_most = deadline.at_most(at_most)
    # The corpus is not read again: files may have changed, or grown by this very run.
    evaluation = evaluate_shown(trained.net, trained.corpus.held_out, trained.vocabulary, console, at_most=at_most)
    print_rows(console, "\nheld-out text", evaluation_rows(evaluation))
    trained.run.write_evaluation(evaluation)


def _sample(trained: "Trained", console: "Terminal") -> str:
    """Prints a sample; gives its prompt."""
    from rich.panel import Panel
    from rich.text import Text

    from deeprnn.cli.terminal import visible
    from deeprnn.tasks.text import sample

    vocabulary = trained.vocabulary
    prompt = _prompt(vocabulary.decode(vocabulary.read(trained.corpus.held_out[0])[:60]))
    written = sample(trained.net, vocabulary, prompt, length=400, temperature=0.7, seed=0)
    text = Text.assemble((visible(prompt), "dim"), visible(written))
    console.print(Panel(text, title="a sample", title_align="left"))
    return prompt


def _prompt(beginning: str) -> str:
    """The first words of a text, on one line."""
    line = next((line for line in beginning.splitlines() if line.strip()), "")
    return line if len(line) <= 30 else line[:30].rsplit(" ", 1)[0]


@contextmanager
def _carrying_on(what: str, failed: list[str]) -> Generator[None]:
    """Tells an error within the block and notes what it concerned, instead of ending the command."""
    try:
        yield
    except Exception as error:
        print_exception(error)
        failed.append(what)
