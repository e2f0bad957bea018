"""`deeprnn train`: from text to a trained network in a run's directory."""

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer._click.core import ParameterSource

from deeprnn.cli import options
from deeprnn.cli.failures import errors_as_messages
from deeprnn.cli.finish import AFTERWARDS, LEAST_EVALUATED, Deadline, finish, resume_command

if TYPE_CHECKING:
    from deeprnn.tasks.text import Corpus, TextRun, Trained, Vocabulary

_EVALUATION = 1 / 16
"""About the part of the time that it takes to evaluate a quarter as many characters as were trained on."""


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
    asked: dict[str, Any] = {**context.params, "text": [*(text or []), *(more_text or [])]}
    present = [name for name in asked if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    given = list(dict.fromkeys("text" if name == "more_text" else name for name in present))
    if resume and overwrite:
        raise typer.BadParameter("--resume continues a run, --overwrite replaces it: give only one of them.")
    if steps is not None and minutes is not None:
        raise typer.BadParameter("--steps and --minutes both set the duration: give only one of them.")
    if minutes is not None and not 0 < minutes <= options.MOST_MINUTES:
        raise typer.BadParameter(
            f"--minutes must be greater than 0 and at most {options.MOST_MINUTES:,}, got {minutes:g}."
        )
    if asked["text"] and corpus is not None:
        raise typer.BadParameter("--text and --corpus both name the text: give only one of them.")
    if resume and out is None:
        raise typer.BadParameter("--resume requires --out RUN.")
    with errors_as_messages():
        directory = out or _claim_directory(asked["text"])
    begun = _Begun(directory)
    with (
        errors_as_messages(resume=begun.resume_command),
        nullcontext() if out is not None else _removed_if_unused(directory),
    ):
        from deeprnn.tasks.text import TextRun

        run = TextRun(directory)
        if resume and (run.exists or not {"text", "corpus"} & set(given)):
            begun.confirm()
            trained, deadline = _resume(run, asked, given), None
        else:
            trained, deadline = _begin(run, asked, began, overwrite=overwrite)
        finish(trained, deadline)


def _begin(
    run: "TextRun", asked: Mapping[str, Any], began: float, *, overwrite: bool
) -> "tuple[Trained, Deadline | None]":
    from deeprnn.cli.progress import TrainingDisplay
    from deeprnn.cli.terminal import stdout
    from deeprnn.kernels import info, keep_memory
    from deeprnn.notation import parse_layers
    from deeprnn.tasks import text
    from deeprnn.training import make_fabric, set_threads

    console = stdout()
    cells = parse_layers(asked["layers"])
    settings = _settings(asked)
    info()  # an instruction set that this machine lacks is told before there is a run
    run.check_free(overwrite=overwrite)
    keep_memory()
    set_threads(settings.threads)
    fabric = make_fabric(settings)
    corpus = text.Corpus.from_files(asked["text"]) if asked["text"] else text.Corpus.of_python()
    vocabulary = text.VOCABULARIES[asked["vocabulary"]].of(corpus.training)
    _check_size(cells, corpus, len(vocabulary), asked)
    net = _build(cells, len(vocabulary), asked).to(fabric.device)
    _introduce(console, corpus, vocabulary, net)
    seconds = deadline = None
    if asked["steps"] is None:
        total = 60 * (asked["minutes"] or options.MINUTES)
        lengths = [len(vocabulary.read(document)) for document in corpus.held_out]
        speed = text.EvaluationSpeed.measure(net)
        deadline = Deadline(began + total, speed, lengths)
        left = deadline.end - AFTERWARDS - time.monotonic()
        least, whole = (speed.seconds(lengths, at_most) for at_most in (LEAST_EVALUATED, None))
        seconds = max(left - min(max(least, left * _EVALUATION), left / 2, whole), total / 3)
    with TrainingDisplay(console) as display:
        trained = text.train(
            net,
            corpus,
            vocabulary,
            run.path,
            settings,
            steps=asked["steps"],
            seconds=seconds,
            metadata=None if seconds is None else {"minutes": asked["minutes"] or options.MINUTES},
            overwrite=overwrite,
            fabric=fabric,
            progress=display,
        )
    return trained, deadline


def _resume(run: "TextRun", asked: Mapping[str, Any], given: Sequence[str]) -> "Trained":
    from deeprnn.cli.progress import TrainingDisplay
    from deeprnn.cli.terminal import stdout, visible
    from deeprnn.kernels import keep_memory
    from deeprnn.tasks import text

    _check_unchanged(run, asked, given)
    keep_memory()
    console = stdout()
    console.print(f"resuming {visible(str(run.path))}", soft_wrap=True)
    with TrainingDisplay(console) as display:
        return text.resume(run.path, progress=display)


def _settings(asked: Mapping[str, Any]) -> Any:
    from dataclasses import fields

    from deeprnn.training import Settings

    return Settings(**{field.name: asked[field.name] for field in fields(Settings)})


_NET_OPTIONS = ("dropout", "variational_dropout", "residual", "input_to_all", "output_from_all")


def _build(cells: Sequence[Any], symbols: int, asked: Mapping[str, Any]) -> Any:
    import torch

    from deeprnn import DeepRNN

    torch.manual_seed(asked["seed"])
    return DeepRNN(symbols, cells, symbols, one_hot=True, **{name: asked[name] for name in _NET_OPTIONS})


def _check_size(cells: Sequence[Any], corpus: "Corpus", symbols: int, asked: Mapping[str, Any]) -> None:
    """Raises ValueError where this machine's memory can't hold the training."""
    from deeprnn.cli.size import check_trained, weights

    length = sum(len(document.content) + 1 for document in corpus.training)
    count = weights(
        cells, symbols, symbols, input_to_all=asked["input_to_all"], output_from_all=asked["output_from_all"]
    )
    bptt = min(asked["bptt"], length)
    batch = min(asked["batch"], max(length // bptt, 1))
    width = {"64-true": 8, "bf16-true": 2}.get(asked["precision"], 4)
    check_trained(count, cells, symbols, batch=batch, bptt=bptt, width=width)


def _introduce(console: Any, corpus: "Corpus", vocabulary: "Vocabulary", net: Any) -> None:
    from deeprnn.cli.terminal import print_rows

    size = sum(len(d.content) for d in corpus.training) + sum(len(d.content) for d in corpus.held_out)
    rows = [
        ("text", f"{size:,} bytes; {len(corpus.training):,} documents to train on, {len(corpus.held_out):,} held out"),
        *(("", notice) for notice in corpus.notices),
        ("vocabulary", f"{len(vocabulary):,} symbols ({vocabulary.kind})"),
        ("network", ", ".join(cell.describe() for cell in net.cells)),
        ("parameters", f"{sum(weight.numel() for weight in net.parameters()):,}"),
    ]
    print_rows(console, "", rows)


def _check_unchanged(run: "TextRun", asked: Mapping[str, Any], given: Sequence[str]) -> None:
    """Raises ValueError where an option that was given is not what the run was begun with."""
    from dataclasses import fields

    from deeprnn.notation import parse_layers
    from deeprnn.saving import read_config

    plan, config = run.read_plan(), read_config(run.path)
    stored: dict[str, Any] = {field.name: getattr(plan.settings, field.name) for field in fields(plan.settings)}
    stored |= {name: config.get(name) for name in _NET_OPTIONS}
    stored |= {"minutes": plan.metadata.get("minutes"), "vocabulary": run.load_vocabulary().kind}
    wanted = dict(asked)
    if "layers" in given:
        wanted["layers"], stored["layers"] = tuple(parse_layers(asked["layers"])), run.load_net().cells
    if "text" in given:
        wanted["text"] = [str(path.resolve()) for path in asked["text"]]
        stored["text"] = (plan.source or {}).get("paths")
    stored["corpus"] = (plan.source or {}).get("kind")
    timed = plan.schedule is None or plan.seconds is not None  # then the steps were planned, not given
    stored["steps"] = None if timed or plan.schedule is None else plan.schedule.planned
    for name in given:
        if name in stored and wanted[name] != stored[name]:
            before = "" if name in ("text", "layers", "corpus") or stored[name] is None else f" ({stored[name]})"
            raise ValueError(
                f"--{name.replace('_', '-')} differs from what {run.path} was started with{before}, and a resumed run "
                f"keeps its settings.\n  Leave the option out, or start another run in another directory."
            )


class _Begun:
    """Whether there is a run that an interrupted command can be told to resume: this command's, not an older one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._before = self._plan()
        self._confirmed = False

    def confirm(self) -> None:
        """Says that the directory's run is the one that the command is about."""
        self._confirmed = True

    def resume_command(self) -> str | None:
        """The command that continues the run; None where none was begun."""
        plan = self._plan()
        begun = plan is not None and (self._confirmed or plan != self._before)
        return resume_command(self._directory) if begun else None

    def _plan(self) -> tuple[int, int] | None:
        try:
            status = (self._directory / "training.json").stat()
        except (OSError, ValueError):
            return None
        return status.st_ino, status.st_mtime_ns


def _claim_directory(paths: Sequence[Path]) -> Path:
    """Makes runs/NAME, or runs/NAME-2 and so on where that exists."""
    from deeprnn.disk.lock import claim_free_name

    return claim_free_name(Path("runs"), (paths[0].resolve().stem or "text") if paths else "python")


@contextmanager
def _removed_if_unused(directory: Path) -> Generator[None]:
    """Removes a directory that was claimed, if nothing was put into it."""
    try:
        yield
    finally:
        with suppress(OSError):
            directory.rmdir()
