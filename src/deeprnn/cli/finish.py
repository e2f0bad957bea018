"""What follows a training: its figures, a sample, and what to type next."""

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deeprnn.training import Trained


def finish(trained: "Trained") -> None:
    """Evaluates, lets the network write, and says what to type next."""
    import json

    from rich.panel import Panel
    from rich.text import Text

    from deeprnn import atomic, training
    from deeprnn.cli.figures import evaluate_shown, evaluation_rows, stdout, table_of
    from deeprnn.cli.progress import clock
    from deeprnn.diagram import draw
    from deeprnn.training.errors import writing

    run, console = trained.run, stdout()
    vocabulary = run.load_vocabulary()
    held_out = trained.corpus.held_out  # not read again: the files may have changed, or grown by this very run
    evaluation = evaluate_shown(trained.net, held_out, vocabulary, console)
    with writing(run.drawing_file):
        draw(trained.net, run.drawing_file)
    with writing(run.evaluation_file):
        atomic.write_text(run.evaluation_file, json.dumps(evaluation.to_json(), indent=2) + "\n")
    rate = trained.characters / max(trained.seconds, 1e-9)
    rows = [
        ("trained", f"{trained.steps:,} steps of {trained.batch} streams, {trained.characters:,} characters"),
        ("in", f"{clock(trained.seconds)} at {rate:,.0f} characters/s"),
        ("drawn", str(run.drawing_file)),
    ]
    console.print(table_of(f"\n{run.path}", rows))
    console.print(table_of("\non held-out text", evaluation_rows(evaluation)))
    prompt = _prompt(vocabulary.decode(vocabulary.read(held_out[0])[:60]))
    written = training.sample(trained.net, vocabulary, prompt, length=400, temperature=0.7, seed=0)
    console.print(Panel(Text.assemble((prompt, "dim"), written), title="a sample", title_align="left"))
    name = shlex.quote(str(run.path))
    console.print(
        f"next:  deeprnn sample {name} --prompt {shlex.quote(prompt.strip() or 'The ')}\n"
        f"       deeprnn evaluate {name} --text FILE",
        markup=False,
        soft_wrap=True,
    )


def _prompt(beginning: str) -> str:
    """The first words of a text, on one line."""
    line = next((line for line in beginning.splitlines() if line.strip()), "")
    return line if len(line) <= 30 else line[:30].rsplit(" ", 1)[0]
