"""The next character read from each layer, and ablation, on nets of which it is known what each layer does."""

import math

import numpy as np
import pytest
import torch

from deeprnn import GRU, DeepRNN, Elman
from deeprnn.analysis.measurements.ablation import ablate, negative_log_likelihood, reset_every
from deeprnn.analysis.measurements.next_character import fit_heads
from deeprnn.analysis.probes.examples import Split
from deeprnn.analysis.statistics import resamples

SYMBOLS = 5


def _texts(steps: int = 40, batch: int = 12) -> torch.Tensor:
    return torch.randint(SYMBOLS, (steps, batch), generator=torch.Generator().manual_seed(0))


def test_a_head_reads_what_a_layer_holds() -> None:
    targets = torch.randint(SYMBOLS, (3000,), generator=torch.Generator().manual_seed(1))
    knows = torch.nn.functional.one_hot(targets, SYMBOLS).float() * 4 + 2
    ignorant = torch.randn(3000, 6, generator=torch.Generator().manual_seed(2))
    targets[::50] = -1
    split = Split.of(np.arange(3000) // 100, seed=0)
    low, high = fit_heads([ignorant, knows], targets, SYMBOLS, split)
    assert high.score.bits() < 0.05
    assert abs(low.score.bits() - math.log2(SYMBOLS)) < 0.05
    guessed = high.log_probabilities(knows).argmax(-1)
    assert (guessed == targets)[targets >= 0].double().mean() > 0.99


def _copier() -> DeepRNN:
    """A net that predicts that the symbol before the last comes next: its lower layer remembers it, the upper does
    nothing but pass it on."""
    net = DeepRNN(SYMBOLS, [Elman(2 * SYMBOLS, "relu"), Elman(SYMBOLS, "relu")], SYMBOLS)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        lower, upper = net.recurrent_layers
        lower.weight_xh[:SYMBOLS] = torch.eye(SYMBOLS)
        lower.weight_hh[SYMBOLS:, :SYMBOLS] = torch.eye(SYMBOLS)
        upper.weight_xh[:, SYMBOLS:] = torch.eye(SYMBOLS)
        net.output.weight.copy_(20 * torch.eye(SYMBOLS))
    return net


def _copied() -> tuple[torch.Tensor, torch.Tensor]:
    x = _texts()
    targets = torch.full_like(x, -1)
    targets[1:] = x[:-1]
    return x, targets


def test_what_the_net_does_not_use_costs_nothing_and_what_it_uses_costs_all() -> None:
    x, targets = _copied()
    whole, changed = ablate(_copier(), x, targets, resets=(1, 2))
    assert whole.bits() < 1e-3
    bits = {(one.layer, one.change, one.every): float(one.nll.bits()) for one in changed}
    uniform = math.log2(SYMBOLS)
    np.testing.assert_allclose([bits[0, "zero", None], bits[1, "zero", None]], uniform, rtol=1e-5)
    assert bits[1, "mean", None] > uniform - 0.01
    # The upper layer has no memory to lose; the lower one, reset every step, has nothing to copy.
    assert bits[1, "reset", 1] < 1e-3
    np.testing.assert_allclose(bits[0, "reset", 1], uniform, rtol=1e-5)
    # Reset every other step, it knows the symbol before in half of the cases.
    steps, known = len(x) - 1, len(x) // 2
    np.testing.assert_allclose(bits[0, "reset", 2], uniform * (steps - known) / steps, atol=1e-2)


def test_a_loss_is_the_difference_with_its_interval() -> None:
    x, targets = _copied()
    whole, changed = ablate(_copier(), x, targets, resets=())
    lost = changed[0].bits_lost(whole, resamples(x.shape[1], 200, 0))
    np.testing.assert_allclose(lost.value, changed[0].nll.bits() - whole.bits())
    assert lost.low <= lost.value <= lost.high


def test_the_net_is_as_before_after_all_ablations() -> None:
    x = _texts()
    net = DeepRNN(SYMBOLS, [GRU(6), GRU(7)], SYMBOLS)
    before = negative_log_likelihood(net, x[:-1], x[1:])
    seen: list[tuple[int, int]] = []
    whole, _ = ablate(net, x[:-1], x[1:], resets=(3,), progress=lambda done, runs: seen.append((done, runs)))
    np.testing.assert_array_equal(negative_log_likelihood(net, x[:-1], x[1:]).nats, before.nats)
    np.testing.assert_array_equal(whole.nats, before.nats)
    assert seen == [(done, 7) for done in range(1, 8)]


def test_a_reset_every_k_steps_is_a_fresh_run_every_k_steps() -> None:
    x = _texts(steps=10)
    net = DeepRNN(SYMBOLS, [GRU(6), GRU(7)])
    with reset_every(net, 0, 4):
        reset = net(x).hidden[0]
    pieces = torch.cat([net(x[start : start + 4]).hidden[0] for start in (0, 4, 8)])
    torch.testing.assert_close(reset, pieces)


def test_resets_of_documents_stay() -> None:
    x = _texts(steps=10)
    net = DeepRNN(SYMBOLS, [GRU(6)])
    documents = torch.zeros(10, 12, dtype=torch.bool)
    documents[3] = True
    with reset_every(net, 0, 8):
        both = net(x, resets=documents).hidden[0]
    torch.testing.assert_close(both[3:8], net(x[3:8]).hidden[0])


def test_a_net_without_output_predicts_nothing() -> None:
    x = _texts()
    with pytest.raises(ValueError, match="no output layer"):
        ablate(DeepRNN(SYMBOLS, [GRU(6)]), x, x)
    with pytest.raises(ValueError, match="1 or more"):
        ablate(DeepRNN(SYMBOLS, [GRU(6)], SYMBOLS), x, x, resets=(0,))
