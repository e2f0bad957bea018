"""The scan against the reference: every output and every gradient, for every cell that is linear in its state."""

from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call, grad, vmap

from deeprnn import GRU, RGLRU, Cell, DeepRNN, MinGRU, MinLSTM, State, kernels
from deeprnn.kernels import linear_recurrence, scan
from deeprnn.kernels.interface import CallSpec

LINEAR = [MinGRU(1), MinGRU(1, positive=True), MinLSTM(1), MinLSTM(1, positive=True), RGLRU(1)]

many = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short sequences are cut into blocks, and these into chunks, as long ones are."""
    monkeypatch.setattr(scan, "_BLOCK", 300)
    monkeypatch.setattr(scan, "_FEWEST_STEPS", 1)
    monkeypatch.setattr(linear_recurrence, "_AT_ONCE", 40)


def both_ways(net: DeepRNN, x: Tensor, *arguments: object, **options: object) -> list[list[Tensor]]:
    """By the scan and by the reference: outputs, then the gradients of x, of the states given, of the weights."""
    wanted = [*net.parameters(), *([x] if x.requires_grad else [])]
    wanted += [leaf for leaf in torch.utils._pytree.tree_leaves(arguments) if leaf.requires_grad]
    found: list[list[Tensor]] = []
    for kernel in ("scan", "reference"):
        torch.manual_seed(0)  # of the masks that zoneout draws
        with kernels.force(kernel):
            result = net(x, *arguments, **options)
        outputs = [*result.hidden, *torch.utils._pytree.tree_leaves(result.state)]
        loss = sum((part * torch.arange(part.numel()).reshape(part.shape).cos()).sum() for part in outputs)
        assert isinstance(loss, Tensor)
        found.append([*outputs, *torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)])
    return found


@pytest.mark.parametrize("cell", LINEAR, ids=repr)
@given(data=st.data())
@many
def test_equals_the_reference(cell: Cell, data: st.DataObject) -> None:
    """To 1e-12 of the largest number, in float64, with every option of a layer and of a call."""
    steps, rows, width = data.draw(st.integers(1, 70)), data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    cell = replace(
        cell,
        hidden_size=width,
        bias=data.draw(st.booleans()),
        direction=data.draw(st.sampled_from(["forward", "reverse", "both"])),
        layer_norm=data.draw(st.booleans()),
        learn_initial=data.draw(st.booleans()),
        zoneout=data.draw(st.sampled_from([0.0, 0.3])),
    )
    seed = data.draw(st.integers(0, 2**16))
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, generator=generator)

    net = DeepRNN(3, [cell], dtype=torch.float64).train(data.draw(st.booleans()))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(normal(*parameter.shape))
    x = torch.randint(3, (steps, rows), generator=generator)
    if data.draw(st.booleans()):
        x = normal(steps, rows, 3).requires_grad_()
    arguments = []
    if data.draw(st.booleans()):
        arguments.append(net.initial_state(rows).map(lambda part: normal(*part.shape).requires_grad_()))
    options = {}
    if data.draw(st.booleans()):
        options["lengths"] = torch.randint(steps + 1, (rows,), generator=generator)
    if data.draw(st.booleans()):
        options["resets"] = torch.rand(steps, rows, generator=generator) < 0.2
    for found, right in zip(*both_ways(net, x, *arguments, **options), strict=True):
        largest = float(right.detach().abs().max()) if right.numel() else 0.0
        torch.testing.assert_close(found, right, rtol=0, atol=1e-12 * max(1.0, largest))


@pytest.mark.parametrize("cell", LINEAR, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_other_dtypes(cell: Cell, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    net, x = DeepRNN(6, [replace(cell, hidden_size=17)], dtype=dtype), torch.randn(64, 3, 6).to(dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 0.1
    for found, right in zip(*both_ways(net, x.requires_grad_()), strict=True):
        assert found.dtype == dtype
        torch.testing.assert_close(found, right, rtol=tolerance, atol=tolerance * float(right.detach().abs().max()))


@pytest.mark.parametrize("cell", LINEAR, ids=repr)
def test_padding_and_what_a_reset_ends_are_never_read(cell: Cell) -> None:
    net = DeepRNN(2, [replace(cell, hidden_size=3)])
    x, lengths = torch.randn(40, 2, 2), torch.tensor([25, 40])
    resets = torch.zeros(40, 2, dtype=torch.bool)
    resets[30, 1] = True
    x[25:, 0], x[10, 1] = torch.nan, torch.nan
    with kernels.force("scan"):
        result = net(x, lengths=lengths, resets=resets)
    assert result.hidden[0][:, 0].isfinite().all()
    assert not result.hidden[0][10:30, 1].isfinite().any()
    assert result.hidden[0][30:, 1].isfinite().all()
    assert result.state[0].h.isfinite().all()


@pytest.mark.parametrize("cell", LINEAR, ids=repr)
def test_gradients_of_single_samples(cell: Cell) -> None:
    torch.manual_seed(0)
    net = DeepRNN(4, [replace(cell, hidden_size=5, direction="both")], 2, dtype=torch.float64)
    x, lengths, resets = torch.randn(5, 30, 3, 4).double(), torch.randint(31, (5, 3)), torch.rand(5, 30, 3) < 0.2

    def loss(parameters: dict[str, Tensor], x: Tensor, lengths: Tensor, resets: Tensor) -> Tensor:
        return functional_call(net, parameters, (x,), {"lengths": lengths, "resets": resets}).output.square().sum()

    parameters = {name: parameter.detach() for name, parameter in net.named_parameters()}
    with kernels.force("scan"):
        found = vmap(grad(loss), in_dims=(None, 0, 0, 0))(parameters, x, lengths, resets)
    with kernels.force("reference"):
        for n in range(5):
            for name, gradient in grad(loss)(parameters, x[n], lengths[n], resets[n]).items():
                torch.testing.assert_close(found[name][n], gradient, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("cell", LINEAR, ids=repr)
def test_compiled_and_exported(cell: Cell) -> None:
    """For any number of steps, with the net's own gradients."""
    net = DeepRNN(4, [replace(cell, hidden_size=5, direction="both")], 2)
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager", dynamic=True)
    with kernels.force("scan"):
        for steps in (20, 33):
            x = torch.randn(steps, 3, 4)
            found = torch.autograd.grad(compiled(x).output.square().sum(), list(net.parameters()))
            right = torch.autograd.grad(net(x).output.square().sum(), list(net.parameters()))
            for one, other in zip(found, right, strict=True):
                torch.testing.assert_close(one, other)
        x = torch.randn(20, 3, 4)
        exported = torch.export.export(net, (x,), dynamic_shapes=({0: torch.export.Dim("T", min=2)},), strict=False)
        for steps in (20, 33):
            x = torch.randn(steps, 3, 4)
            torch.testing.assert_close(exported.module()(x).output, net(x).output)


