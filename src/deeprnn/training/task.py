"""What a task gives to a training: batches by step and rank, and a loss."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from torch import Tensor

from deeprnn.deep import Result


class Batch(NamedTuple):
    """What one step reads, on the CPU.

    Attributes:
        inputs: the network's x, (T, B, I), or (T, B) of integers.
        targets: what the loss compares the network's result with; its shape is between the two.
        resets: (T, B) bool, as for `DeepRNN`. Row b of a batch continues row b of the batch before it, state included;
            where it does not, `resets[0, b]` is True. None where no row starts anew.
        lengths: (B,), as for `DeepRNN`; None where all rows have T steps.
    """

    inputs: Tensor
    targets: Tensor
    resets: Tensor | None = None
    lengths: Tensor | None = None


class Batches(Protocol):
    """The training data as batches. A batch depends on the step alone, so that a training can resume at any step."""

    @property
    def batch_size(self) -> int:
        """B, the rows of a batch over all ranks; a multiple of their number."""
        ...

    @property
    def unit(self) -> str:
        """What progress is counted in, such as "samples": a column of `metrics.csv`."""
        ...

    @property
    def units_per_batch(self) -> int:
        """How many of them a batch holds, over all ranks."""
        ...

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """The rows that one of `ranks` processes reads in a step (see `rows_of_rank`); step counts from 0."""
        ...


class Loss(Protocol):
    """A loss: any callable, `nn.Module` included, that names the metrics it gives. It has no parameters of its own."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics, in the order of their columns in `metrics.csv`."""
        ...

    def __call__(self, result: Result, targets: Tensor, /) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The scalar that is minimised, and each metric of this batch as a scalar."""
        ...


def rows_of_rank(batch_size: int, rank: int, ranks: int) -> slice:
    """The rows of a batch that one of several processes reads.

    Raises:
        ValueError: the rows can't be divided evenly.

    >>> rows_of_rank(32, rank=1, ranks=4)
    slice(8, 16, None)
    """
    if batch_size % ranks:
        raise ValueError(f"`batch` must be a multiple of the number of processes, {ranks}, got {batch_size}.")
    rows = batch_size // ranks
    return slice(rank * rows, (rank + 1) * rows)
