"""An activation with weights of its own: a module is part of the net, anything else that reads a weight is refused."""

import copy
import functools
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from compare import randomise
from torch import Tensor, nn

from deeprnn import GRU, LSTM, Cell, DeepRNN, Elman

T, B, H = 5, 3, 4


class Scaled(nn.Module):
    """tanh with a learned slope for each unit, and a buffer and a plain number beside it."""

    def __init__(self, width: int = H) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.linspace(0.5, 1.5, width))
        self.register_buffer("shift", torch.full((width,), 0.1))
        self.power = 1.0

    def forward(self, a: Tensor) -> Tensor:
        return torch.tanh(a * self.slope) + self.shift


STACKS: dict[str, Callable[[], list[Cell]]] = {
    "elman": lambda: [Elman(H, Scaled())],
    "gru": lambda: [GRU(H, activation=nn.PReLU(), gate_activation=nn.Sigmoid())],
    "lstm-both": lambda: [LSTM(H, Scaled(), direction="both", layer_norm=True), GRU(H)],
    "zoneout": lambda: [GRU(H), Elman(H, Scaled(), zoneout=0.2, learn_initial=True)],
}


def build(cells: list[Cell], **options: Any) -> DeepRNN:
    return randomise(DeepRNN(3, cells, 2, **options))


@pytest.mark.parametrize("stack", STACKS)
def test_its_gradients_are_right(stack: str) -> None:
    net = build(STACKS[stack](), dtype=torch.float64).eval()
    names = [name for name, _ in net.named_parameters() if ".activation." in name]
    assert names
    x = torch.randn(T, B, 3, dtype=torch.float64)

    def loss(*values: Tensor) -> Tensor:
        return torch.func.functional_call(
            net, dict(zip(names, values, strict=True)), (x, None), {"lengths": [5, 2, 0]}
        )[0]

    values = tuple(net.get_parameter(name).detach().clone().requires_grad_() for name in names)
    assert torch.autograd.gradcheck(loss, values)
    assert torch.autograd.gradgradcheck(loss, values)


@pytest.mark.parametrize("stack", STACKS)
def test_it_is_trained_with_the_net(stack: str) -> None:
    net = build(STACKS[stack]())
    before = {name: value.clone() for name, value in net.state_dict().items() if ".activation." in name}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    net(torch.randn(T, B, 3)).output.square().sum().backward()
    optimizer.step()
    moved = {name for name, value in before.items() if not torch.equal(net.state_dict()[name], value)}
    assert moved == {name for name in before if not name.endswith("shift")}


