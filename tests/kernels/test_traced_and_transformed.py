"""Recorded by torch.jit.trace, exported, transformed by torch.func: the values are the net's own."""

import io
import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from deeprnn import GRU, LSTM, Cell, DeepRNN, Elman, State
from deeprnn.kernels.native.fields import READ

CELLS = [
    Elman(7),
    Elman(7, "gelu", zoneout=0.2),
    GRU(7),
    GRU(7, reset_after=False, recurrent_dropout=0.3),
    LSTM(7, direction="both"),
    LSTM(7, peephole=True),
]


class Output(nn.Module):
    def __init__(self, net: DeepRNN, **options: Tensor) -> None:
        super().__init__()
        self.net, self.options = net, options

    def forward(self, x: Tensor) -> Tensor:
        output = self.net(x, **self.options).output
        assert output is not None
        return output


def saved_and_loaded(traced: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    return torch.jit.load(file)


@pytest.mark.parametrize("cell", CELLS, ids=repr)
@pytest.mark.parametrize("mode", ["grad", "no_grad"])
@pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_trace_is_the_net(cell: Cell, mode: str) -> None:
    """At other values, lengths, batches and weights, saved too, with the gradients of the net."""
    torch.manual_seed(0)
    net = DeepRNN(4, [cell, cell], 2).eval()
    with torch.set_grad_enabled(mode == "grad"):
        traced = torch.jit.trace(Output(net), torch.randn(6, 3, 4), check_trace=False)
    for module in (traced, saved_and_loaded(traced)):
        for steps, rows in ((6, 3), (11, 3), (6, 5), (1, 1), (0, 2), (3, 0)):
            x = torch.randn(steps, rows, 4)
            right = net(x).output
            torch.testing.assert_close(module(x), right)
            if right is None or not right.numel():
                continue
            got = torch.autograd.grad(module(x).square().sum(), list(module.parameters()))
            wanted = torch.autograd.grad(right.square().sum(), list(net.parameters()))
            for a, b in zip(got, wanted, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("operator", [torch.ops.deeprnn.forward.default, torch.ops.deeprnn.backward.default])
def test_no_graph_names_an_instruction_set(operator: torch._ops.OpOverload) -> None:
    assert operator._schema.arguments[0].name == READ[0]
    assert not any("isa" in argument.name for argument in operator._schema.arguments)


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_vmap_draws_masks_as_asked(cell: Cell) -> None:
    """randomness="different": each sample has masks of its own; "same": all have one."""
    torch.manual_seed(0)
    net, x = DeepRNN(4, [cell, cell], 2, dropout=0.4), torch.randn(1, 6, 3, 4).expand(5, 6, 3, 4)
    for variational in (False, True):
        net.variational_dropout = variational
        different = vmap(lambda x: net(x).output, randomness="different")(x)
        assert not torch.equal(different[0], different[1])
        same = vmap(lambda x: net(x).output, randomness="same")(x)
        torch.testing.assert_close(same[:1].expand_as(same), same)


@pytest.mark.parametrize("cell", CELLS, ids=repr)
@pytest.mark.parametrize("integers", [False, True])
def test_gradients_of_single_samples_with_lengths(cell: Cell, integers: bool) -> None:
    torch.manual_seed(0)
    net = DeepRNN(4, [cell, cell], 2).eval()
    x = torch.randint(4, (5, 6, 3)) if integers else torch.randn(5, 6, 3, 4)
    lengths, resets = torch.randint(7, (5, 3)), torch.rand(5, 6, 3) < 0.3

    def loss(parameters: dict[str, Tensor], x: Tensor, lengths: Tensor, resets: Tensor) -> Tensor:
        return functional_call(net, parameters, (x,), {"lengths": lengths, "resets": resets}).output.square().sum()

    parameters = {name: parameter.detach() for name, parameter in net.named_parameters()}
    found = vmap(grad(loss), in_dims=(None, 0, 0, 0))(parameters, x, lengths, resets)
    for n in range(5):
        right = grad(loss)(parameters, x[n], lengths[n], resets[n])
        for name, gradient in right.items():
            torch.testing.assert_close(found[name][n], gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("resets", [False, True])
def test_one_tensor_as_h_and_c(resets: bool) -> None:
    """Its gradient is the sum of both, compiled too."""
    torch.manual_seed(0)
    net, x, start = DeepRNN(4, [LSTM(8)]), torch.randn(5, 3, 4), torch.randn(3, 8)
    options = {"resets": torch.zeros(5, 3, dtype=torch.bool)} if resets else {}

    def loss(h: Tensor, c: Tensor) -> Tensor:
        result = net(x, [State(h, c)], **options)
        return result.hidden[0].square().sum() + result.state[0].h.sum()

    h, c = (start.clone().requires_grad_() for _ in range(2))
    right = sum(torch.autograd.grad(loss(h, c), [h, c]))
    for function in (loss, torch.compile(loss, fullgraph=True, backend="aot_eager")):
        both = start.clone().requires_grad_()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (found,) = torch.autograd.grad(function(both, both), both)
        torch.testing.assert_close(found, right)


def test_a_tensor_that_outlived_its_vmap_is_refused_by_name() -> None:
    kept: list[Tensor] = []
    vmap(lambda x: kept.append(x * 2) or x)(torch.randn(2, 5, 3, 4))
    with pytest.raises((ValueError, RuntimeError), match="vmap"):
        DeepRNN(4, [GRU(7)])(kept[0])


def test_one_mask_for_all_steps_under_vmap_where_x_is_shared() -> None:
    net, x = DeepRNN(4, [GRU(7)], 2, dropout=0.4, variational_dropout=True), torch.randn(5, 3, 4)
    found = vmap(lambda _: net(x).output, randomness="different")(torch.zeros(6))
    assert not torch.equal(found[0], found[1])
