"""A new run of `deeprnn train`: its text, vocabulary and network from the options, then its training."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deeprnn.cli import options
from deeprnn.cli.deadline import Deadline

if TYPE_CHECKING:
    from deeprnn.tasks.text import Corpus, TextRun, Trained, Vocabulary
    from deeprnn.training import Settings


def start_run(
    run: "TextRun", values: Mapping[str, Any], began: float, *, overwrite: bool
) -> "tuple[Trained, Deadline | None]":
    """Trains a new network into a run's directory.

    Args:
        values: of all options, by name.
        began: when the command began, by time.monotonic().
        overwrite: replace a run that is there.
    """
    from deeprnn.cli.progress import TrainingDisplay
    from deeprnn.cli.terminal import stdout
    from deeprnn.kernels import info, keep_memory
    from deeprnn.notation import parse_layers
    from deeprnn.tasks import text
    from deeprnn.training import make_fabric, set_threads

    console = stdout()
    cells = parse_layers(values["layers"])
    settings = _settings(values)
    info()  # an instruction set that this machine lacks is an error before there is a run
    run.check_free(overwrite=overwrite)
    keep_memory()
    set_threads(settings.threads)
    fabric = make_fabric(settings)
    corpus = text.Corpus.from_files(values["text"]) if values["text"] else text.Corpus.of_python()
    vocabulary = text.VOCABULARIES[values["vocabulary"]].of(corpus.training)
    _check_size(cells, corpus, len(vocabulary), values)
    net = _build(cells, len(vocabulary), values).to(fabric.device)
    _print_facts(console, corpus, vocabulary, net)
    deadline = metadata = None
    if values["steps"] is None:
        minutes = values["minutes"] or options.MINUTES
        metadata = {"minutes": minutes}
        lengths = [len(vocabulary.read(document)) for document in corpus.held_out]
        deadline = Deadline(began, 60 * minutes, text.EvaluationSpeed.measure(net), lengths)
    with TrainingDisplay(console) as display:
        trained = text.train(
            net,
            corpus,
            vocabulary,
            run.path,
            settings,
            steps=values["steps"],
            seconds=None if deadline is None else deadline.training_seconds(),
            metadata=metadata,
            overwrite=overwrite,
            fabric=fabric,
            progress=display,
        )
    return trained, deadline


def _settings(values: Mapping[str, Any]) -> "Settings":
    from dataclasses import fields

    from deeprnn.training import Settings

    return Settings(**{field.name: values[field.name] for field in fields(Settings)})


def _build(cells: Sequence[Any], symbols: int, values: Mapping[str, Any]) -> Any:
    import torch

    from deeprnn import DeepRNN

    torch.manual_seed(values["seed"])
    return DeepRNN(symbols, cells, symbols, one_hot=True, **{name: values[name] for name in options.NET_OPTIONS})


def _check_size(cells: Sequence[Any], corpus: "Corpus", symbols: int, values: Mapping[str, Any]) -> None:
    """Raises ValueError where this machine's memory can't hold the training."""
    from deeprnn.cli.size import check_trained, weights

    length = sum(len(document.content) + 1 for document in corpus.training)
    count = weights(
        cells, symbols, symbols, input_to_all=values["input_to_all"], output_from_all=values["output_from_all"]
    )
    bptt = min(values["bptt"], length)
    batch = min(values["batch"], max(length // bptt, 1))
    width = {"64-true": 8, "bf16-true": 2}.get(values["precision"], 4)
    check_trained(count, cells, symbols, batch=batch, bptt=bptt, width=width)


def _print_facts(console: Any, corpus: "Corpus", vocabulary: "Vocabulary", net: Any) -> None:
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