def test_it_moves_and_is_copied_with_the_net() -> None:
    net = build([Elman(H, Scaled()), GRU(H, activation=Scaled())])
    x = torch.randn(T, B, 3)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(other(x).hidden[1], net(x).hidden[1])
        other.double()
        assert {value.dtype for value in other.state_dict().values()} == {torch.float64}
        torch.testing.assert_close(other(x.double()).hidden[1].float(), net(x).hidden[1])
        with torch.no_grad():
            other.layers[0].activation.slope.zero_()
        assert not torch.allclose(other(x.double()).hidden[1].float(), net(x).hidden[1])
    assert net.cells[0].activation is net.layers[0].activation
    on_meta = copy.deepcopy(net).to("meta")
    assert on_meta(torch.empty(T, B, 3, device="meta")).output.shape == (T, B, 2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_it_takes_the_dtype_that_the_net_is_built_in(dtype: torch.dtype) -> None:
    net = DeepRNN(3, [Elman(H, Scaled())], dtype=dtype)
    assert net(torch.randn(T, B, 3, dtype=dtype)).hidden[0].dtype == dtype


def test_one_module_in_several_layers_is_one_weight() -> None:
    phi = nn.PReLU()
    net = build([Elman(H, phi, direction="both"), Elman(H, phi), GRU(H, activation=phi)], dtype=torch.float64)
    assert sum(parameter is phi.weight for parameter in net.parameters()) == 1
    x = torch.randn(T, B, 3, dtype=torch.float64)
    together = torch.autograd.grad(net(x).output.square().sum(), phi.weight)[0]
    apart = copy.deepcopy(net)
    for layer in apart.layers:
        layer.activation = copy.deepcopy(phi)
    apart(x).output.square().sum().backward()
    torch.testing.assert_close(together, sum(layer.activation.weight.grad for layer in apart.layers))


def test_another_module_in_its_place_is_used() -> None:
    net, x = build([Elman(H, nn.PReLU())]), torch.randn(T, B, 3)
    net.layers[0].activation = nn.ReLU()
    right = build([Elman(H, "relu")])
    right.load_state_dict(net.state_dict())
    torch.testing.assert_close(net(x).hidden[0], right(x).hidden[0])
    replica = net.layers[0]._replicate_for_data_parallel()
    replica._modules["activation"] = nn.Tanh()
    assert (replica.cell.activation, net.cells[0].activation) == (replica.activation, net.layers[0].activation)


def test_transforms_reach_it() -> None:
    net = build([Elman(H, Scaled())], dtype=torch.float64)
    weights, x = dict(net.named_parameters()), torch.randn(T, B, 3, dtype=torch.float64)

    def loss(weights: dict[str, Tensor], row: Tensor) -> Tensor:
        return torch.func.functional_call(net, weights, (row[:, None],)).output.square().sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 1))(weights, x)["layers.0.activation.slope"]
    for row in range(B):
        right = torch.autograd.grad(loss(weights, x[:, row]), net.layers[0].activation.slope)[0]
        torch.testing.assert_close(each[row], right)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.compile's own
def test_it_is_compiled_and_exported(tmp_path: Path) -> None:
    net, x = build([Elman(H, Scaled()), GRU(H)]).eval(), torch.randn(T, B, 3)
    compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x).output, net(x).output)
    compiled(x).output.square().sum().backward()
    got = net.layers[0].activation.slope.grad.clone()
    right = torch.autograd.grad(net(x).output.square().sum(), net.layers[0].activation.slope)[0]
    torch.testing.assert_close(got, right)
    torch.export.save(torch.export.export(net, (x,)), tmp_path / "net.pt2")
    torch.testing.assert_close(torch.export.load(tmp_path / "net.pt2").module()(x).output, net(x).output)


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    net = build([Elman(H, Scaled()), GRU(H, activation=Scaled())], dtype=torch.float64)
    with pytest.warns(UserWarning, match="is the function Scaled"):
        net.save(tmp_path)
    given = {f"layers.{index}.activation": Scaled() for index in (0, 1)}
    loaded = DeepRNN.load(tmp_path, functions=given)
    assert loaded.layers[0].activation is given["layers.0.activation"]
    x = torch.randn(T, B, 3, dtype=torch.float64)
    torch.testing.assert_close(loaded(x).output, net(x).output, rtol=0, atol=1e-14)
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    with pytest.raises(ValueError, match=r"not expected \['layers.0.activation.shift', 'layers.0.activation.slope'"):
        DeepRNN.load(tmp_path, functions=dict.fromkeys(given, torch.tanh))


def test_one_module_in_the_place_of_two_is_refused(tmp_path: Path) -> None:
    net = DeepRNN(3, [Elman(H, nn.PReLU()), Elman(H, nn.PReLU())])
    with pytest.warns(UserWarning, match="is the function PReLU"):
        net.save(tmp_path)
    places = [f"layers.{index}.activation" for index in (0, 1)]
    with pytest.raises(ValueError, match=r"layers.1.activation.weight had a value of its own"):
        DeepRNN.load(tmp_path, functions=dict.fromkeys(places, nn.PReLU()))
    assert DeepRNN.load(tmp_path, functions={place: nn.PReLU() for place in places})


