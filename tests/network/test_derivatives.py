"""First, second and higher derivatives, and torch.func's transforms, on every way to run a layer."""

import pytest
import torch
from compare import randomise, some_state
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from deeprnn import GRU, LSTM, RGLRU, SLSTM, Cell, DeepRNN, DeepState, Elman, IndRNN, LiGRU, MinGRU, MinLSTM, kernels

SMOOTH = {
    "elman-tanh": [Elman(3)],
    "elman-softplus-reverse": [Elman(3, "softplus", direction="reverse")],
    "gru": [GRU(3)],
    "gru-reset-before": [GRU(2, reset_after=False)],
    "lstm": [LSTM(2)],
    "mixed": [Elman(3, "gelu"), GRU(2), LSTM(2)],
    "both-directions": [LSTM(2, direction="both"), GRU(2, direction="both")],
    "indrnn-ligru": [IndRNN(3, "tanh"), LiGRU(2, "tanh", direction="both")],
    "slstm": [SLSTM(2, direction="both")],
    "slstm-heads": [SLSTM(4, heads=2, forget_gate="exp")],
    "linear": [MinGRU(2, direction="both"), MinLSTM(2, learn_initial=True), RGLRU(2, zoneout=0.2)],
    "layer-norm": [LSTM(3, layer_norm=True), GRU(3, layer_norm=True), Elman(3, layer_norm=True)],
    "learned-initial-zoneout": [GRU(2, learn_initial=True, zoneout=0.2), LSTM(2, learn_initial=True, zoneout_cell=0.3)],
}


def build(cells: list[Cell]) -> DeepRNN:
    return randomise(DeepRNN(3, cells, 2, dtype=torch.float64)).eval()