def spec(cell: Cell, **differences: object) -> CallSpec:
    return CallSpec(cell, torch.float32, "cpu", **differences)  # type: ignore[arg-type]


@dataclass(frozen=True, repr=False)
class Doubled(MinGRU):
    """Its step is not its linear form."""

    def step(self, x_part, state, recur):
        return State(h=2 * super().step(x_part, state, recur).h)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (spec(GRU(5)), "not linear"),
        (spec(Doubled(5)), "a step of its own"),
        (spec(MinGRU(5), steps=0), "no step"),
        (spec(MinGRU(5), transforms=("jvp",)), "forward-mode"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_it_declines(request_: CallSpec, reason: str) -> None:
    assert reason in str(scan.why_not(request_))


def test_a_cell_with_a_step_of_its_own_runs_that() -> None:
    x = torch.randn(9, 2, 3)
    net = DeepRNN(3, [MinGRU(4)])
    ours = net(x).hidden[0]
    net.layers[0].cell = Doubled(4)
    assert not torch.equal(net(x).hidden[0], ours)


def test_forward_mode_runs_elsewhere() -> None:
    net, x = DeepRNN(3, [MinGRU(4)]).double(), torch.randn(12, 2, 3).double()
    _, tangent = torch.func.jvp(lambda x: net(x).hidden[0], (x,), (torch.ones_like(x),))
    step = 1e-6
    differences = (net(x + step).hidden[0] - net(x - step).hidden[0]) / (2 * step)
    torch.testing.assert_close(tangent, differences, rtol=1e-6, atol=1e-8)


def test_it_is_chosen_and_named() -> None:
    for cell in LINEAR:
        assert kernels.choose(spec(cell, steps=100)).kernel.NAME == "scan"
        assert kernels.choose(spec(replace(cell, zoneout=0.1, layer_norm=True), restarts=True)).kernel.NAME == "scan"


def test_the_state_keeps_no_sequence_in_memory() -> None:
    state = DeepRNN(3, [MinGRU(4)])(torch.randn(100, 2, 3)).state[0].h
    assert state.untyped_storage().nbytes() == state.numel() * state.element_size()
