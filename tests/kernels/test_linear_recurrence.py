"""h_t = a_t * h_{t-1} + b_t by composed steps, against the loop over the steps."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import grad, jacrev, vmap

from deeprnn.kernels import linear_recurrence as module
from deeprnn.kernels.linear_recurrence import linear_recurrence

many = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=[1, 40, 1 << 16])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Elements of an operation: none is ever cut into chunks, small chunks in chunks, the real number."""
    monkeypatch.setattr(module, "_AT_ONCE", request.param)
    return request.param


@pytest.fixture
def nan_filled() -> Iterator[None]:
    """New tensors hold NaN, so that an element left unwritten shows."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def loop(a: Tensor, b: Tensor, before: Tensor | None, restarts: Tensor | None, reverse: bool) -> Tensor:
    steps, first = len(b), None if before is not None else (len(b) - 1 if reverse else 0)
    found: list[Tensor] = [b[0]] * steps
    h = before
    for t in reversed(range(steps)) if reverse else range(steps):
        place = t if before is not None or reverse else t - 1
        if t == first:
            h = b[t]
        else:
            assert h is not None
            h = a[place] * h + b[t] if restarts is None else torch.where(restarts[place], b[t], a[place] * h + b[t])
        found[t] = h
    return torch.stack(found)


def derivatives(function: object, inputs: list[Tensor], arriving: Tensor) -> list[Tensor]:
    """What it computes, its gradients, and gradients of those."""
    assert callable(function)
    found = function(*inputs)
    options = {"allow_unused": True, "materialize_grads": True, "create_graph": True}
    first = torch.autograd.grad((found * arriving).sum(), inputs, **options)
    loss = sum(((part * part).sum() for part in (*first, *inputs)), torch.zeros(()))
    return [found, *first, *torch.autograd.grad(loss, inputs, **options)]


@given(data=st.data())
@many
@pytest.mark.usefixtures("at_once", "nan_filled")
def test_equals_the_loop(data: st.DataObject) -> None:
    """Values, first and second derivatives, over drawn shapes."""
    steps = data.draw(st.one_of(st.integers(1, 9), st.integers(1, 150)))
    shape = data.draw(st.sampled_from([(), (1,), (3,), (2, 3), (0, 3)]))
    given_before, reverse = data.draw(st.booleans()), data.draw(st.booleans())
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**16)))

    def normal(*sizes: int) -> Tensor:
        return torch.randn(sizes, dtype=torch.float64, generator=generator).requires_grad_()

    joins = steps if given_before else steps - 1
    inputs = [normal(joins, *shape), normal(steps, *shape), *([normal(*shape)] if given_before else [])]
    restarts = None
    if data.draw(st.booleans()):
        restarts = torch.rand(joins, *shape[:1], *(1 for _ in shape[1:]), generator=generator) < 0.2
    arriving = torch.randn(steps, *shape, dtype=torch.float64, generator=generator)

    def composed(a: Tensor, b: Tensor, before: Tensor | None = None) -> Tensor:
        return linear_recurrence(a, b, before, restarts, reverse=reverse)

    def stepped(a: Tensor, b: Tensor, before: Tensor | None = None) -> Tensor:
        return loop(a, b, before, restarts, reverse)

    for found, right in zip(
        derivatives(composed, inputs, arriving), derivatives(stepped, inputs, arriving), strict=True
    ):
        largest = float(right.detach().abs().max()) if right.numel() else 0.0
        torch.testing.assert_close(found, right, rtol=0, atol=1e-12 * max(1.0, largest))


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("reverse", [False, True])
def test_a_restart_hides_what_was_before(reverse: bool) -> None:
    """NaN and infinity too, in the values and in the gradients of the steps after it."""
    b = torch.randn(50, 2)
    first, restart = (40, 20) if reverse else (10, 30)
    b[first, 0], b[first, 1] = torch.nan, torch.inf
    restarts = torch.zeros(50, 1, dtype=torch.bool)
    restarts[restart] = True
    a = torch.full((50, 2), 0.5).requires_grad_()
    h = linear_recurrence(a, b, torch.zeros(2), restarts, reverse=reverse)
    spoiled, whole = (h[restart + 1 : first + 1], h[: restart + 1]) if reverse else (h[first:restart], h[restart:])
    assert not spoiled.isfinite().any()
    assert whole.isfinite().all()
    (gradient,) = torch.autograd.grad(whole.sum(), a)
    assert (gradient[: restart + 1] if reverse else gradient[restart:]).isfinite().all()


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("value", [0.0, 1.0, 1e-30, 1 - 1e-7, -1.0])
def test_any_factor(value: float) -> None:
    """Nothing is divided, so the error is one of additions, whatever the products of a_t come to."""
    a, b = torch.full((1000, 3), value), torch.randn(1000, 3)
    h = linear_recurrence(a, b, torch.ones(3))
    right = loop(a.double(), b.double(), torch.ones(3, dtype=torch.float64), None, False)
    torch.testing.assert_close(h.double(), right, rtol=1e-5, atol=1e-4 if abs(value) > 0.9 else 1e-6)


@pytest.mark.usefixtures("at_once")
def test_transforms() -> None:
    """vmap over any of the inputs, per-sample gradients, Jacobians of Jacobians, gradients in batches."""
    a, b, before = torch.rand(20, 3).double(), torch.randn(20, 3).double(), torch.randn(3).double()
    restarts = torch.rand(5, 20, 1) < 0.2
    several = torch.rand(5, 20, 3).double()

    def loss(a: Tensor, restarts: Tensor) -> Tensor:
        return linear_recurrence(a, b, before, restarts).sin().sum()

    found = vmap(grad(loss))(several, restarts)
    for n in range(5):
        torch.testing.assert_close(found[n], grad(loss)(several[n], restarts[n]))
    starts = torch.randn(4, 3).double()
    over_starts = vmap(lambda h: linear_recurrence(a, b, h, reverse=True), out_dims=1)(starts)
    for n in range(4):
        torch.testing.assert_close(over_starts[:, n], linear_recurrence(a, b, starts[n], reverse=True))
    second = jacrev(jacrev(lambda a: linear_recurrence(a, b, before)[-1, 0]))(a)
    looped = jacrev(jacrev(lambda a: loop(a, b, before, None, False)[-1, 0]))(a)
    torch.testing.assert_close(second, looped)
    h = linear_recurrence(a.requires_grad_(), b, before)
    (rows,) = torch.autograd.grad(h, a, torch.eye(60).double().view(60, 20, 3), is_grads_batched=True)
    torch.testing.assert_close(rows, jacrev(lambda a: linear_recurrence(a, b, before))(a).flatten(0, 1))


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiled(dynamic: bool) -> None:
    """One operator in the graph, with its gradients."""

    def loss(a: Tensor, b: Tensor) -> Tensor:
        return linear_recurrence(a.sigmoid(), b, b[0]).square().sum()

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for steps in (30, 50):
        a, b = (torch.randn(steps, 3).requires_grad_() for _ in range(2))
        right = torch.autograd.grad(loss(a, b), (a, b))
        for found, expected in zip(torch.autograd.grad(compiled(a, b), (a, b)), right, strict=True):
            torch.testing.assert_close(found, expected)


def test_the_operator_is_well_formed() -> None:
    a, b, before = (torch.rand(shape).requires_grad_() for shape in ((9, 3), (9, 3), (3,)))
    for reverse in (False, True):
        for restarts in (None, torch.rand(9, 1) < 0.3):
            torch.library.opcheck(torch.ops.deeprnn.linear_recurrence.default, (a, b, before, restarts, reverse))
    joins = torch.rand(8, 3).requires_grad_()
    torch.library.opcheck(torch.ops.deeprnn.linear_recurrence.default, (joins, b, None, None, False))
