"""A kernel that is added from outside: registered, chosen, and made differentiable around its two operators."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from deeprnn import GRU, DeepRNN, Elman, State, kernels
from deeprnn.kernels import aten
from deeprnn.kernels.autograd import Kept, OperatorPair, differentiable
from deeprnn.kernels.interface import CallSpec, LayerCall, LayerOutput

T, B, F, H = 5, 3, 4, 7


class Read(NamedTuple):
    x: Any
    weight_xh: Any
    weight_hh: Any
    h0: Any


class Given(NamedTuple):
    of_hidden: Any
    of_last_h: Any


class Kind(NamedTuple):
    reverse: bool


def forward(
    x: Tensor, weight_xh: Tensor, weight_hh: Tensor, h0: Tensor, reverse: bool, _cells: bool, training: bool
) -> Sequence[Tensor]:
    order = reversed(range(len(x))) if reverse else range(len(x))
    h, hidden = h0, torch.empty(len(x), *h0.shape, dtype=x.dtype)
    for t in order:
        h = torch.tanh(x[t] @ weight_xh.T + h @ weight_hh.T)
        hidden[t] = h
    return (hidden, h.clone(), torch.empty(0)) if training else (hidden, h.clone())


def backward(
    x: Tensor,
    weight_xh: Tensor,
    weight_hh: Tensor,
    h0: Tensor,
    hidden: Tensor,
    _cell_states: None,
    _saved: Tensor,
    of_hidden: Tensor | None,
    of_last_h: Tensor | None,
    reverse: bool,
    wanted: Sequence[bool],
) -> Sequence[Tensor]:
    CALLS.append("backward")
    of_h = torch.zeros_like(h0) if of_last_h is None else of_last_h.clone()
    gradients = [torch.zeros_like(tensor) for tensor in (x, weight_xh, weight_hh, h0)]
    steps = list(reversed(range(len(x))) if reverse else range(len(x)))
    for place in reversed(range(len(steps))):
        t = steps[place]
        if of_hidden is not None:
            of_h = of_h + of_hidden[t]
        of_pre = of_h * (1 - hidden[t] ** 2)
        before = h0 if place == 0 else hidden[steps[place - 1]]
        gradients[0][t] = of_pre @ weight_xh
        gradients[1] += of_pre.T @ x[t]
        gradients[2] += of_pre.T @ before
        of_h = of_pre @ weight_hh
    gradients[3].copy_(of_h)
    return [gradient for gradient, want in zip(gradients, wanted, strict=True) if want]


CALLS: list[str] = []


def call_of(read: Read, kind: Kind) -> LayerCall:
    weights = {"weight_xh": read.weight_xh, "weight_hh": read.weight_hh}
    (reverse,) = kind
    return LayerCall(Elman(H, bias=False), weights, read.x, State(h=read.h0), reverse=reverse, return_cell_states=True)


PAIR = OperatorPair(
    forward=forward,
    backward=backward,
    read=Read,
    differentiable=4,
    given=Given,
    kind=Kind,
    batch_axes=Read(x=1, weight_xh=None, weight_hh=None, h0=0),
    given_axes=Given(of_hidden=1, of_last_h=0),
    kept_of=lambda outputs, _kind, _cells: Kept(outputs[0], None, outputs[-1]),
    call_of=call_of,
    given_of=lambda output: Given(output.hidden, output.state.h),
)


class TanhByHand:
    """Elman layers with tanh and no bias, in float64."""

    NAME = "tanh by hand"
    _run = staticmethod(differentiable(PAIR))

    def why_not(self, spec: CallSpec) -> str | None:
        plain = not (spec.lengths or spec.restarts or spec.zoneout or spec.recurrent_mask or spec.integer_input)
        if spec.dtype == torch.float64 and spec.cell == Elman(H, bias=False) and plain and spec.steps <= T:
            return None
        return "it computes little"

    def run(self, call: LayerCall) -> LayerOutput:
        tensors = (call.x, call.weights["weight_xh"], call.weights["weight_hh"], call.state.h)
        hidden, last_h, *_ = self._run(*tensors, call.reverse, False, torch.is_grad_enabled())
        return LayerOutput(hidden, State(h=last_h))


@pytest.fixture
def net() -> Iterator[DeepRNN]:
    kernels.register(TanhByHand(), before="native")
    CALLS.clear()
    torch.manual_seed(0)
    yield DeepRNN(F, [Elman(H, bias=False)], dtype=torch.float64)
    kernels.unregister(TanhByHand.NAME)


def test_it_runs_what_it_can_and_the_table_says_so(net: DeepRNN) -> None:
    assert "tanh by hand" in net.summary()
    x = torch.randn(T, B, F, dtype=torch.float64)
    found = torch.autograd.grad(net(x).hidden[0].square().sum(), list(net.parameters()))
    assert CALLS == ["backward"]
    with kernels.force("reference"):
        right = torch.autograd.grad(net(x).hidden[0].square().sum(), list(net.parameters()))
    torch.testing.assert_close(found, right)
    assert CALLS == ["backward"]


def test_it_can_decline_a_shape(net: DeepRNN) -> None:
    net(torch.randn(T + 1, B, F, dtype=torch.float64)).hidden[0].sum().backward()
    assert CALLS == []


def test_derivatives_of_any_order(net: DeepRNN) -> None:
    x = torch.randn(3, 2, F, dtype=torch.float64, requires_grad=True)
    state = torch.randn(2, H, dtype=torch.float64, requires_grad=True)

    def outputs(x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        result = net(x, [State(h=h)])
        return result.hidden[0], result.state[0].h

    assert torch.autograd.gradcheck(outputs, (x, state))
    assert torch.autograd.gradgradcheck(outputs, (x, state))
    assert CALLS


def test_gradients_of_each_sample(net: DeepRNN) -> None:
    x = torch.randn(4, T, F, dtype=torch.float64)
    weights = {name: weight.detach() for name, weight in net.named_parameters()}

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(net, weights, (x,)).hidden[0].square().sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, x)
    assert CALLS
    for name in weights:
        alone = torch.stack([torch.func.grad(loss)(weights, sample)[name] for sample in x])
        torch.testing.assert_close(each[name], alone)


@pytest.mark.parametrize(
    ("kernel", "before", "error", "message"),
    [
        (object(), "native", TypeError, "a kernel has NAME, why_not, run"),
        (aten, "native", ValueError, "there is a kernel of the name 'aten' already"),
        (TanhByHand(), "cuda", ValueError, "no such kernel; there are native, aten"),
    ],
)
def test_what_is_no_kernel_is_refused(kernel: Any, before: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        kernels.register(kernel, before=before)


def test_the_reference_stays() -> None:
    with pytest.raises(ValueError, match="can be taken out"):
        kernels.unregister("reference")
    assert kernels.choose(DeepRNN(F, [GRU(H)]).recurrent_layers[0].spec()).kernel.NAME in ("native", "aten")
