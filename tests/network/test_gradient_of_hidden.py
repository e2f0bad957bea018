"""Gradients with respect to what a call returned as `hidden`: those of the path to the output, whatever the axes."""

from typing import Any

import pytest
import torch
from compare import randomise
from torch import Tensor

from deeprnn import GRU, LSTM, DeepRNN, Elman

T, B, H = 6, 3, 4
AXES = ("time-first", "batch-first", "unbatched")
STACKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "residual": {"residual": True},
    "input-to-all": {"input_to_all": True},
    "output-from-all": {"output_from_all": True},
    "dropout": {"dropout": 0.4, "residual": True, "output_from_all": True},
    "variational": {"dropout": 0.4, "variational_dropout": True},
}
CALLS = ("plain", "state", "lengths", "resets")


def loss_and_hidden(net: DeepRNN, axes: str, call: str) -> tuple[Tensor, tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(1)
    rows = 1 if axes == "unbatched" else B
    x = torch.randn(T, rows, 3, dtype=net.dtype, generator=generator)
    options: dict[str, Any] = {}
    if call == "state":
        options["state"] = net.initial_state(None if axes == "unbatched" else rows).map(lambda s: s + 0.5)
    if call == "lengths":
        options["lengths"] = [4] if axes == "unbatched" else [T, 2, 0]
    if call == "resets":
        resets = torch.rand(T, rows, generator=generator) < 0.3
        options["resets"] = resets.T if axes == "batch-first" else resets[:, 0] if axes == "unbatched" else resets
    given = x.transpose(0, 1) if axes == "batch-first" else x[:, 0] if axes == "unbatched" else x
    torch.manual_seed(2)
    result = net(given, **options)
    assert result.output is not None
    return result.output.square().sum(), result.hidden


def pushed(net: DeepRNN, axes: str, call: str) -> list[Tensor]:
    """The same gradients by another way: those of numbers added to what each layer passes up, (T, B, H)."""
    pushes = [torch.zeros(T, 1 if axes == "unbatched" else B, H, dtype=net.dtype, requires_grad=True) for _ in "123"]
    handles = [
        layer.register_forward_hook(lambda _l, _a, r, push=push: r._replace(hidden=r.hidden + push))
        for layer, push in zip(net.layers, pushes, strict=True)
    ]
    loss, _ = loss_and_hidden(net, axes, call)
    for handle in handles:
        handle.remove()
    return list(torch.autograd.grad(loss, pushes))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_gradient_with_respect_to_hidden(axes: str, stack: str, call: str, dtype: torch.dtype) -> None:
    cells = [LSTM(H), GRU(H), Elman(H, "softplus")]
    net = randomise(DeepRNN(3, cells, 2, batch_first=axes == "batch-first", dtype=dtype, **STACKS[stack]))
    loss, hidden = loss_and_hidden(net, axes, call)
    gradients = torch.autograd.grad(loss, hidden, retain_graph=True)
    for layer in hidden:
        layer.retain_grad()
    loss.backward()
    expected = pushed(net, axes, call)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-12
    for layer, gradient, right in zip(hidden, gradients, expected, strict=True):
        shaped = right.transpose(0, 1) if axes == "batch-first" else right[:, 0] if axes == "unbatched" else right
        torch.testing.assert_close(gradient, shaped, rtol=tolerance, atol=tolerance)
        assert layer.grad is not None
        torch.testing.assert_close(layer.grad, gradient)


def test_hidden_of_a_layer_leads_to_the_state_above() -> None:
    net = DeepRNN(3, [GRU(H), GRU(H)], batch_first=True)
    result = net(torch.randn(B, T, 3))
    below, above = result.hidden
    gradient = torch.autograd.grad(above.sum() + result.state[1].h.sum(), below)[0]
    assert gradient.shape == (B, T, H)
    assert (gradient != 0).all()
