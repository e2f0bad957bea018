"""A plain stack is one call, equal to its layers one by one bit for bit; what is not plain, or changed, is noticed."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from deeprnn import GRU, LSTM, Cell, DeepRNN, Elman, State, kernels, onecall

STACKS: dict[str, list[Cell]] = {
    "elman": [Elman(5)],
    "elman-gru-lstm": [Elman(5, "softplus"), GRU(6), LSTM(7)],
    "gru-before": [GRU(6, reset_after=False), GRU(6, reset_after=False)],
    "backwards": [LSTM(5, direction="reverse"), Elman(3, bias=False)],
    "learned": [GRU(4, learn_initial=True), LSTM(5, learn_initial=True)],
}
ALONE: dict[str, list[Cell]] = {
    "both": [LSTM(5, direction="both"), GRU(3)],
    "layer norm": [Elman(5, layer_norm=True)],
    "zoneout": [GRU(5, zoneout=0.2)],
    "function": [Elman(5, torch.erf)],
}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each call, whether it was one call."""
    calls: list[bool] = []
    run = onecall.run

    def noted(*arguments: Any) -> Any:
        calls.append((result := run(*arguments)) is not None)
        return result

    monkeypatch.setattr(onecall, "run", noted)
    return calls


def one_by_one(net: DeepRNN, *arguments: Any, **options: Any) -> Any:
    """The same call layer by layer: a hook that does nothing stands between them."""
    handles = [layer.register_forward_hook(lambda *_: None) for layer in net.layers]
    try:
        return net(*arguments, **options)
    finally:
        for handle in handles:
            handle.remove()


