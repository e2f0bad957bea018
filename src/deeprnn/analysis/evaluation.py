"""A module put in evaluation for a while."""

from collections.abc import Generator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluated(module: nn.Module) -> Generator[None]:
    """Within the block, a module and its parts are in evaluation; after it, each is in the mode that it was in."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training
