"""Calls of a few steps read the weights as they lie, and give bit for bit what packed weights give."""

from dataclasses import replace

import pytest
import torch

from deeprnn import GRU, LSTM, Cell, DeepRNN, Elman
from deeprnn.kernels.native import extension
from deeprnn.kernels.native.packed import forget_packed

CELLS: list[Cell] = [Elman(1), Elman(1, "relu", bias=False), GRU(1), GRU(1, reset_after=False), LSTM(1)]
SIZES = ((3, 1), (3, 5), (16, 16), (17, 33), (65, 31), (40, 96), (130, 290))
FEW = extension.native().FEW_STEPS


@pytest.mark.usefixtures("isa", "threads")
@pytest.mark.parametrize(("features", "width"), SIZES)
@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_a_sequence_in_pieces_gives_the_same_bits(cell: Cell, features: int, width: int) -> None:
    torch.manual_seed(0)
    net = DeepRNN(features, [replace(cell, hidden_size=width)] * 2)
    x = torch.randn(12, 2, features)
    assert x.shape[0] * x.shape[1] > FEW
    with torch.no_grad():
        whole = net(x)
        for steps in (1, 2, 3, 4):
            state, pieces = None, []
            for first in range(0, 12, steps):
                piece = net(x[first : first + steps], state)
                state = piece.state
                pieces.append(piece.hidden)
            for layer, hidden in enumerate(whole.hidden):
                assert torch.equal(torch.cat([piece[layer] for piece in pieces]), hidden)


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_indices_lengths_resets_and_directions(cell: Cell) -> None:
    """A row of a short call and the same row of a batch that is too large for one."""
    torch.manual_seed(0)
    net = DeepRNN(7, [replace(cell, hidden_size=19, direction="both"), replace(cell, hidden_size=6)])
    options = {"lengths": torch.tensor([3, 1, 0, 2]), "resets": torch.rand(3, 4) < 0.3}
    with torch.no_grad():
        for x in (torch.randint(7, (3, 4)), torch.randn(3, 4, 7)):
            whole = net(x, **options)
            for row in range(4):
                own = {"lengths": options["lengths"][row : row + 1], "resets": options["resets"][:, row : row + 1]}
                alone = net(x[:, row : row + 1], **own)
                for got, right in zip(alone.hidden, whole.hidden, strict=True):
                    assert torch.equal(got, right[:, row : row + 1])


def test_nothing_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[object] = []
    monkeypatch.setattr("deeprnn.kernels.native.packed._pack", lambda *a: packed.append(a))
    forget_packed()
    with torch.no_grad():
        DeepRNN(5, [GRU(6)])(torch.randn(FEW, 1, 5))
    assert not packed
