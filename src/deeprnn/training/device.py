"""Where a network computes, with how many threads, and in which precision."""

import re
from typing import TYPE_CHECKING

import torch

from deeprnn.training.settings import Settings

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_NAME = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,3})?")


def choose_device(name: str) -> torch.device:
    """The device of a name: "cpu", "cuda", "cuda:1", "mps", or "auto": the machine's accelerator, else the CPU.

    Raises:
        ValueError: there is no such device here.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"`device` must be cpu, cuda, cuda:1, mps or auto, got {name!r}.")
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        found = accelerator.type if accelerator is not None else "cpu"
        name = found if _NAME.fullmatch(found) else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"`device={name}`: {reason}\n  `device=cpu` works everywhere.") from None
    return device


def set_threads(threads: int | None) -> None:
    """Sets torch's threads; None leaves them."""
    if threads is not None:
        torch.set_num_threads(threads)


def make_fabric(settings: Settings) -> "Fabric":
    """Lightning Fabric for the settings' device and precision. A training needs one; importing Lightning takes seconds.

    Raises:
        ValueError: there is no such device here, or it lacks the precision.
    """
    from lightning_fabric import Fabric

    device = choose_device(settings.device)
    try:
        return Fabric(
            accelerator=device.type,
            devices=[device.index or 0] if device.type == "cuda" else 1,
            precision=settings.precision,
        )
    except Exception as error:
        raise ValueError(f"`device={settings.device}`, `precision={settings.precision}`: {error}") from error
