"""Derivatives of the compiled kernels beyond the first, and under torch.func; against the reference."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap
from torch.utils._pytree import tree_leaves

from deeprnn import GRU, LSTM, Cell, DeepRNN, Elman, kernels
from deeprnn.kernels.native.operators import CALLS

STACKS: dict[str, list[Cell]] = {
    "elman-softplus": [Elman(7, "softplus", learn_initial=True)],
    "gru-lstm": [GRU(6), LSTM(4)],
    "other-gates": [GRU(4, activation="sin", gate_activation="tanh"), LSTM(3, "sin", "tanh")],
    "gru-before": [GRU(5, reset_after=False, bias=False)],
    "lstm-both": [LSTM(3, direction="both")],
    "peephole": [LSTM(4, peephole=True, bias=False)],
}


@pytest.fixture(params=STACKS)
def net(request: pytest.FixtureRequest) -> DeepRNN:
    torch.manual_seed(0)
    net = DeepRNN(5, STACKS[request.param], 2)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return net


@pytest.fixture
def x() -> Tensor:
    return torch.randn(6, 3, 5, generator=torch.Generator().manual_seed(1))


def agree(found: Any, truth: Any) -> None:
    for a, b in zip(tree_leaves(found), tree_leaves(truth), strict=True):
        assert a.shape == b.shape
        assert float((a - b).detach().norm()) <= 1e-5 * float(b.detach().norm()) + 1e-7


def both(compute: Callable[[], Any]) -> tuple[Any, Any, Any]:
    """What native computes, what the reference computes, and how often native ran."""
    before = CALLS.copy()
    found = compute()
    ran = CALLS - before
    with kernels.force("reference"):
        truth = compute()
    assert CALLS - before == ran
    return found, truth, ran


def test_derivatives_to_the_third(net: DeepRNN, x: Tensor) -> None:
    """The first stays fused under create_graph=True; the second and third are right, with lengths and resets too."""
    x = x.requires_grad_()
    lengths, resets = torch.tensor([6, 3, 0]), torch.rand(6, 3, generator=torch.Generator().manual_seed(2)) < 0.3
    wanted = [x, *net.parameters()]

    def compute() -> list[Tensor]:
        result = net(x, lengths=lengths, resets=resets)
        loss = result.output.tanh().pow(2).sum() + result.state[0].h.sin().sum()
        first = torch.autograd.grad(loss, wanted, create_graph=True)
        second = torch.autograd.grad(sum(g.pow(2).sum() for g in first), wanted, create_graph=True)
        third = torch.autograd.grad(sum(g.pow(2).sum() for g in second), wanted)
        return [*first, *second, *third]

    found, truth, ran = both(compute)
    agree(found, truth)
    directions = sum(cell.directions for cell in net.cells)
    assert ran["forward"] == directions
    assert ran["backward"] >= directions


def test_gradgradcheck_in_float32(net: DeepRNN, x: Tensor) -> None:
    """The second derivative against differences of the fused first one."""
    x, direction = x.requires_grad_(), torch.randn(x.shape, generator=torch.Generator().manual_seed(3))

    def slope(at: Tensor) -> Tensor:
        return torch.autograd.grad(net(at).output.tanh().sum(), at, create_graph=True)[0]

    before = CALLS.copy()
    (second,) = torch.autograd.grad(slope(x), x, direction)
    step = 2e-3
    forwards = slope((x + step * direction).detach().requires_grad_())
    backwards = slope((x - step * direction).detach().requires_grad_())
    difference = (forwards - backwards).detach() / (2 * step)
    assert float((second - difference).norm()) <= 3e-3 * float(second.norm())
    assert (CALLS - before)["backward"] > 0


TRANSFORMS: dict[str, Callable[[DeepRNN, Tensor], Any]] = {
    "grad": lambda net, x: grad(lambda x: net(x).output.tanh().sum())(x),
    "grad of grad": lambda net, x: grad(lambda x: grad(lambda x: net(x).output.tanh().sum())(x).pow(2).sum())(x),
    "jacrev": lambda net, x: jacrev(lambda x: net(x).output)(x),
    "jacrev of jacrev": lambda net, x: jacrev(jacrev(lambda x: net(x).output.tanh().sum()))(x[:2, :2]),
    "vmap": lambda net, x: vmap(lambda x: net(x).output, in_dims=1, out_dims=1)(torch.stack([x, -x], dim=1)),
    "vmap over lengths": lambda net, x: vmap(lambda n: net(x, lengths=n).output)(torch.tensor([[6, 2, 0], [1, 3, 6]])),
    "vmap without grad": lambda net, x: torch.no_grad()(vmap(lambda x: net(x).hidden))(torch.stack([x, -x])),
    "gradient per sample": lambda net, x: vmap(grad(_loss, argnums=1), in_dims=(None, None, 1))(
        net, dict(net.named_parameters()), x.unsqueeze(2)
    ),
    "input gradient per sample": lambda net, x: vmap(grad(lambda x: net(x).output.tanh().sum()), in_dims=1)(
        x.unsqueeze(2)
    ),
    "grad of vmap": lambda net, x: grad(lambda x: vmap(lambda x: net(x).output)(torch.stack([x, 2 * x])).sum())(x),
    "ensemble": lambda net, x: vmap(_loss, in_dims=(None, 0, None))(
        net, {name: torch.stack([p, 2 * p]) for name, p in net.named_parameters()}, x
    ),
}


def _loss(net: DeepRNN, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
    return functional_call(net, parameters, (x,)).output.tanh().pow(2).sum()


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_run_native(name: str, net: DeepRNN, x: Tensor) -> None:
    found, truth, ran = both(lambda: TRANSFORMS[name](net, x))
    agree(found, truth)
    assert ran["forward"] > 0
    assert (ran["backward"] > 0) == ("grad" in name.replace("without grad", "") or "jac" in name)


def test_samples_that_share_weights_are_one_call(net: DeepRNN, x: Tensor) -> None:
    before = CALLS.copy()
    vmap(lambda x: net(x).output)(torch.stack([x] * 5))
    assert (CALLS - before)["forward"] == sum(cell.directions for cell in net.cells)


def test_gradient_through_vmap_reaches_parameters(net: DeepRNN, x: Tensor) -> None:
    def compute() -> Any:
        outputs = vmap(lambda x: net(x).output, in_dims=1)(x.unsqueeze(2))
        return torch.autograd.grad(outputs.tanh().sum(), list(net.parameters()))

    found, truth, ran = both(compute)
    agree(found, truth)
    assert ran["backward"] > 0


FORWARD_MODE: dict[str, Callable[[DeepRNN, Tensor], Any]] = {
    "jvp": lambda net, x: jvp(lambda x: net(x).output, (x,), (x,)),
    "jacfwd": lambda net, x: jacfwd(lambda x: net(x).output)(x[:2, :1]),
    "hessian": lambda net, x: hessian(lambda x: net(x).output.pow(2).sum())(x[:2, :1]),
}


@pytest.mark.parametrize("name", FORWARD_MODE)
def test_forward_mode_runs_on_the_reference(name: str, net: DeepRNN, x: Tensor) -> None:
    """There is no fused forward-mode derivative, and the choice knows it."""
    found, truth, ran = both(lambda: FORWARD_MODE[name](net, x))
    agree(found, truth)
    assert not ran
    with kernels.force("native"), pytest.raises(RuntimeError, match="no forward-mode derivative"):
        FORWARD_MODE[name](net, x)


def test_dual_numbers_run_on_the_reference(net: DeepRNN, x: Tensor) -> None:
    with torch.autograd.forward_ad.dual_level():
        output = net(torch.autograd.forward_ad.make_dual(x, x)).output
        tangent = torch.autograd.forward_ad.unpack_dual(output).tangent
    agree(tangent, jvp(lambda x: net(x).output, (x,), (x,))[1])


def test_batched_gradients_refuse_clearly(net: DeepRNN, x: Tensor) -> None:
    output = net(x.requires_grad_()).output
    with pytest.raises(RuntimeError, match=r"torch\.func\.jacrev"):
        torch.autograd.grad(output, x, torch.ones(4, *output.shape), is_grads_batched=True)