def equal(a: Any, b: Any) -> bool:
    pairs = [*zip(a.hidden, b.hidden, strict=True)]
    for one, other in zip(a.state, b.state, strict=True):
        assert one.parts.keys() == other.parts.keys()
        pairs += [(part, other.parts[name]) for name, part in one.parts.items()]
    if a.output is not None:
        pairs.append((a.output, b.output))
    return all(x.shape == y.shape and torch.equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("steps_rows", [(1, 1), (8, 1), (2, 4), (1, 3)])
@pytest.mark.parametrize("name", STACKS)
def test_one_call_equals_layers_one_by_one(name: str, steps_rows: tuple[int, int], ran: list[bool]) -> None:
    torch.manual_seed(0)
    net, x = DeepRNN(4, STACKS[name], 3, output_from_all=name == "learned"), torch.randn(*steps_rows, 4)
    with torch.no_grad():
        state = None
        for _ in range(3):
            result, right = net(x, state), one_by_one(net, x, state)
            assert equal(result, right)
            state = result.state
    learned_rows = name == "learned" and steps_rows[1] > 1  # one vector for all rows is not memory that lies ready
    assert ran[:2] == [not learned_rows, False]
    assert ran[2::2] == [True, True]


@pytest.mark.parametrize("form", ["integers", "unbatched", "batch_first", "strided", "torch.nn's state", "a list"])
def test_every_form_of_a_call(form: str, ran: list[bool]) -> None:
    torch.manual_seed(0)
    net = DeepRNN(4, [GRU(5), GRU(5)], batch_first=form == "batch_first")
    x: Tensor = torch.randn(2, 3, 4)
    state: Any = None
    if form == "integers":
        x = torch.randint(4, (2, 3))
    if form == "unbatched":
        x, state = torch.randn(3, 4), net.initial_state().map(torch.randn_like)
    if form == "strided":
        x, state = torch.randn(4, 3, 2).permute(2, 1, 0), [State(h=torch.randn(5, 3).T), None]
    if form == "torch.nn's state":
        state = torch.randn(2, 3, 5)
    if form == "a list":
        state = [None, torch.randn(3, 5)]
    with torch.no_grad():
        assert equal(net(x, state), one_by_one(net, x, state))
    assert any(ran) == (form != "strided")  # a state that is not contiguous is the layers' to copy


@pytest.mark.parametrize("name", ALONE)
def test_other_layers_run_by_themselves(name: str, ran: list[bool]) -> None:
    net, x = DeepRNN(4, ALONE[name]), torch.randn(2, 1, 4)
    with torch.no_grad():
        net(x)
    assert not any(ran)


def autocast(net: DeepRNN, x: Tensor) -> Any:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return net(x)


def forced(net: DeepRNN, x: Tensor) -> Any:
    with kernels.force("reference"):
        return net(x)


def with_gradients(net: DeepRNN, x: Tensor) -> Any:
    with torch.enable_grad():
        return net(x)


def hooked(net: DeepRNN, x: Tensor) -> Any:
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        return net(x)
    finally:
        handle.remove()


CALLS: dict[str, Callable[[DeepRNN, Tensor], Any]] = {
    "autocast": autocast,
    "another kernel": forced,
    "gradients": with_gradients,
    "a hook on every module": hooked,
    "vmap": lambda net, x: torch.vmap(lambda one: net(one).hidden[0])(x.expand(2, *x.shape)),
    "lengths": lambda net, x: net(x, lengths=[2]),
    "resets": lambda net, x: net(x, resets=torch.ones(2, 1, dtype=torch.bool)),
    "cell states": lambda net, x: net(x, return_cell_states=True),
    "many steps": lambda net, x: net(x.expand(5, 2, 2, 1, 4).reshape(20, 1, 4)),
    "dropout": lambda _, x: DeepRNN(4, [GRU(5), GRU(5)], dropout=0.3)(x),
    "recurrent dropout": lambda _, x: DeepRNN(4, [GRU(5, recurrent_dropout=0.3)])(x),
    "residual": lambda _, x: DeepRNN(4, [GRU(5), GRU(5)], residual=True)(x),
    "input to all": lambda _, x: DeepRNN(4, [GRU(5), GRU(5)], input_to_all=True)(x),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_stands_between_layers_is_noticed(name: str, ran: list[bool]) -> None:
    net, x = DeepRNN(4, [LSTM(5), GRU(6)]), torch.randn(2, 1, 4)
    with torch.no_grad():
        net(x)
        assert ran.pop()
        CALLS[name](net, x)
    assert not any(ran)


def other_parameter(net: Any) -> None:
    net.layers[0].weight_hh = nn.Parameter(torch.randn_like(net.layers[0].weight_hh))


def through_data(net: Any) -> None:
    net.layers[0].weight_hh.data[:, 1] = 3.0


def other_memory(net: Any) -> None:
    net.layers[0].weight_hh.data = torch.randn(5, 5).T


def other_cell(net: Any) -> None:
    net.layers[0].cell = Elman(5, "relu")


def other_layer(net: Any) -> None:
    net.layers[0] = DeepRNN(4, [Elman(5, "sin")]).layers[0]


def parametrised(net: Any) -> None:
    nn.utils.parametrizations.weight_norm(net.layers[1], "weight_hh")
    net.layers[1].parametrizations.weight_hh.original0.mul_(2)


def pruned(net: Any) -> None:
    prune.l1_unstructured(net.layers[1], "weight_hh", amount=0.5)


def other_dtype(net: Any) -> None:
    net.layers[1].double()  # what the layer reads is cast to it


EDITS = (other_dtype, other_parameter, through_data, other_memory, other_cell, other_layer, parametrised, pruned)


@pytest.mark.parametrize("edit", EDITS)
def test_every_change_of_the_net_is_noticed(edit: Callable[[Any], None]) -> None:
    torch.manual_seed(0)
    net, x = DeepRNN(4, [Elman(5), Elman(5)]), torch.randn(2, 1, 4)
    with torch.no_grad():
        before = net(x)
        edit(net)
        after = [net(x), net(x)]
        assert not equal(before, after[0])
        assert all(equal(result, one_by_one(net, x)) for result in after)


@pytest.mark.parametrize("wrong", ["freed", "shape", "None", "x's features", "x's dtype", "state's shape"])
def test_what_does_not_fit_is_refused_as_ever(wrong: str) -> None:
    net, x, state = DeepRNN(4, [Elman(5), Elman(5)]), torch.randn(2, 1, 4), None
    layer: Any = net.layers[1]
    with torch.no_grad():
        net(x)
        if wrong == "freed":
            layer.weight_hh.untyped_storage().resize_(0)
        if wrong == "shape":
            layer.weight_hh.data = torch.zeros(5, 4)
        if wrong == "None":
            layer.bias = None
        if wrong == "x's features":
            x = torch.randn(2, 1, 5)
        if wrong == "x's dtype":
            x = x.double()
        if wrong == "state's shape":
            state = net(x).state.map(lambda h: h[:, :4])
        with pytest.raises((ValueError, TypeError, RuntimeError)):
            net(x, state)
