"""The choice among the kernels, and torch's operators against the reference."""

import subprocess
import sys

import pytest
import torch
from compare import randomise
from hypothesis import given
from hypothesis import strategies as st

import deeprnn
from deeprnn import GRU, LSTM, Cell, DeepRNN, Elman, kernels
from deeprnn.kernels import aten, registered
from deeprnn.kernels.interface import CallSpec

PLAIN = [Elman(5, "tanh"), Elman(5, "relu"), GRU(5), LSTM(5), LSTM(5, proj_size=2)]


def spec(cell: Cell, **differences: object) -> CallSpec:
    return CallSpec(cell, torch.float32, "cpu", **differences)  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", PLAIN, ids=str)
def test_torch_has_these(cell: Cell) -> None:
    assert aten.why_not(spec(cell)) is None
    assert aten.why_not(spec(cell, lengths=True, restarts=True, integer_input=True)) is None


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (spec(Elman(5, "softplus")), "tanh and relu only"),
        (spec(Elman(5, torch.tanh)), "tanh and relu only"),
        (spec(GRU(5, reset_after=False)), "resets after the product"),
        (spec(GRU(5, gate_activation="hardsigmoid")), "tanh and sigmoid only"),
        (spec(LSTM(5, "relu")), "tanh and sigmoid only"),
        (spec(LSTM(5, peephole=True)), "no peepholes"),
        (spec(LSTM(5, layer_norm=True)), "no layer normalisation"),
        (spec(GRU(5), recurrent_mask=True), "no recurrent dropout"),
        (spec(GRU(5), zoneout=True), "no zoneout"),
        (spec(GRU(5), steps=0), "empty"),
        (spec(GRU(5), transforms=("vmap",)), "torch.func"),
        (spec(GRU(5), tracing=True, restarts=True), "traced"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_torch_lacks_these(request_: CallSpec, reason: str) -> None:
    assert reason in str(aten.why_not(request_))


@given(data=st.data())
def test_aten_equals_reference(data: st.DataObject) -> None:
    """Forward and every gradient, in float64, over drawn calls."""
    cell = data.draw(st.sampled_from([*PLAIN, LSTM(3, direction="both"), GRU(2, direction="reverse")]))
    steps, rows = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 4))
    seed = data.draw(st.integers(0, 2**16))
    generator = torch.Generator().manual_seed(seed)
    net = randomise(DeepRNN(3, [cell], dtype=torch.float64), seed)
    state = net.initial_state(rows).map(lambda s: torch.randn(s.shape, dtype=s.dtype, generator=generator))
    x = torch.randint(3, (steps, rows), generator=generator)
    if data.draw(st.booleans()):
        x = torch.randn(steps, rows, 3, dtype=torch.float64, generator=generator).requires_grad_()
    call = {}
    if data.draw(st.booleans()):
        call["lengths"] = torch.randint(steps + 1, (rows,), generator=generator)
    if data.draw(st.booleans()):
        call["resets"] = torch.rand(steps, rows, generator=generator) < 0.3
    wanted = [*net.parameters(), *([x] if x.is_floating_point() else [])]
    found = []
    for kernel in ("aten", "reference"):
        with kernels.force(kernel):
            result = net(x, state, **call)
        tensors = [result.hidden[0], *torch.utils._pytree.tree_leaves(result.state)]
        loss = sum((tensor * torch.arange(tensor.numel()).reshape(tensor.shape).cos()).sum() for tensor in tensors)
        found.append(tensors + list(torch.autograd.grad(loss, wanted)))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_a_projection_runs_without_a_warning_of_torchs() -> None:
    """In a process of its own: torch warns once, that oneDNN has none, in float32."""
    program = "import torch, deeprnn; deeprnn.DeepRNN(3, [deeprnn.LSTM(4, proj_size=2)])(torch.zeros(5, 1, 3))"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_force_says_why_it_cannot() -> None:
    net = DeepRNN(3, [Elman(4, "softplus")])
    with kernels.force("aten"), pytest.raises(RuntimeError, match="cannot run Elman 4 softplus: torch's RNN has tanh"):
        net(torch.zeros(2, 1, 3))
    net(torch.zeros(2, 1, 3))


def test_force_of_nothing_known() -> None:
    with pytest.raises(ValueError, match=r"there are .*reference"), kernels.force("cuda"):
        pass


def test_summary_names_kernels_and_reasons() -> None:
    net = DeepRNN(7, [Elman(4, "sin"), GRU(5, layer_norm=True)], 3)
    with kernels.force("reference"):
        lines = net.summary().splitlines()
    assert lines[2].startswith("layer 1 (layers.0)  Elman 4 sin")
    assert lines[4].startswith("output")
    assert lines[2].split()[-1] == "reference"
    total = sum(p.numel() for p in net.parameters())
    assert f"{total:,} parameters, torch.float32 on cpu" in lines[-1]
    if not any(kernel.NAME == "native" for kernel in registered()):
        assert "torch's RNN has tanh and relu only" in net.summary()


def test_a_custom_cell_runs_and_is_saved(tmp_path) -> None:
    """One class is all that a new cell needs."""
    from dataclasses import dataclass
    from typing import ClassVar

    from deeprnn import State

    @deeprnn.cells.register
    @dataclass(frozen=True)
    class Leaking(Cell):
        hidden_size: int
        rate: float = 0.25

        gates: ClassVar = ("h",)
        norm_groups: ClassVar = (("h",),)

        def extra_weights(self) -> dict[str, tuple[int, ...]]:
            return {"scale": (self.hidden_size,)}

        def step(self, x_part, state, recur):
            target = torch.tanh(x_part + recur(state.h)) * recur.weights["scale"]
            return State(state.h + self.rate * (target - state.h))

    net = randomise(DeepRNN(3, [Leaking(4, direction="both", layer_norm=True, zoneout=0.1), GRU(2)], 2))
    result = net(torch.randn(5, 2, 3), lengths=[5, 3])
    result.output.sum().backward()
    assert net.recurrent_layers[0].scale.grad.abs().sum() > 0
    net.save(tmp_path)
    assert DeepRNN.load(tmp_path).cells == net.cells


def test_a_taken_name_is_an_error_and_a_class_without_one_cannot_be_saved(tmp_path) -> None:
    class GRU(Elman):
        pass

    with pytest.raises(ValueError, match=r"deeprnn.cells.gru.GRU is registered under that name"):
        deeprnn.cells.register(GRU)
    net = DeepRNN(3, [GRU(4)])
    with pytest.raises(ValueError, match=r"@deeprnn.cells.register"):
        net.save(tmp_path)
    assert deeprnn.cells.register(deeprnn.GRU) is deeprnn.GRU  # once more, as a notebook does


def test_a_subclass_runs_its_own_step() -> None:
    from deeprnn.state import State

    class Still(Elman):
        def step(self, x_part, state, recur):  # noqa: ARG002
            return State(state.h)

    assert not DeepRNN(3, [Still(4)])(torch.randn(5, 2, 3)).hidden[0].any()