def test_the_cell_of_a_layer_may_be_replaced_by_one_of_the_same_weights() -> None:
    net, x = build([GRU(H, activation=nn.PReLU()), Elman(H)]).eval(), torch.randn(T, B, 3)
    right = build([GRU(H, zoneout=0.3), Elman(H, "sin")]).eval()
    right.load_state_dict({name: value for name, value in net.state_dict().items() if ".activation." not in name})
    net.layers[0].cell, net.layers[1].cell = right.cells
    assert net.state_dict().keys() == right.state_dict().keys()
    torch.testing.assert_close(net(x).output, right(x).output)
    for cell in (GRU(H + 1), LSTM(H), GRU(H, direction="both"), GRU(H, bias=False)):
        with pytest.raises(ValueError, match=r"the layer was built for GRU\(4, zoneout=0\.3\)"):
            net.layers[0].cell = cell
    assert net.cells[0] == right.cells[0]


@dataclass
class Unhashable:
    scale: float

    def __call__(self, a: Tensor) -> Tensor:
        return torch.tanh(self.scale * a)


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        (nn.PReLU, r"activation=PReLU is a class; give an instance: activation=PReLU\(\)"),
        (Unhashable(2.0), r"activation=Unhashable has no hash .*@dataclass\(frozen=True\)"),
        ([nn.PReLU()], "neither a name nor a function"),
    ],
)
def test_what_is_no_function_is_refused(activation: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        GRU(H, activation=activation)


WEIGHT, LEAF, MODULE = nn.Parameter(torch.ones(H)), torch.ones(H, requires_grad=True), nn.PReLU()


def within(value: Any) -> Callable[[Tensor], Tensor]:
    return lambda a: a * value


def deeper(value: Any) -> Callable[[Tensor], Tensor]:
    inner = within(value)
    return lambda a: torch.tanh(inner(a))


def by_default(a: Tensor, weight: Tensor = WEIGHT) -> Tensor:
    return a * weight


def by_global(a: Tensor) -> Tensor:
    return F.prelu(a, WEIGHT)


def by_another(a: Tensor) -> Tensor:
    return by_global(a)


class Holder:
    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def __call__(self, a: Tensor) -> Tensor:
        return a * self.weight


class Owner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = nn.PReLU()
        self.scale = 2.0

    def learned(self) -> Callable[[Tensor], Tensor]:
        return lambda a: self.act(2 * a)

    def fixed(self) -> Callable[[Tensor], Tensor]:
        return lambda a: torch.tanh(a * self.scale)


REFUSED: dict[str, tuple[Any, str]] = {
    "closure": (within(WEIGHT), "value"),
    "closure-of-a-closure": (deeper(WEIGHT), "value"),
    "leaf": (within(LEAF), "value"),
    "module": (lambda a: MODULE(2 * a), "MODULE"),
    "bound": (MODULE.forward, "PReLU"),
    "default": (by_default, "Parameter"),
    "global": (by_global, "WEIGHT"),
    "another-function": (by_another, "WEIGHT"),
    "partial": (functools.partial(F.prelu, weight=WEIGHT), "weight"),
    "partial-module": (functools.partial(MODULE), "PReLU"),
    "object": (Holder(WEIGHT), "weight"),
    "owner": (Owner().learned(), "self.act"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("cell", [Elman, GRU, LSTM])
def test_a_function_that_reads_a_weight_is_refused(cell: Any, case: str) -> None:
    function, name = REFUSED[case]
    with pytest.raises(TypeError, match=r"Give a torch\.nn\.Module") as caught:
        cell(H, activation=function)
    assert f"reads the parameter {name!r}" in str(caught.value)


@pytest.mark.parametrize(
    "function",
    [
        torch.tanh,
        F.elu,
        within(torch.ones(H)),
        within(2.0),
        deeper(WEIGHT.detach()),
        Holder(torch.ones(H)),
        Owner().fixed(),
        nn.Tanh().forward,
        functools.partial(F.gelu, approximate="tanh"),
    ],
)
def test_a_function_without_weights_is_taken(function: Any) -> None:
    assert DeepRNN(3, [Elman(H, function)])(torch.randn(T, B, 3)).hidden[0].shape == (T, B, H)