def problem(net: DeepRNN) -> tuple[Tensor, list[Tensor], dict[str, Tensor]]:
    """x, a given state's tensors, and a call's lengths and resets."""
    generator = torch.Generator().manual_seed(2)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()

    states = torch.utils._pytree.tree_leaves(some_state(net, 3))
    call = {
        "lengths": torch.tensor([4, 2, 3]),
        "resets": torch.tensor([[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=torch.bool),
    }
    return draw(4, 3, 3), [state.requires_grad_() for state in states], call


def everything(net: DeepRNN, call: dict[str, Tensor]):
    """The net as a function from tensors to tensors: x, states, parameters -> output, hidden, states."""
    names = [name for name, _ in net.named_parameters()]
    _, spec = torch.utils._pytree.tree_flatten(net.initial_state(3))

    def function(x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        count = spec.num_leaves
        state: DeepState = torch.utils._pytree.tree_unflatten(list(tensors[:count]), spec)
        parameters = dict(zip(names, tensors[count:], strict=True))
        result = torch.func.functional_call(net, parameters, (x, state), call)
        assert result.output is not None
        return (result.output, *result.hidden, *torch.utils._pytree.tree_leaves(result.state))

    return function


@pytest.mark.parametrize("kernel", ["chosen", "reference"])
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "lengths-resets"])
@pytest.mark.parametrize("stack", SMOOTH)
def test_gradients(stack: str, plain: bool, kernel: str) -> None:
    net = build(SMOOTH[stack])
    x, states, call = problem(net)
    tensors = (x, *states, *net.parameters())
    function = everything(net, {} if plain else call)
    if kernel == "chosen":
        assert gradcheck(function, tensors)
    else:
        with kernels.force("reference"):
            assert gradcheck(function, tensors)


@pytest.mark.parametrize("stack", SMOOTH)
def test_second_derivatives(stack: str) -> None:
    net = build(SMOOTH[stack])
    x, states, call = problem(net)
    with kernels.force("reference"):
        # A random projection of the second derivatives: all of them would take minutes.
        assert gradgradcheck(everything(net, call), (x, *states, *net.parameters()), fast_mode=True)


@pytest.mark.parametrize("cell", [Elman(3), GRU(3), LSTM(3)], ids=str)
def test_second_derivatives_of_the_chosen_kernel(cell: Cell) -> None:
    """Whatever kernel runs, second derivatives are right."""
    net = build([cell])
    x, states, call = problem(net)
    assert gradgradcheck(everything(net, call), (x, *states, *net.parameters()))


def test_third_derivative() -> None:
    net = randomise(DeepRNN(1, [Elman(1)], dtype=torch.float64))
    layer = net.recurrent_layers[0]
    w, u, b = (layer.weight_xh.detach().item(), layer.weight_hh.detach().item(), layer.bias.detach().item())

    def scalar(value: Tensor) -> Tensor:
        with kernels.force("reference"):
            return net(value.reshape(1, 1, 1), net.initial_state(1)).hidden[0].sum()

    value = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    derivative = scalar(value)
    for _ in range(3):
        (derivative,) = torch.autograd.grad(derivative, value, create_graph=True)
    y = torch.tanh(torch.tensor(w * 0.3 + u * 0 + b, dtype=torch.float64))
    expected = w**3 * (1 - y**2) * (6 * y**2 - 2)
    torch.testing.assert_close(derivative, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cell", [Elman(3, "relu"), GRU(3), LSTM(3, direction="both")], ids=str)
def test_vmap_over_inputs(cell: Cell) -> None:
    net = build([cell, GRU(2)])
    xs = torch.randn(5, 4, 3, 3, dtype=torch.float64)
    mapped = torch.func.vmap(lambda x: net(x).output)(xs)
    torch.testing.assert_close(mapped, torch.stack([net(x).output for x in xs]), rtol=0, atol=1e-13)


def test_vmap_over_weights() -> None:
    nets = [randomise(DeepRNN(3, [GRU(3), LSTM(2)], 2, dtype=torch.float64), seed) for seed in range(3)]
    parameters, buffers = torch.func.stack_module_state(nets)
    x = torch.randn(4, 2, 3, dtype=torch.float64)

    def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(nets[0], (parameters, buffers), (x,)).output

    mapped = torch.func.vmap(one)(parameters, buffers)
    torch.testing.assert_close(mapped, torch.stack([net(x).output for net in nets]), rtol=0, atol=1e-13)


def test_per_sample_gradients() -> None:
    net = build([GRU(3), LSTM(2)])
    parameters = dict(net.named_parameters())
    x = torch.randn(4, 5, 3, dtype=torch.float64)

    def loss(parameters: dict[str, Tensor], sample: Tensor) -> Tensor:
        return torch.func.functional_call(net, parameters, (sample.unsqueeze(1),)).output.square().sum()

    per_sample = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 1))(parameters, x)
    for row in range(5):
        expected = torch.autograd.grad(loss(parameters, x[:, row]), list(parameters.values()))
        for name, gradient in zip(parameters, expected, strict=True):
            torch.testing.assert_close(per_sample[name][row], gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mode", [torch.func.jacrev, torch.func.jacfwd], ids=["jacrev", "jacfwd"])
def test_jacobian_of_the_last_state(mode) -> None:
    net = build([Elman(3), GRU(2)])
    x = torch.randn(4, 3, dtype=torch.float64)
    jacobian = mode(lambda value: net(value).state[1].h)(x)
    expected = torch.autograd.functional.jacobian(lambda value: net(value).state[1].h, x)
    torch.testing.assert_close(jacobian, expected, rtol=1e-9, atol=1e-12)


def test_hessian() -> None:
    net = build([GRU(2)])
    x = torch.randn(2, 3, dtype=torch.float64)
    hessian = torch.func.hessian(lambda value: net(value).output.sum())(x)
    with kernels.force("reference"):
        expected = torch.autograd.functional.hessian(lambda value: net(value).output.sum(), x)
    torch.testing.assert_close(hessian, expected, rtol=1e-9, atol=1e-12)
