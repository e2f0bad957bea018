"""Where a network computes, and with how many threads."""

import torch


def choose_device(name: str) -> torch.device:
    """The device of a name, or of "auto": the machine's accelerator, else the CPU.

    Raises:
        ValueError: there is no such device here.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return torch.device("cpu") if accelerator is None else accelerator
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name}: {reason}; --device cpu works everywhere.") from None
    return device


def set_threads(threads: int | None) -> None:
    """Sets torch's threads; None leaves them."""
    if threads is not None:
        torch.set_num_threads(threads)
