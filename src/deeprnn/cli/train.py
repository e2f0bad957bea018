"""`deeprnn train`: from text to a trained network in a run's directory."""

import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer._click.core import ParameterSource

from deeprnn.cli import options
from deeprnn.cli.failures import told_plainly
from deeprnn.cli.finish import finish

if TYPE_CHECKING:
    from deeprnn.text import Corpus, Vocabulary
    from deeprnn.training import Run, Trained

_BEGAN = time.monotonic()
"""When the program began, or nearly: --minutes counts from here."""
_AFTERWARDS = 3.0
"""Seconds kept for what follows the evaluation: a sample, a drawing."""


def train(
    context: typer.Context,
    more_text: options.MoreText = None,
    text: options.Text = None,
    corpus: options.Corpus = None,
    vocabulary: options.VocabularyKind = "characters",
    layers: options.Layers = "3x gru:256",
    dropout: options.Dropout = 0.0,
    variational: options.Variational = False,
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
    window: options.Window = 64,
    learning_rate: options.LearningRate = 4e-3,
    weight_decay: options.WeightDecay = 0.01,
    warm_up: options.WarmUp = 100,
    clip: options.Clip = 1.0,
    seed: options.Seed = 0,
    threads: options.Threads = None,
    device: options.Device = "auto",
    precision: options.PrecisionName = "32-true",
) -> None:
    """Train a deep RNN on text to predict each character from those before it; then measure it and let it write.

    With no options at all it trains on Python's own sources for three minutes.
    """
    asked: dict[str, Any] = {**context.params, "text": [*(text or []), *(more_text or [])]}
    given = [name for name in asked if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if resume and overwrite:
        raise typer.BadParameter("--resume goes on with a run, --overwrite replaces it: give one of them.")
    if steps is not None and minutes is not None:
        raise typer.BadParameter("--steps and --minutes both say how long: give one of them.")
    if minutes is not None and not 0 < minutes < float("inf"):
        raise typer.BadParameter(f"--minutes {minutes:g}: more than 0.")
    if asked["text"] and corpus is not None:
        raise typer.BadParameter("--text and --corpus both name the text: give one of them.")
    if resume and out is None:
        raise typer.BadParameter("--resume needs --out RUN: which run shall go on?")
    directory = out or _free_directory(asked["text"])
    with told_plainly(resume=f"deeprnn train --out {shlex.quote(str(directory))} --resume"):
        from deeprnn.training.run import Run

        run = Run(directory)
        if resume and (run.exists or not {"text", "more_text", "corpus"} & set(given)):
            trained = _resume(run, asked, given)
        else:
            trained = _begin(run, asked, overwrite=overwrite)
        finish(trained)


def _begin(run: "Run", asked: Mapping[str, Any], *, overwrite: bool) -> "Trained":
    from deeprnn import training
    from deeprnn.cli.figures import stdout
    from deeprnn.cli.progress import TrainingDisplay
    from deeprnn.kernels import keep_memory
    from deeprnn.notation import parse_layers
    from deeprnn.text import VOCABULARIES, Corpus
    from deeprnn.training.device import set_threads
    from deeprnn.training.trainer import make_fabric

    console = stdout()
    cells = parse_layers(asked["layers"])
    settings = _settings(asked)
    run.check_free(overwrite=overwrite)
    keep_memory()
    set_threads(settings.threads)
    device = make_fabric(settings).device
    corpus = Corpus.from_files(asked["text"]) if asked["text"] else Corpus.of_python()
    vocabulary = VOCABULARIES[asked["vocabulary"]].of(corpus.training)
    net = _build(cells, len(vocabulary), asked).to(device)
    _introduce(console, corpus, vocabulary, net)
    seconds = None
    if asked["steps"] is None:
        total = 60 * (asked["minutes"] or options.MINUTES)
        afterwards = training.evaluation_seconds(net, corpus.held_out, vocabulary) + _AFTERWARDS
        seconds = max(total - (time.monotonic() - _BEGAN) - afterwards, total / 3)
    with TrainingDisplay(console) as display:
        return training.train(
            net,
            corpus,
            vocabulary,
            run.path,
            settings,
            steps=asked["steps"],
            seconds=seconds,
            overwrite=overwrite,
            progress=display,
        )


def _resume(run: "Run", asked: Mapping[str, Any], given: Sequence[str]) -> "Trained":
    from deeprnn import training
    from deeprnn.cli.figures import stdout
    from deeprnn.cli.progress import TrainingDisplay
    from deeprnn.kernels import keep_memory

    _check_unchanged(run, asked, given)
    keep_memory()
    console = stdout()
    console.print(f"going on with {run.path}", soft_wrap=True, markup=False)
    with TrainingDisplay(console) as display:
        return training.resume(run.path, progress=display)


def _settings(asked: Mapping[str, Any]) -> Any:
    from dataclasses import fields

    from deeprnn.training import Settings

    return Settings(**{field.name: asked[field.name] for field in fields(Settings)})


_NET_OPTIONS = ("dropout", "variational", "residual", "input_to_all", "output_from_all")


def _build(cells: Sequence[Any], symbols: int, asked: Mapping[str, Any]) -> Any:
    import torch

    from deeprnn import DeepRNN

    torch.manual_seed(asked["seed"])
    return DeepRNN(symbols, cells, symbols, one_hot=True, **{name: asked[name] for name in _NET_OPTIONS})


def _introduce(console: Any, corpus: "Corpus", vocabulary: "Vocabulary", net: Any) -> None:
    from deeprnn.cli.figures import table_of

    size = sum(len(d.content) for d in corpus.training) + sum(len(d.content) for d in corpus.held_out)
    rows = [
        ("text", f"{size:,} bytes; {len(corpus.training):,} documents to train on, {len(corpus.held_out):,} held out"),
        *(("", notice) for notice in corpus.notices),
        ("vocabulary", f"{len(vocabulary):,} symbols ({vocabulary.kind})"),
        ("network", ", ".join(cell.describe() for cell in net.cells)),
        ("parameters", f"{sum(weight.numel() for weight in net.parameters()):,}"),
    ]
    console.print(table_of("", rows))


def _check_unchanged(run: "Run", asked: Mapping[str, Any], given: Sequence[str]) -> None:
    """Raises ValueError where an option that was given is not what the run was begun with."""
    from dataclasses import fields

    from deeprnn.notation import parse_layers
    from deeprnn.saving import read_config

    plan, config = run.read_plan(), read_config(run.path)
    stored: dict[str, Any] = {field.name: getattr(plan.settings, field.name) for field in fields(plan.settings)}
    stored |= {name: config.get(name) for name in _NET_OPTIONS}
    stored |= {"steps": None if plan.course is None else plan.course.planned, "vocabulary": run.load_vocabulary().kind}
    wanted = dict(asked)
    if "layers" in given:
        wanted["layers"], stored["layers"] = tuple(parse_layers(asked["layers"])), run.load_net().cells
    if {"text", "more_text"} & set(given):
        wanted["text"] = [str(path.resolve()) for path in asked["text"]]
        stored["text"] = (plan.source or {}).get("paths")
    stored["corpus"] = (plan.source or {}).get("kind")
    for name in given:
        if name in stored and wanted[name] != stored[name]:
            raise ValueError(
                f"--{name.replace('_', '-')} is not what {run.path} was begun with, and a run that goes on keeps its "
                f"settings.\n  Leave the option out, or train anew into another directory."
            )


def _free_directory(paths: Sequence[Path]) -> Path:
    """runs/NAME, or runs/NAME-2 and so on where that exists."""
    name = (paths[0].resolve().stem or "text") if paths else "python"
    number = 1
    while (path := Path("runs", name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return path
