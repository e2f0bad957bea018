"""The compiled kernels as torch operators: opcheck, torch.compile, torch.export, the meta of their outputs."""

from collections.abc import Generator
from dataclasses import replace

import pytest
import torch
from drawn_calls import CELLS, Call, calls, tensors
from hypothesis import HealthCheck, given, settings
from torch import Tensor

from deeprnn import GRU, LSTM, Cell, DeepRNN, Elman, kernels
from deeprnn.kernels.native import extension, kernel, operators
from deeprnn.kernels.native.fields import DIFFERENTIABLE, Given, Kind, Sizes, forward_arguments
from deeprnn.kernels.native.operators import CALLS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.compile's own

STACKS: dict[str, list[Cell]] = {
    "elman-gru": [Elman(7, "softplus"), GRU(6, learn_initial=True)],
    "lstm-both": [LSTM(4, direction="both", recurrent_dropout=0.2), LSTM(5, zoneout=0.1)],
    "gru-before": [GRU(6, reset_after=False)],
}


@pytest.fixture(autouse=True)
def nothing_compiled_before() -> Generator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def arguments(call: Call, *, training: bool) -> tuple[object, ...]:
    """What `operators.forward` is given for a call, without gradients."""
    layer_call = tensors(call, torch.float32).layer_call
    read = [tensor if tensor is None else tensor.detach() for tensor in kernel._tensors(layer_call)]
    return (*read, *kernel.codes(layer_call.cell), layer_call.reverse, layer_call.return_cell_states, training)


@given(call=calls(largest=9))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_opcheck(call: Call) -> None:
    """Schema, shapes without numbers, and no aliasing, for both operators."""
    torch.use_deterministic_algorithms(False)  # opcheck compares whole outputs, `saved` included
    before = CALLS.copy()
    # Beyond a row's length nothing is saved, and opcheck compares `saved` whole.
    given_ = arguments(replace(call, lengths=False), training=True)
    tests = ("test_schema", "test_faketensor", "test_aot_dispatch_static")
    torch.library.opcheck(torch.ops.deeprnn.forward.default, given_, test_utils=tests)
    torch.library.opcheck(torch.ops.deeprnn.forward.default, (*given_[:-1], False), test_utils=tests)
    named = forward_arguments(given_)
    outputs = operators.outputs_by_name(
        operators.forward(*given_), named.kind.cell, named.return_cell_states, training=named.training
    )
    reaching = Given(torch.randn_like(outputs.hidden), None, None, None)
    wanted = [getattr(named.read, name) is not None for name in DIFFERENTIABLE]
    wanted[0] = wanted[0] and not call.integers
    backward = (*named.read, outputs.hidden, outputs.cells, outputs.saved, *reaching, *named.kind, wanted)
    torch.library.opcheck(torch.ops.deeprnn.backward.default, backward, test_utils=tests)
    ran = CALLS - before
    assert ran["forward"] > 0
    assert ran["backward"] > 0


def compare(net: DeepRNN, compiled: object, x: Tensor, **options: Tensor) -> None:
    """Output and gradients of the compiled net against the net's own."""
    assert callable(compiled)
    x = x.requires_grad_()
    found = []
    for function in (net, compiled):
        result = function(x, **options)
        loss = result.output.tanh().sum() + sum(state.h.sin().sum() for state in result.state)
        found.append([result.output, *result.hidden, *torch.autograd.grad(loss, [x, *net.parameters()])])
    with torch.no_grad():
        found.append([compiled(x, **options).output])
    for a, b in zip(*found[:2], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[0][0], found[2][0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", STACKS)
def test_compile_without_graph_breaks(name: str) -> None:
    """Forward, backward and inference, over growing T and B, with lengths and resets."""
    net = DeepRNN(5, STACKS[name], 2).eval()
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    before = CALLS.copy()
    for steps, rows in ((6, 3), (9, 3), (4, 2)):
        compare(net, compiled, torch.randn(steps, rows, 5))
    lengths, resets = torch.tensor([6, 3, 0]), torch.rand(6, 3) < 0.3
    compare(net, compiled, torch.randn(6, 3, 5), lengths=lengths, resets=resets)
    directions = sum(cell.directions for cell in net.cells)
    ran = CALLS - before
    assert (ran["forward"], ran["backward"]) == (4 * 3 * directions, 4 * 2 * directions)


def test_compile_to_code() -> None:
    net = DeepRNN(5, STACKS["elman-gru"], 2)
    before = CALLS.copy()
    compare(net, torch.compile(net, fullgraph=True), torch.randn(6, 3, 5))
    assert (CALLS - before)["backward"] == 4


def test_compile_on_torchs_operators() -> None:
    net = DeepRNN(5, [LSTM(4), LSTM(3)], 2)
    with kernels.force("aten"):
        compare(net, torch.compile(net, fullgraph=True, backend="aot_eager"), torch.randn(6, 3, 5))


def test_one_graph_serves_every_length() -> None:
    """T is a symbol from its second value on: 12 lengths don't mean 12 compilations."""
    net, graphs = DeepRNN(5, [GRU(6)], 2), 0

    def count(graph: torch.fx.GraphModule, _inputs: list[Tensor]) -> torch.fx.GraphModule:
        nonlocal graphs
        graphs += 1
        return graph

    compiled = torch.compile(net, fullgraph=True, backend=count)
    for steps in range(2, 14):
        compiled(torch.randn(steps, 3, 5))
    assert graphs <= 2


def test_export_runs_native() -> None:
    net = DeepRNN(5, [GRU(6), Elman(3)], 2).eval()
    x = torch.randn(6, 3, 5)
    with torch.no_grad():
        exported = torch.export.export(net, (x,)).module()
        before = CALLS.copy()
        torch.testing.assert_close(exported(x).output, net(x).output)
    assert (CALLS - before)["forward"] == 4


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.describe())
def test_sizes_follow_t_and_b(cell: Cell) -> None:
    """What `saved` takes is so much for a step of a row, and packed weights lie the same way for every T and B."""
    kind = Kind(*kernel.codes(cell), reverse=False)
    peephole = int(getattr(cell, "peephole", False))
    sizes_of = {**kind._asdict(), "indices": 0, "masked": 0, "zoneout": 0, "peephole": peephole, "training": 1}
    one_step = Sizes(**sizes_of, T=1, B=1, I=5, H=37)
    module = extension.native()
    for isa in range(len(kernels.info().available)):
        one, packed = module.saved_floats(isa, one_step), module.packed_floats(isa, one_step)
        for steps, rows in ((1, 7), (3, 1), (17, 33), (100, 64)):
            sizes = one_step._replace(T=steps, B=rows)
            assert module.saved_floats(isa, sizes) == steps * rows * one
            assert module.packed_floats(isa, sizes) == packed


def test_values_are_checked_where_no_one_looked_before() -> None:
    """Inside torch.compile nothing can look at an index; the kernel does."""
    compiled = torch.compile(DeepRNN(5, [GRU(6)]), fullgraph=True, backend="aot_eager")
    compiled(torch.tensor([[0, 4]]))
    with pytest.raises(IndexError, match="x holds the integer 5"):
        compiled(torch.tensor([[0, 5]]))
    with pytest.raises(IndexError, match="x holds the integer -1"):
        compiled(torch.tensor([[-1, 0]]))
    with pytest.raises(ValueError, match="lengths holds 2, but x has T=1"):
        compiled(torch.tensor([[0, 4]]), lengths=torch.tensor([1, 2]))
