"""`deeprnn train`: from text to a trained network in a run's directory."""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import typer
from typer._click.core import ParameterSource

from deeprnn.cli import options
from deeprnn.cli.failures import errors_as_messages
from deeprnn.cli.resume import RunInDirectory, resume_run
from deeprnn.cli.start import start_run


def train(
    context: typer.Context,
    more_text: options.MoreText = None,
    text: options.Text = None,
    corpus: options.Corpus = None,
    vocabulary: options.VocabularyKind = "characters",
    layers: options.Layers = "3x gru:256",
    dropout: options.Dropout = 0.0,
    variational_dropout: options.VariationalDropout = False,
    residual: options.Residual = False,
    input_to_all: options.InputToAll = False,
    output_from_all: options.OutputFromAll = False,
    minutes: options.Minutes = None,
    steps: options.Steps = None,
    out: options.Out = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    checkpoint_seconds: options.CheckpointSeconds = 30.0,
    batch: options.Batch = 32,
    bptt: options.Bptt = 64,
    learning_rate: options.LearningRate = 4e-3,
    weight_decay: options.WeightDecay = 0.01,
    warm_up: options.WarmUp = 100,
    max_grad_norm: options.MaxGradNorm = 1.0,
    seed: options.Seed = 0,
    threads: options.Threads = None,
    device: options.Device = "auto",
    precision: options.PrecisionName = "32-true",
) -> None:
    """Train a deep RNN to predict each character of a text from those before it, then evaluate and sample it.

    Without options it trains on Python's own sources for three minutes.
    """
    began = time.monotonic()
    values: dict[str, Any] = {**context.params, "text": [*(text or []), *(more_text or [])]}
    present = [name for name in values if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    given = list(dict.fromkeys("text" if name == "more_text" else name for name in present))
    if resume and overwrite:
        raise typer.BadParameter("--resume continues a run, --overwrite replaces it: give only one of them.")
    if steps is not None and minutes is not None:
        raise typer.BadParameter("--steps and --minutes both set the duration: give only one of them.")
    if minutes is not None and not 0 < minutes <= options.MOST_MINUTES:
        raise typer.BadParameter(
            f"--minutes must be greater than 0 and at most {options.MOST_MINUTES:,}, got {minutes:g}."
        )
    if values["text"] and corpus is not None:
        raise typer.BadParameter("--text and --corpus both name the text: give only one of them.")
    if resume and out is None:
        raise typer.BadParameter("--resume requires --out RUN.")
    with errors_as_messages():
        directory = out or _new_directory(values["text"])
    present_run = RunInDirectory(directory)
    with (
        errors_as_messages(resume=present_run.resume_command),
        nullcontext() if out is not None else _removed_if_unused(directory),
    ):
        from deeprnn.cli.finish import finish
        from deeprnn.tasks.text import TextRun

        run = TextRun(directory)
        if resume and (run.exists or not {"text", "corpus"} & set(given)):
            present_run.adopt()
            trained, deadline = resume_run(run, values, given), None
        else:
            trained, deadline = start_run(run, values, began, overwrite=overwrite)
        finish(trained, deadline)


def _new_directory(paths: Sequence[Path]) -> Path:
    """Makes runs/NAME, or runs/NAME-2 and so on where that exists."""
    from deeprnn.disk.lock import claim_free_name

    return claim_free_name(Path("runs"), (paths[0].resolve().stem or "text") if paths else "python")


@contextmanager
def _removed_if_unused(directory: Path) -> Generator[None]:
    """Removes a directory that was made, if nothing was put into it."""
    try:
        yield
    finally:
        with suppress(OSError):
            directory.rmdir()
