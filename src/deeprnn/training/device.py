"""Where a network computes, and with how many threads."""

import re

import torch

_NAME = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,3})?")


def choose_device(name: str) -> torch.device:
    """The device of a name: "cpu", "cuda", "cuda:1", "mps", or "auto": the machine's accelerator, else the CPU.

    Raises:
        ValueError: there is no such device here.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"--device must be cpu, cuda, cuda:1, mps or auto, got {name!r}.")
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        found = accelerator.type if accelerator is not None else "cpu"
        name = found if _NAME.fullmatch(found) else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name}: {reason}\n  --device cpu works everywhere.") from None
    return device


def set_threads(threads: int | None) -> None:
    """Sets torch's threads; None leaves them."""
    if threads is not None:
        torch.set_num_threads(threads)
