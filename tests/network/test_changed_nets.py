"""Nets that a person changed after they were built: they compute what they now say, or an error says what is wrong."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from compare import randomise
from torch import nn

from deeprnn import GRU, LSTM, DeepRNN, Elman

T, B, F = 5, 3, 4
X = torch.randn(T, B, F, generator=torch.Generator().manual_seed(0))


def build(**options: Any) -> DeepRNN:
    return randomise(DeepRNN(F, [LSTM(6), GRU(6, direction="both"), Elman(5)], 2, **options))


def hooked(change: Callable[[Any], Any]) -> Callable[[DeepRNN], Any]:
    return lambda net: net.layers[0].register_forward_hook(lambda _layer, _args, result: change(result))


def put(name: str, value: Any) -> Callable[[DeepRNN], Any]:
    def change(net: DeepRNN) -> None:
        owner, _, last = name.rpartition(".")
        setattr(net.get_submodule(owner), last, value)

    return change


REFUSED: dict[str, tuple[Callable[[DeepRNN], Any], str]] = {
    "layer-elsewhere": (lambda net: net.layers[1].to("meta"), "layers.1 is on meta, but what it reads is on cpu"),
    "output-elsewhere": (lambda net: net.output.to("meta"), "the output layer's weight is torch.float32 on meta, but"),
    "output-of-another-dtype": (
        lambda net: net.output.double(),
        "weight is torch.float64 on cpu, but what it reads is",
    ),
    "layer-of-torch": (put("layers.1", nn.GRU(6, 6)), "layers.1 is a GRU; build a DeepRNN with the cells"),
    "layer-gone": (lambda net: net.layers.pop(2), "the output layer reads 5 features, but the layers below pass up 12"),
    "weight-gone": (
        put("layers.1.bias_reverse", None),
        "bias_reverse of this layer is None; build the cell without it",
    ),
    "hook-of-a-tensor": (
        hooked(lambda result: result.hidden),
        "hook of layers.0 returned a Tensor, expected a LayerOut",
    ),
    "hook-of-a-tuple": (hooked(tuple), "a forward hook of layers.0 returned a tuple"),
    "hook-of-numpy": (
        hooked(lambda r: r._replace(hidden=r.hidden.detach().numpy())),
        "expected a LayerOutput of tensors",
    ),
    "hook-elsewhere": (
        hooked(lambda r: r._replace(hidden=r.hidden.to("meta"))),
        "layers.1 is on cpu, but what it reads",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_longer_fits_is_refused(case: str) -> None:
    change, message = REFUSED[case]
    net = build()
    change(net)
    with pytest.raises((ValueError, TypeError)) as caught:
        net(X)
    assert message in str(caught.value), str(caught.value)


def test_a_layer_of_another_dtype_computes_in_it() -> None:
    net = build()
    net.layers[1].double()
    result = net(X)
    assert [h.dtype for h in result.hidden] == [torch.float32, torch.float64, torch.float32]
    torch.testing.assert_close(result.output, build()(X).output, rtol=1e-4, atol=1e-5)
    carried = net(X, result.state)
    assert carried.state[1].h.dtype == torch.float64


def test_an_output_of_ones_own() -> None:
    net = build()
    net.output = nn.Sequential(nn.Linear(5, 3), nn.ReLU())
    assert net(X).output.shape == (T, B, 3)
    assert "Sequential" in net.summary()
    net.output = None
    assert net(X).output is None


def test_a_net_without_values_gets_some() -> None:
    on_meta = build(device="meta")
    assert on_meta(X.to("meta"), on_meta.initial_state(B)).output.shape == (T, B, 2)
    on_meta.to_empty(device="cpu").load_state_dict(build().state_dict())
    assert torch.equal(on_meta(X).hidden[-1], build()(X).hidden[-1])


def test_a_copy_is_the_same_net_and_shares_nothing() -> None:
    net = build()
    net(X).output.sum().backward()
    other = copy.deepcopy(net)
    before = net(X).hidden[-1]
    assert torch.equal(other(X).hidden[-1], before)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert torch.equal(net(X).hidden[-1], before)
    assert not other(X).hidden[-1].any()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.compile's own
def test_a_layer_whose_two_matrices_are_one_compiles() -> None:
    net = randomise(DeepRNN(6, [GRU(6), GRU(6)]))
    net.layers[0].weight_hh = net.layers[0].weight_xh
    x = torch.randn(T, B, 6)
    gradients = []
    for run in (net, torch.compile(net, backend="aot_eager", fullgraph=True)):
        gradients.append(torch.autograd.grad(run(x).hidden[1].square().sum(), list(net.parameters())))
    for right, got in zip(*gradients, strict=True):
        torch.testing.assert_close(got, right)


@pytest.mark.parametrize("dtype", [torch.int32, torch.complex64, torch.bool, torch.float8_e4m3fn], ids=str)
def test_a_net_computes_in_floats(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=r"a net computes in one of torch\.float32"):
        build(dtype=dtype)


@pytest.mark.parametrize("rows", [-1, 2.5, "3", torch.tensor(3)])
def test_rows_of_an_initial_state_are_counted(rows: Any) -> None:
    with pytest.raises(ValueError, match="the number of rows B, at least 0, or None"):
        build().initial_state(rows)


def test_a_layer_takes_nothing_but_a_cell() -> None:
    with pytest.raises(TypeError, match="expected a cell such as GRU"):
        build().layers[0].cell = "gru"
