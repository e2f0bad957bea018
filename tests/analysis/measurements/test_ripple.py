"""Ripples: the known delays of untrained depth, and what the three numbers mean."""

import numpy as np
import pytest
import torch

from deeprnn import GRU, LSTM, DeepRNN, Elman
from deeprnn.analysis.measurements.ripple import band, decay, ripple, ripples

SYMBOLS = 40


def _texts(steps: int = 60, batch: int = 32) -> torch.Tensor:
    return torch.randint(SYMBOLS, (steps, batch), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("seed", [0, 1])
def test_depth_alone_delays_by_two_steps_a_layer(seed: int) -> None:
    torch.manual_seed(seed)
    net = DeepRNN(SYMBOLS, [LSTM(96, init="uniform")] * 4)
    x = _texts()
    curves = ripple(net, x, 20, replacement=(x[20] + 7) % SYMBOLS)
    assert [decay(curve).half for curve in curves] == [2, 4, 6, 8]


def test_a_layer_without_memory_forgets_at_once() -> None:
    net = DeepRNN(SYMBOLS, [Elman(16)])
    with torch.no_grad():
        net.recurrent_layers[0].weight_hh.zero_()
    x = _texts(steps=8)
    curve = ripple(net, x, 3, replacement=(x[3] + 1) % SYMBOLS)[0]
    assert curve.shape == (5,)
    assert curve[0] > 0.5
    assert not curve[1:].any()
    found = decay(curve)
    assert (found.half, found.one_percent) == (1, 1)


def test_a_layer_that_keeps_everything_never_forgets() -> None:
    net = DeepRNN(SYMBOLS, [Elman(16, "identity", init="identity")])
    x = _texts(steps=12)
    curve = ripple(net, x, 3, replacement=(x[3] + 1) % SYMBOLS)[0]
    np.testing.assert_allclose(curve, curve[0], rtol=1e-4)
    assert np.isnan(decay(curve).half)
    assert np.isnan(decay(curve).one_percent)


def test_an_unchanged_input_makes_no_ripple() -> None:
    x = _texts()
    assert not ripple(DeepRNN(SYMBOLS, [GRU(8)]), x, 5, replacement=x[5]).any()


def test_a_text_in_place_of_another_is_at_distance_one() -> None:
    """Once everything read is another text's, the distance is that of unrelated texts."""
    torch.manual_seed(0)
    net = DeepRNN(SYMBOLS, [Elman(32)])
    with torch.no_grad():
        net.recurrent_layers[0].weight_hh.zero_()
    x = torch.randint(SYMBOLS, (30, 200))
    curve = ripples(net, x, 10, replacement=x[10].roll(1))[0, 0]
    assert abs(curve.mean() - 1) < 0.1


def test_the_three_numbers_of_an_exponential() -> None:
    curve = np.exp(-np.arange(60) / 5.0)
    found = decay(curve)
    assert found.half == 4
    assert found.one_percent == 24
    np.testing.assert_allclose(found.tail, 5.0)


def test_half_is_counted_from_the_change_and_half_of_the_peak() -> None:
    assert decay(np.array([0.2, 0.8, 0.5, 0.3, 0.0])).half == 3


def test_the_band_spans_all_nets() -> None:
    low, high = band([np.array([[1.0, 0.5]]), np.array([[0.8, 0.6]])])
    assert (low.tolist(), high.tolist()) == ([[0.8, 0.5]], [[1.0, 0.6]])


def test_calls_that_make_no_sense_are_refused() -> None:
    net, x = DeepRNN(SYMBOLS, [GRU(8)]), _texts(steps=6)
    with pytest.raises(IndexError, match="at=6"):
        ripple(net, x, 6, replacement=x[0])
    with pytest.raises(ValueError, match="B >= 2"):
        ripple(net, x[:, :1], 0, replacement=x[0, :1])
    with pytest.raises(ValueError, match="give \\(32,\\)"):
        ripple(net, x, 0, replacement=x[0, :3])
