"""The one operation, called without a module around it."""

import pytest
import torch

from deeprnn import GRU, LSTM, Cell, DeepRNN, Elman
from deeprnn.functional import recurrent_layer

T, B, F = 5, 3, 4

CELLS: list[Cell] = [
    Elman(7, "relu"),
    GRU(7, direction="both", learn_initial=True),
    LSTM(7, direction="reverse", layer_norm=True, zoneout=0.2, zoneout_cell=0.1),
]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.describe())
@pytest.mark.parametrize("with_state", [False, True], ids=["initial", "given"])
def test_it_is_what_a_layer_computes(cell: Cell, with_state: bool) -> None:
    torch.manual_seed(0)
    net = DeepRNN(F, [cell]).eval()
    x, resets = torch.randn(T, B, F), torch.rand(T, B) < 0.3
    state = net.initial_state(B).map(torch.randn_like) if with_state else None
    right = net(x, state, lengths=[T, 0, 2], resets=resets, return_cell_states=True)
    weights = {name.removeprefix("layers.0."): weight for name, weight in net.named_parameters()}
    found = recurrent_layer(
        net.cells[0],
        weights,
        x,
        None if state is None else state[0],
        lengths=torch.tensor([T, 0, 2]),
        resets=resets,
        return_cell_states=True,
    )
    torch.testing.assert_close(found.hidden, right.hidden[0], rtol=0, atol=0)
    assert right.cell_states is not None
    if cell.cell_state is None:
        assert found.cell_states is None
    else:
        torch.testing.assert_close(found.cell_states, right.cell_states[0], rtol=0, atol=0)
    for name, part in right.state[0].parts.items():
        torch.testing.assert_close(found.state.parts[name], part, rtol=0, atol=0)


@pytest.mark.parametrize("missing", ["weight_xh", "bias", "bias_reverse", "bias_hn_reverse"])
def test_a_weight_that_is_missing_is_named(missing: str) -> None:
    """A bias too: without it a kernel would compute something else."""
    cell = GRU(7, direction="both")
    weights = {
        name + suffix: torch.zeros(shape)
        for name, shape in cell.weight_shapes(F).items()
        for suffix in ("", "_reverse")
    }
    del weights[missing]
    with pytest.raises(ValueError, match=f"weights lacks {missing}; GRU"):
        recurrent_layer(cell, weights, torch.zeros(T, B, F))
