"""Training on text: each character is predicted from those before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deeprnn import training
from deeprnn.activations import Function
from deeprnn.deep import DeepRNN
from deeprnn.tasks.text.corpus import Corpus
from deeprnn.tasks.text.fits import check_fits
from deeprnn.tasks.text.loss import NextSymbolLoss
from deeprnn.tasks.text.run import TextRun
from deeprnn.tasks.text.streams import Streams
from deeprnn.tasks.text.vocabulary import Vocabulary
from deeprnn.training import Continuation, Plan, Progress, Settings, TrainingResult

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Trained:
    """What a training on text gives back.

    Attributes:
        net: the trained network, in evaluation mode.
        run: where it lies on disk.
        corpus: the texts as they were read before the first step; what is measured afterwards is measured on these.
        vocabulary: what the network's symbols mean.
        steps: how many steps it took in all.
        batch_size: streams that were read side by side; fewer than the settings say where the text is short.
        characters: characters read in all steps.
        seconds: time spent on them, and on measuring the speed if that was in this call.
    """

    net: DeepRNN
    run: TextRun
    corpus: Corpus
    vocabulary: Vocabulary
    steps: int
    batch_size: int
    characters: int
    seconds: float


def train(
    net: DeepRNN,
    corpus: Corpus,
    vocabulary: Vocabulary,
    out: str | Path,
    settings: Settings | None = None,
    *,
    steps: int | None = None,
    seconds: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    fabric: "Fabric | None" = None,
    progress: Progress | None = None,
) -> Trained:
    """Trains a network to predict each character of a text from those before it, into a run's directory.

    Only `corpus.training` is read; nothing is evaluated. The weights follow from the network, the texts, the
    settings, the schedule of steps and the number of threads alone, which the run keeps: killed at any moment,
    `resume(out)` ends with the same bits.

    Args:
        net: reads and writes `len(vocabulary)` symbols; all its layers run forward. It is trained in place.
        corpus: the documents, as `Corpus.from_files`, `.from_texts` or `.of_python` give them.
        vocabulary: such as `Characters.of(corpus.training)`.
        out: the run's directory, new or empty.
        settings: batch, bptt, learning rate and so on; None for `Settings()`.
        steps, seconds, metadata, overwrite, fabric, progress: as for `deeprnn.training.train`.

    Raises:
        ValueError, TextError: the network does not fit the vocabulary, or the text is too short.
        RunError, Stopped: as `deeprnn.training.train`.

    >>> from deeprnn import DeepRNN, GRU
    >>> from deeprnn.tasks.text import Characters, Corpus, evaluate, train
    >>> from deeprnn.training import Settings
    >>> corpus = Corpus.from_texts(["to be or not to be, that is the question: " * 20], held_out=["to be or not"])
    >>> vocabulary = Characters.of(corpus.training)
    >>> net = DeepRNN(len(vocabulary), [GRU(16)], len(vocabulary), one_hot=True)
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as out:
    ...     trained = train(net, corpus, vocabulary, out, Settings(batch=4, bptt=16), steps=30)
    >>> evaluate(trained.net, corpus.held_out, vocabulary).bits_per_character < 4.2
    True
    """
    check_fits(net, vocabulary)
    settings, run = settings or Settings(), TextRun(Path(out))
    streams = _streams(corpus, vocabulary, settings)
    result = training.train(
        net,
        streams,
        NextSymbolLoss(),
        run,
        settings,
        steps=steps,
        seconds=seconds,
        write_data=lambda: run.write_data(corpus, vocabulary),
        source=corpus.source,
        metadata=metadata,
        overwrite=overwrite,
        fabric=fabric,
        progress=progress,
    )
    return _trained(result, run, corpus, vocabulary, streams)


def resume(
    out: str | Path,
    corpus: Corpus | None = None,
    *,
    functions: Mapping[str, Function] | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Continues a run that was stopped or killed, to the weights that it would have had.

    Args:
        out: the run's directory.
        corpus: its texts, where `train` was given texts that no file holds; else None: they are read again.
        functions: activations that no file holds, as for `DeepRNN.load`.
        progress: as for `deeprnn.training.train`.

    Raises:
        RunError, TextError: `out` holds no run, is damaged, or is being trained by another process; or the texts have
            changed; see also `train`.

    Warns:
        FileWarning: as `deeprnn.training.resume`.
    """
    run = TextRun(Path(out))
    loaded: list[tuple[Corpus, Vocabulary, Streams]] = []

    def load(plan: Plan) -> Continuation:
        net, vocabulary = run.load(functions=functions)
        if corpus is None:
            texts = run.read_corpus()
        else:
            texts = corpus
            texts.check_against(run.read_documents(plan=plan), run.manifest_file)
        streams = _streams(texts, vocabulary, plan.settings)
        loaded.append((texts, vocabulary, streams))
        return Continuation(net, streams, NextSymbolLoss())

    result = training.resume(run, load, progress=progress)
    return _trained(result, run, *loaded[0])


def _streams(corpus: Corpus, vocabulary: Vocabulary, settings: Settings) -> Streams:
    symbols = (vocabulary.read(document) for document in corpus.training)
    return Streams(symbols, batch_size=settings.batch, bptt=settings.bptt, seed=settings.seed)


def _trained(result: TrainingResult, run: TextRun, corpus: Corpus, vocabulary: Vocabulary, streams: Streams) -> Trained:
    return Trained(
        net=result.net,
        run=run,
        corpus=corpus,
        vocabulary=vocabulary,
        steps=result.steps,
        batch_size=streams.batch_size,
        characters=result.steps * streams.units_per_batch,
        seconds=result.seconds,
    )
