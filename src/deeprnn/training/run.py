"""A run on disk: its plan and its network, checked to belong together."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from deeprnn.activations import Function
from deeprnn.deep import DeepRNN
from deeprnn.disk import digest, json_file
from deeprnn.saving import CONFIG, WEIGHTS, read_metadata
from deeprnn.training.directory import RunDirectory
from deeprnn.training.errors import RunError, reading, warn, writing
from deeprnn.training.plan import Plan

_NOT_THE_WEIGHTS = ("threads", "device", "checkpoint_seconds")
"""Settings on which the weights do not depend."""


class Run(RunDirectory):
    """A run's directory, read and written. A task's own run adds what the task keeps there."""

    def create(self, net: DeepRNN, plan: Plan, write_data: Callable[[], Any]) -> Plan:
        """Writes all that is known before the first step into the directory, the plan last.

        Args:
            write_data: writes the task's `DATA_FILES`; gives JSON that identifies the data.

        Returns:
            The plan, which now lists the files.

        Raises:
            RunError: the directory can't be written.
        """
        with writing(self.path):
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            net.save(self.path)
            data = write_data()
        files = {name: digest.of_json(json_file.read_any(self.path / name)) for name in (CONFIG, *self.DATA_FILES)}
        settings = {name: v for name, v in plan.settings.to_json().items() if name not in _NOT_THE_WEIGHTS}
        plan = replace(plan, files=files, identity=digest.of_json([files[CONFIG], data, settings]))
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
        """The run's settings and schedule.

        Raises:
            RunError: there is no run here, or the file is damaged.
        """
        if not self.exists:
            name = self.plan_file.name
            if self.plan_file.exists():
                raise RunError(
                    f"{self.path} holds no run: {name} was not written by deeprnn, or is damaged.\n"
                    f"  Is the path right? If it is, restore {name} from a copy."
                )
            raise RunError(f"{self.path} holds no run: there is no {name} in it. Is the path right?")
        return Plan.read(self.plan_file)

    def load_net(
        self,
        device: torch.device | str | None = None,
        functions: Mapping[str, Function] | None = None,
        *,
        plan: Plan | None = None,
    ) -> DeepRNN:
        """The network with the weights that were saved last.

        Args:
            device, functions: as for `DeepRNN.load`.
            plan: the run's, if it was read already.

        Raises:
            RunError: a file is missing, damaged, or of another run.

        Warns:
            FileWarning: a file carries no digest, or the weights are not those of the run's training.
        """
        plan = plan or self.read_plan()
        with reading():
            net = DeepRNN.load(self.path, device=device, functions=functions)
            metadata = read_metadata(self.path)
        if plan.identity is not None:
            identity = (metadata or {}).get("identity")
            if identity is None:
                warn(f"{self.path / WEIGHTS} was not written by the training of this run; it is read as it is.")
            elif identity != plan.identity:
                raise RunError(
                    f"{self.path / WEIGHTS} belongs to another run: another network, other data or other settings.\n"
                    f"  Restore it from a copy."
                )
        return net

    def check_file(self, path: Path, plan: Plan) -> None:
        """Raises RunError where one of the task's files is not the one that the run was started with."""
        known = plan.files.get(path.name)
        if known is not None and known != digest.of_json(json_file.read_any(path)):
            raise RunError(
                f"{path} is not the file that this run was started with: its contents belong to another run.\n"
                f"  Restore it from a copy."
            )
