"""What lies beyond a row's length never counts: in outputs, gradients and second derivatives, for every kernel."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from drawn_calls import Call, calls, outcome, tensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deeprnn import GRU, LSTM, Cell, DeepRNN, Elman, kernels
from deeprnn.kernels import LayerCall

GARBAGE = [torch.nan, torch.inf, -torch.inf, 3e38]
INDICES = [-100, -1, 10**9, 2**62]

padded = given(
    call=calls().map(
        lambda call: replace(call, lengths=True, layout="contiguous" if call.layout == "spread" else call.layout)
    ),
    which=st.integers(0, len(GARBAGE) - 1),
)
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def with_garbage(call: Call, which: int | None) -> Callable[[LayerCall], None]:
    """Fills x beyond the lengths, the state of rows that run no step, and resets there; None fills in zeros."""

    def change(layer_call: LayerCall) -> None:
        assert layer_call.lengths is not None
        beyond = torch.arange(layer_call.steps)[:, None] >= layer_call.lengths
        if layer_call.x.is_floating_point():
            layer_call.x.masked_fill_(beyond.unsqueeze(-1), 0.0 if which is None else GARBAGE[which])
        else:
            layer_call.x.masked_fill_(beyond, 0 if which is None else INDICES[which])
        if call.state != "expanded":  # one row that stands for all
            for part in layer_call.state.parts.values():
                part[layer_call.lengths == 0] = 0.0 if which is None else GARBAGE[which]
        if layer_call.restarts is not None:
            layer_call.restarts.masked_fill_(beyond, which is not None)

    return change


def check(call: Call, kernel: str, dtype: torch.dtype, which: int) -> None:
    """The native kernel's results are the same bits; a library's products may round by where their operands lie."""
    clean, dirty = (outcome(call, dtype, kernel, change=with_garbage(call, fill)) for fill in (None, which))
    ended = tensors(call, dtype).layer_call.lengths == 0
    for name, values in clean.items():
        # A row of no step gives back its state, whatever it is.
        compared = ~ended if name.startswith("last.") and call.state != "expanded" else slice(None)
        right, got = values[compared], dirty[name][compared]
        tolerance = 0.0 if kernel == "native" else 1e-9
        torch.testing.assert_close(
            got, right, rtol=tolerance, atol=tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.usefixtures("isa")
@padded
@many
def test_native(call: Call, which: int) -> None:
    check(call, "native", torch.float32, which)


@padded
@settings(many, max_examples=25)
def test_reference(call: Call, which: int) -> None:
    check(call, "reference", torch.float64, which)


@padded
@settings(many, max_examples=40)
def test_torchs_operators(call: Call, which: int) -> None:
    call = replace(call, masked=False, zoneout="", return_cell_states=False, reached=("hidden", "last"))
    if kernels.aten.why_not(tensors(call, torch.float64).layer_call.spec()) is not None:
        call = replace(call, cell=LSTM(call.H, bias=call.cell.bias))
    check(call, "aten", torch.float64, which)


@pytest.mark.parametrize("cell", [Elman(7), GRU(7), GRU(7, reset_after=False), LSTM(7)], ids=repr)
def test_second_derivatives(cell: Cell) -> None:
    torch.manual_seed(0)
    net, lengths = DeepRNN(4, [cell, cell], 2), torch.tensor([6, 0, 2, 1])
    beyond = torch.arange(6)[:, None] >= lengths

    def second(fill: float) -> list[torch.Tensor]:
        torch.manual_seed(1)
        x = torch.randn(6, 4, 4).masked_fill(beyond.unsqueeze(-1), fill).requires_grad_()
        loss = net(x, lengths=lengths).output.square().sum()
        (gradient,) = torch.autograd.grad(loss, x, create_graph=True)
        assert not gradient[beyond].any()
        return list(torch.autograd.grad(gradient.square().sum(), [x, *net.parameters()], materialize_grads=True))

    for got, right in zip(second(torch.nan), second(0.0), strict=True):
        torch.testing.assert_close(got, right, rtol=1e-5, atol=1e-6)


def test_padding_of_symbols_may_be_anything() -> None:
    """-100 is what tables of tokens are padded with; within a row's length it is an error."""
    net, lengths = DeepRNN(5, [GRU(6), LSTM(6)], 5, input_to_all=True), torch.tensor([4, 1])
    x = torch.tensor([[0, 4], [1, -100], [2, -100], [3, 99]])
    right = net(x.clamp(0, 4), lengths=lengths)
    assert torch.equal(net(x, lengths=lengths).output, right.output)
    for kernel in ("native", "reference"):
        with kernels.force(kernel):
            hidden = net.layers[0](x, lengths=lengths).hidden
            assert torch.equal(hidden, net.layers[0](x.clamp(0, 4), lengths=lengths).hidden)
    with pytest.raises(ValueError, match="x holds integers from -100"):
        net(x, lengths=torch.tensor([4, 2]))
