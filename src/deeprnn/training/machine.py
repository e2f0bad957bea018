"""What computed a training, so that one that is resumed elsewhere can say that its bits will differ."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from deeprnn import kernels
from deeprnn.deep import DeepRNN


@dataclass(frozen=True)
class Machine:
    """All that the last bits of a weight depend on beside the run's own settings.

    Attributes:
        deeprnn, torch: versions.
        processor: its name; torch's matrix products differ between them.
        instructions: of torch's own operators; instruction_set: of the compiled kernels, None where not built.
        kernels: which runs each layer, bottom layer first.
        device: such as "cpu".
    """

    deeprnn: str
    torch: str
    processor: str
    instructions: str
    instruction_set: str | None
    kernels: tuple[str, ...]
    device: str

    @staticmethod
    def of(net: DeepRNN) -> "Machine":
        """The machine that trains a network here."""
        return Machine(
            deeprnn=version("deeprnn"),
            torch=torch.__version__,
            processor=_processor(),
            instructions=torch.backends.cpu.get_cpu_capability(),
            instruction_set=kernels.info().instruction_set,
            kernels=tuple(kernels.choose(layer.spec()).kernel.NAME for layer in net.recurrent_layers),
            device=net.device.type,
        )

    def to_json(self) -> dict[str, Any]:
        """The machine by name."""
        return {**asdict(self), "kernels": list(self.kernels)}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Machine":
        """The machine that `to_json` gave.

        Raises:
            TypeError: the values are not those of a machine.
        """
        names = {field.name for field in fields(Machine)}
        texts = [value for name, value in values.items() if name not in ("kernels", "instruction_set")]
        run = values.get("kernels")
        if set(values) != names or not all(isinstance(text, str) for text in texts) or not isinstance(run, list):
            raise TypeError(f"{dict(values)!r:.200} is not a machine")
        if not isinstance(values["instruction_set"], str | None):
            raise TypeError(f"instruction_set is {values['instruction_set']!r:.80}")
        given: dict[str, Any] = {**values, "kernels": tuple(map(str, run))}
        return Machine(**given)


@dataclass(frozen=True)
class Segment:
    """Steps that one machine computed: from step `first` on, until the next segment begins."""

    first: int
    machine: Machine


def append_segment(segments: Sequence[Segment], step: int, machine: Machine) -> tuple[Segment, ...]:
    """The segments of a training that `machine` continues from `step`; of later steps nothing is left."""
    before = [segment for segment in segments if segment.first < step]
    if before and before[-1].machine == machine:
        return tuple(before)
    return (*before, Segment(step, machine))


def differences(before: Machine, now: Machine) -> str:
    """What is not the same, in words.

    >>> one = Machine("0.1.0", "2.13.0", "a processor", "AVX2", "avx2", ("native",), "cpu")
    >>> from dataclasses import replace
    >>> differences(one, replace(one, torch="2.14.0"))
    'torch 2.13.0, now 2.14.0'
    """
    named = {
        field.name.replace("_", " "): (getattr(before, field.name), getattr(now, field.name))
        for field in fields(Machine)
    }
    return "; ".join(
        f"{name} {_in_words(old)}, now {_in_words(new)}" for name, (old, new) in named.items() if old != new
    )


def _in_words(value: Any) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)


@cache
def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if os.access(path, os.R_OK):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
