"""What follows a training: the evaluation, a sample, and the next commands."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from deeprnn.cli.deadline import EVALUATED_SHARE, LEAST_EVALUATED, Deadline
from deeprnn.cli.failures import print_error, print_exception
from deeprnn.cli.resume import resume_command

if TYPE_CHECKING:
    from deeprnn.cli.terminal import Terminal
    from deeprnn.tasks.text import Trained


def finish(trained: "Trained", deadline: Deadline | None = None) -> None:
    """Evaluates and samples the network, and prints the next commands.

    The training is saved by then: whatever fails here is reported, and the rest is done all the same.

    Args:
        trained: what was trained.
        deadline: when the command is to end; it is met by evaluating less text.

    Raises:
        typer.Exit: something failed; the status is 1.
    """
    from deeprnn.cli.progress import clock
    from deeprnn.cli.terminal import print_rows, shell_word, stdout
    from deeprnn.diagram import draw
    from deeprnn.training.errors import writing

    run, console = trained.run, stdout()
    failed: list[str] = []
    with _continuing_after_errors("the drawing", failed), writing(run.drawing_file):
        draw(trained.net, run.drawing_file)
    rate = trained.characters / max(trained.seconds, 1e-9)
    rows = [
        ("trained", f"{trained.steps:,} steps of {trained.batch_size} streams, {trained.characters:,} characters"),
        ("time", f"{clock(trained.seconds)} at {rate:,.0f} characters/s"),
        ("diagram", str(run.drawing_file)),
    ]
    print_rows(console, f"\n{run.path}", rows[: None if run.drawing_file.exists() else -1])
    with _continuing_after_errors("the evaluation", failed):
        _evaluate(trained, deadline, console)
    prompt = ""
    with _continuing_after_errors("the sample", failed):
        prompt = _sample(trained, console)
    with _continuing_after_errors("standard output", failed):
        console.check()
    if failed:
        print_error(
            f"{run.path}: the training is finished and saved, but {' and '.join(failed)} failed (see above).\n"
            f"  After fixing the cause, finish it with:  {resume_command(run.path)}"
        )
        raise typer.Exit(1)
    name = shell_word(str(run.path))
    console.print(
        f"next:  deeprnn sample {name} --prompt {shell_word(prompt.strip() or 'The ')}\n"
        f"       deeprnn evaluate {name} --text FILE",
        soft_wrap=True,
    )


def _evaluate(trained: "Trained", deadline: Deadline | None, console: "Terminal") -> None:
    from deeprnn.cli.figures import evaluate_shown, evaluation_rows
    from deeprnn.cli.terminal import print_rows

    at_most = max(LEAST_EVALUATED, trained.characters // EVALUATED_SHARE)
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
def _continuing_after_errors(what: str, failed: list[str]) -> Generator[None]:
    """Prints an error of the block and records what failed, instead of ending the command."""
    try:
        yield
    except Exception as error:
        print_exception(error)
        failed.append(what)
