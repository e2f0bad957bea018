"""A run on disk: one directory that holds all that belongs to one training."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from deeprnn.activations import Function
from deeprnn.deep import DeepRNN
from deeprnn.disk import digest, json_file, lock, marks
from deeprnn.saving import CONFIG, WEIGHTS, read_metadata
from deeprnn.tasks.text import Corpus, Vocabulary, load_vocabulary
from deeprnn.training import place
from deeprnn.training.errors import RunError, note, reading, writing
from deeprnn.training.evaluate import Evaluation
from deeprnn.training.fits import check_fits
from deeprnn.training.plan import Plan

MANIFEST_FORMAT = "deeprnn manifest 1"
EVALUATION_FORMAT = "deeprnn evaluation 1"
_NOT_THE_WEIGHTS = ("threads", "device", "checkpoint_seconds")
"""Settings on which the weights do not depend."""


@dataclass(frozen=True)
class Run:
    """The layout of a run's directory, and what it holds.

    Attributes:
        path: the directory. `DeepRNN.load(path)` gives the network.
    """

    path: Path

    @property
    def plan_file(self) -> Path:
        """Settings, steps and source; a directory with this file is a run."""
        return self.path / place.PLAN

    @property
    def vocabulary_file(self) -> Path:
        """The symbols' meanings."""
        return self.path / place.VOCABULARY

    @property
    def manifest_file(self) -> Path:
        """The documents, their hashes, and which are held out."""
        return self.path / place.MANIFEST

    @property
    def metrics_file(self) -> Path:
        """The course of the training, a row every few steps."""
        return self.path / place.METRICS

    @property
    def checkpoints(self) -> Path:
        """The directory of `step-*.safetensors`, from which a training is resumed."""
        return self.path / place.CHECKPOINTS

    @property
    def evaluation_file(self) -> Path:
        """The held-out figures at the end."""
        return self.path / place.EVALUATION

    @property
    def drawing_file(self) -> Path:
        """The network drawn."""
        return self.path / place.DRAWING

    @property
    def analysis_files(self) -> tuple[Path, Path]:
        """What `deeprnn analyze` found out: all figures as a table, and those that are shown."""
        return self.path / place.TABLE, self.path / place.SUMMARY

    @property
    def page_file(self) -> Path:
        """The page of `deeprnn explore`."""
        return self.path / place.PAGE

    @property
    def exists(self) -> bool:
        """Whether a run was begun here: its settings are there, and were written by this project."""
        return marks.is_ours(self.plan_file, marks.PLAN)

    def check_free(self, *, overwrite: bool) -> None:
        """Raises RunError where a new run can't be put here at this moment; it is checked again when it is begun."""
        with writing(self.path):
            lock.check_free(self.path)
        place.check_free(self.path, overwrite=overwrite, abandoned=(self.path / lock.NAME).exists())

    def create(self, net: DeepRNN, corpus: Corpus, vocabulary: Vocabulary, plan: Plan) -> Plan:
        """Writes all that is known before the first step into the directory, the plan last.

        Returns:
            The plan, which now lists the files.

        Raises:
            RunError: the directory can't be written.
        """
        with writing(self.path):
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            net.save(self.path)
            vocabulary.save(self.vocabulary_file)
            manifest: dict[str, Any] = {"format": MANIFEST_FORMAT, **corpus.manifest()}
            json_file.write(self.manifest_file, manifest, marks.MANIFEST)
        parts = {
            path.name: digest.of_json(json_file.read_any(path))
            for path in (self.path / CONFIG, self.vocabulary_file, self.manifest_file)
        }
        settings = {name: v for name, v in plan.settings.to_json().items() if name not in _NOT_THE_WEIGHTS}
        texts = [[document["part"], document["sha256"]] for document in manifest["documents"]]
        identity = digest.of_json([parts[CONFIG], parts[self.vocabulary_file.name], texts, settings])
        plan = replace(plan, parts=parts, identity=identity)
        self.save_net(net, plan)  # again, since only now is it known what it belongs to
        plan.write(self.plan_file)
        return plan

    def save_net(self, net: DeepRNN, plan: Plan) -> None:
        """Writes the network as it is now.

        Raises:
            RunError: it can't be written.
        """
        metadata = {} if plan.identity is None else {"identity": plan.identity}
        with writing(self.path / WEIGHTS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a function that no file can hold was warned of when the run was made
            net.save(self.path, metadata=metadata)

    def read_plan(self) -> Plan:
        """The run's settings and course.

        Raises:
            RunError: there is no run here, or the file is damaged.
        """
        if not self.exists:
            name = self.plan_file.name
            if self.plan_file.exists():
                raise RunError(
                    f"{self.path} holds no run: {name} was not written by deeprnn train, or is damaged.\n"
                    f"  Is the path right? If it is, restore {name} from a copy."
                )
            raise RunError(f"{self.path} holds no run: there is no {name} in it. Is the path right?")
        return Plan.read(self.plan_file)

    def load(
        self, device: torch.device | str | None = None, functions: Mapping[str, Function] | None = None
    ) -> tuple[DeepRNN, Vocabulary]:
        """The network with the weights that were saved last, and its vocabulary, checked to belong together.

        Args:
            device, functions: as for `DeepRNN.load`.

        Raises:
            RunError: a file is missing, damaged, or of another run. ValueError: as `check_fits`.

        Warns:
            UserWarning: a file carries no digest, or the weights are not those of the run's training.
        """
        plan = self.read_plan()
        net, vocabulary = self.load_net(device, functions, plan=plan), self.load_vocabulary(plan=plan)
        with reading(self.path):
            check_fits(net, vocabulary)
        return net, vocabulary

    def load_net(
        self,
        device: torch.device | str | None = None,
        functions: Mapping[str, Function] | None = None,
        *,
        plan: Plan | None = None,
    ) -> DeepRNN:
        """The network with the weights that were saved last; see `load`."""
        plan = plan or self.read_plan()
        with reading():
            net = DeepRNN.load(self.path, device=device, functions=functions)
            metadata = read_metadata(self.path)
        if plan.identity is not None:
            identity = (metadata or {}).get("identity")
            if identity is None:
                note(f"{self.path / WEIGHTS} was not written by the training of this run; it is read as it is.")
            elif identity != plan.identity:
                raise RunError(
                    f"{self.path / WEIGHTS} belongs to another run: another text, vocabulary, network or settings.\n"
                    f"  Restore it from a copy."
                )
        return net

    def load_vocabulary(self, *, plan: Plan | None = None) -> Vocabulary:
        """The run's vocabulary; see `load`."""
        with reading():
            vocabulary = load_vocabulary(self.vocabulary_file)
        self._check_part(self.vocabulary_file, plan or self.read_plan())
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
                digest.note_missing(path)
        self._check_part(path, plan or self.read_plan())
        documents = content.get("documents")
        if not isinstance(documents, list) or not all(
            isinstance(document, dict)
            and all(isinstance(document.get(name), str) for name in ("name", "part", "sha256"))
            for document in documents
        ):
            raise RunError(f"{path} lists no documents: it is damaged.\n  Restore it from a copy.")
        return documents

    def read_corpus(self) -> Corpus:
        """The run's texts, read anew and checked to be the same as before.

        Raises:
            RunError: the run's texts were given by a program. TextError: they have changed.
        """
        plan = self.read_plan()
        if plan.source is None:
            raise RunError(f"{self.path} was trained on texts that a program gave; give them again (--text).")
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
        path, remedy = self.evaluation_file, f"Delete it, or write it again: deeprnn train --out {self.path} --resume"
        if not path.exists():
            return None
        with reading():
            content = json_file.read_any(path, remedy)
            if "format" in content or "digest" in content:
                content = json_file.read(path, EVALUATION_FORMAT, remedy)
            else:
                digest.note_missing(path)
        content.pop("format", None)
        expected = Evaluation.__dataclass_fields__
        if not set(content) <= set(expected) or type(content.get("bits_per_character")) is not float:
            raise RunError(f"{path} holds no evaluation: it is damaged.\n  {remedy}")
        return content

    def _check_part(self, path: Path, plan: Plan) -> None:
        known = plan.parts.get(path.name)
        if known is not None and known != digest.of_json(json_file.read_any(path)):
            raise RunError(
                f"{path} is not the file that this run was begun with: its contents belong to another run.\n"
                f"  Restore it from a copy."
            )
