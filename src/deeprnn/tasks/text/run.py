"""A run that models text: beside what every run holds, its vocabulary, the list of its texts, its figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch

from deeprnn.activations import Function
from deeprnn.deep import DeepRNN
from deeprnn.disk import digest, json_file, marks
from deeprnn.tasks.text.corpus import Corpus
from deeprnn.tasks.text.evaluation import Evaluation
from deeprnn.tasks.text.fits import check_fits
from deeprnn.tasks.text.loss import NextSymbolLoss
from deeprnn.tasks.text.streams import Streams
from deeprnn.tasks.text.vocabulary import Vocabulary, load_vocabulary
from deeprnn.training.errors import RunError, reading, writing
from deeprnn.training.metrics import columns_of
from deeprnn.training.plan import Plan
from deeprnn.training.run import Run

_VOCABULARY, _MANIFEST, _EVALUATION, _DRAWING = "vocabulary.json", "manifest.json", "evaluation.json", "net.svg"
_TABLE, _SUMMARY, _PAGE = "analysis.parquet", "analysis.json", "explorer.html"

MANIFEST_FORMAT = "deeprnn manifest 1"
EVALUATION_FORMAT = "deeprnn evaluation 1"
COLUMNS = columns_of(Streams.unit, NextSymbolLoss.metrics)
"""The columns of `metrics.csv`."""


class TextRun(Run):
    """The directory of a network trained on text, and what it holds."""

    DATA_FILES: ClassVar[Mapping[str, marks.Mark]] = {_VOCABULARY: marks.VOCABULARY, _MANIFEST: marks.MANIFEST}
    RESULT_FILES: ClassVar[Mapping[str, marks.Mark]] = {_EVALUATION: marks.EVALUATION, _DRAWING: marks.DRAWING}
    LATER_FILES: ClassVar[Mapping[str, marks.Mark]] = {
        _TABLE: marks.TABLE,
        _SUMMARY: marks.ANALYSIS,
        _PAGE: marks.PAGE,
    }

    @property
    def vocabulary_file(self) -> Path:
        """The symbols' meanings."""
        return self.path / _VOCABULARY

    @property
    def manifest_file(self) -> Path:
        """The documents, their hashes, and which are held out."""
        return self.path / _MANIFEST

    @property
    def evaluation_file(self) -> Path:
        """The held-out figures at the end."""
        return self.path / _EVALUATION

    @property
    def drawing_file(self) -> Path:
        """The network drawn."""
        return self.path / _DRAWING

    @property
    def analysis_files(self) -> tuple[Path, Path]:
        """The results of an analysis: all figures as a table, and those that are shown."""
        return self.path / _TABLE, self.path / _SUMMARY

    @property
    def page_file(self) -> Path:
        """The page that shows an analysis."""
        return self.path / _PAGE

    def write_data(self, corpus: Corpus, vocabulary: Vocabulary) -> list[Any]:
        """Writes what the text is, before the first step; gives what identifies it."""
        vocabulary.save(self.vocabulary_file)
        manifest: dict[str, Any] = {"format": MANIFEST_FORMAT, **corpus.manifest()}
        json_file.write(self.manifest_file, manifest, marks.MANIFEST)
        symbols = digest.of_json(json_file.read_any(self.vocabulary_file))
        return [symbols, [[document["part"], document["sha256"]] for document in manifest["documents"]]]

    def load(
        self, device: torch.device | str | None = None, functions: Mapping[str, Function] | None = None
    ) -> tuple[DeepRNN, Vocabulary]:
        """The network with the weights that were saved last, and its vocabulary, checked to belong together.

        Args:
            device, functions: as for `DeepRNN.load`.

        Raises:
            RunError: a file is missing, damaged, or of another run. ValueError: as `check_fits`.

        Warns:
            FileWarning: a file carries no digest, or the weights are not those of the run's training.
        """
        plan = self.read_plan()
        net, vocabulary = self.load_net(device, functions, plan=plan), self.load_vocabulary(plan=plan)
        with reading(self.path):
            check_fits(net, vocabulary)
        return net, vocabulary

    def load_vocabulary(self, *, plan: Plan | None = None) -> Vocabulary:
        """The run's vocabulary; see `load`."""
        with reading():
            vocabulary = load_vocabulary(self.vocabulary_file)
        self.check_file(self.vocabulary_file, plan or self.read_plan())
        return vocabulary

    def read_documents(self, *, plan: Plan | None = None) -> list[dict[str, str]]:
        """The documents of the run's manifest: name, part and SHA-256 of each.

        Raises:
            RunError: the manifest is missing, damaged, or of another run.
        """
        path = self.manifest_file
        with reading():
            content = json_file.read_any(path)
            if "format" in content or "digest" in content:
                content = json_file.read(path, MANIFEST_FORMAT)
            else:  # its format had no name once
                digest.warn_missing(path)
        self.check_file(path, plan or self.read_plan())
        documents = content.get("documents")
        if not isinstance(documents, list) or not all(
            isinstance(document, dict)
            and all(isinstance(document.get(name), str) for name in ("name", "part", "sha256"))
            for document in documents
        ):
            raise RunError(f"{path} lists no documents: it is damaged.\n  Restore it from a copy.")
        return documents

    def read_corpus(self) -> Corpus:
        """The run's texts, read again and checked to be the same as before.

        Raises:
            RunError: the run's texts were given by a program. TextError: they have changed.
        """
        plan = self.read_plan()
        if plan.source is None:
            raise RunError(f"{self.path} was trained on texts that a program gave; give them again (`corpus`).")
        documents = self.read_documents(plan=plan)
        corpus = Corpus.again(plan.source)
        corpus.check_against(documents, self.manifest_file)
        return corpus

    def write_evaluation(self, evaluation: Evaluation) -> None:
        """Writes the held-out figures.

        Raises:
            RunError: they can't be written.
        """
        with writing(self.evaluation_file):
            content = {"format": EVALUATION_FORMAT, **evaluation.to_json()}
            json_file.write(self.evaluation_file, content, marks.EVALUATION)

    def read_evaluation(self) -> dict[str, Any] | None:
        """The figures that `write_evaluation` wrote, by name; None where there are none yet.

        Raises:
            RunError: the file is damaged.
        """
        path, remedy = self.evaluation_file, "Delete it, or evaluate the run again."
        if not path.exists():
            return None
        with reading():
            content = json_file.read_any(path, remedy)
            if "format" in content or "digest" in content:
                content = json_file.read(path, EVALUATION_FORMAT, remedy)
            else:
                digest.warn_missing(path)
        content.pop("format", None)
        expected = Evaluation.__dataclass_fields__
        if not set(content) <= set(expected) or type(content.get("bits_per_character")) is not float:
            raise RunError(f"{path} holds no evaluation: it is damaged.\n  {remedy}")
        return content
