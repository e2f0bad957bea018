"""Context construction on nets whose memory is known."""

import numpy as np
import pytest
import torch

from deeprnn import DeepRNN, Elman
from deeprnn.analysis.measurements.construction import construction

SYMBOLS = 12


def _texts(steps: int, seed: int, batch: int = 60) -> torch.Tensor:
    return torch.randint(SYMBOLS, (steps, batch), generator=torch.Generator().manual_seed(seed))


def _leaky(keep: list[float]) -> DeepRNN:
    """Units that hold `keep` of their value from step to step, and add a random number for each symbol."""
    torch.manual_seed(0)
    net = DeepRNN(SYMBOLS, [Elman(len(keep), "identity")])
    with torch.no_grad():
        net.recurrent_layers[0].weight_hh.copy_(torch.diag(torch.tensor(keep)))
        net.recurrent_layers[0].weight_xh.normal_()
    return net


def test_the_longer_a_unit_holds_the_longer_it_takes() -> None:
    found = construction(_leaky([0.0, 0.7, 0.95]), _texts(80, 1), _texts(60, 2), _texts(60, 3))
    r, half = found.correlation[0], found.half[0]
    assert r.shape == (80, 3)
    np.testing.assert_allclose(r[:, 0], 1, atol=1e-5)
    assert half[0] == 0
    # A leaky sum's correlation is 1 - keep^(2 (t + 1)): half at 2 (t + 1) = ln(1/2) / ln(keep).
    assert half[1] in (0, 1)
    assert 4 <= half[2] <= 9


def test_the_same_history_leaves_no_difference() -> None:
    history = _texts(9, 2)
    found = construction(_leaky([0.5, 0.9]), _texts(7, 1), history, history)
    np.testing.assert_allclose(found.correlation[0], 1, atol=1e-6)
    assert found.half[0].tolist() == [0, 0]


def test_a_unit_that_is_still_has_no_correlation() -> None:
    net = _leaky([0.5, 0.5])
    with torch.no_grad():
        net.recurrent_layers[0].weight_xh[1] = 0
        net.recurrent_layers[0].bias.fill_(0.3)
    found = construction(net, _texts(7, 1), _texts(9, 2), _texts(9, 3))
    assert np.isnan(found.correlation[0][:, 1]).all()
    assert np.isnan(found.half[0][1])
    assert np.isfinite(found.half[0][0])


def test_columns_must_match() -> None:
    with pytest.raises(ValueError, match="other has shape"):
        construction(_leaky([0.5]), _texts(7, 1), _texts(9, 2), _texts(9, 3, batch=4))
    with pytest.raises(ValueError, match="at least three"):
        construction(_leaky([0.5]), *(_texts(5, seed, batch=2) for seed in (1, 2, 3)))
