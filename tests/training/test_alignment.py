"""A step reads memory of the same alignment and strides, resumed or not: a product's last bits depend on both."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from small import corpus, vocabulary
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from deeprnn import GRU, LSTM, Cell, DeepRNN, Elman
from deeprnn.text import Streams
from deeprnn.training import Settings
from deeprnn.training.schedule import Course
from deeprnn.training.trainer import Trainer

STACKS: dict[str, Callable[[], list[Cell]]] = {
    "noise": lambda: [GRU(7), LSTM(5, learn_initial=True, recurrent_dropout=0.1), Elman(6, "softplus", zoneout=0.1)],
    "plain": lambda: [LSTM(5), GRU(7), Elman(6, "tanh")],
    "reference": lambda: [GRU(7, layer_norm=True), LSTM(5, layer_norm=True), Elman(3, torch.sin)],
}


class Addresses(TorchDispatchMode):
    """Each operation, with the strides of the numbers that it reads and writes, and their place in a cache line."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, list[tuple[tuple[int, ...], int]]]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        leaves = tree_leaves((args, kwargs, result))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]
        self.seen.append((str(function), [(tensor.stride(), tensor.data_ptr() % 64) for tensor in tensors]))
        return result


def misplaced(tensor: Tensor) -> Tensor:
    """A copy that begins one element beyond a multiple of 64 bytes, with its last two axes swapped in memory."""
    memory = torch.empty(tensor.numel() + 1, dtype=tensor.dtype)[1:].view(tensor.mT.shape if tensor.dim() > 1 else -1)
    copy = memory.mT if tensor.dim() > 1 else memory.view(tensor.shape)
    return copy.copy_(tensor)


def trainer_of(stack: str, settings: Settings, place: Callable[[Tensor], Tensor]) -> Trainer:
    symbols = vocabulary()
    torch.manual_seed(0)
    net = DeepRNN(len(symbols), STACKS[stack](), len(symbols), dropout=0.2 if stack == "noise" else 0.0)
    for weight in net.parameters():
        weight.data = place(weight.data)
    text = Streams([symbols.read(d) for d in corpus().training], batch=settings.batch, window=5, seed=0)
    return Trainer(net, text, settings, Course(9))


def addresses_of(trainer: Trainer) -> list[Any]:
    """Those of two more steps."""
    addresses = Addresses()
    with addresses:
        for _ in range(2):
            trainer.advance()
    return addresses.seen


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-true", "bf16-mixed"])
@pytest.mark.parametrize("stack", STACKS)
def test_a_resumed_step_reads_memory_of_the_same_alignment(stack: str, precision: Any, batch: int) -> None:
    settings = Settings(batch=batch, window=5, learning_rate=0.01, precision=precision)
    whole = trainer_of(stack, settings, torch.clone)
    for _ in range(3):
        whole.advance()
    checkpoint = {name: misplaced(t) if t.is_floating_point() else t for name, t in whole.tensors().items()}
    expected = addresses_of(whole)
    resumed = trainer_of(stack, settings, misplaced)
    resumed.load(3, checkpoint)
    got = addresses_of(resumed)
    assert len(expected) > 100
    for one, other in zip(got, expected, strict=True):
        assert one == other
    for name, weight in whole.net.state_dict().items():
        assert torch.equal(resumed.net.state_dict()[name], weight), name
