"""What the compiled kernels refuse and why, the packed weights that are kept, threads, and forks."""

import gc
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch
from programs import run_python

from deeprnn import GRU, LSTM, Cell, DeepRNN, Elman, kernels
from deeprnn.kernels import CallSpec, native
from deeprnn.kernels.native import extension, packed
from deeprnn.kernels.native.operators import CALLS


@dataclass(frozen=True)
class OwnElman(Elman):
    """A subclass, whose equations might be others."""


def spec(cell: Cell, **differences: object) -> CallSpec:
    return CallSpec(**{"cell": cell, "dtype": torch.float32, "device": "cpu", **differences})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (spec(GRU(5), dtype=torch.float64), "float32, not in float64"),
        (spec(GRU(5), device="cuda"), "on the CPU, not on cuda"),
        (spec(OwnElman(5)), "not OwnElman"),
        (spec(Elman(5, torch.tanh)), "by name only"),
        (spec(GRU(5, gate_activation=torch.sigmoid)), "by name only"),
        (spec(LSTM(5, torch.relu)), "by name only"),
        (spec(LSTM(5, proj_size=2)), "no projection"),
        (spec(LSTM(5, layer_norm=True)), "no layer normalisation"),
        (spec(GRU(5), steps=0), "empty"),
        (spec(GRU(5), transforms=("grad", "jvp")), "forward-mode"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_native_lacks_these(request_: CallSpec, reason: str) -> None:
    assert reason in str(native.why_not(request_))


def test_native_comes_first_and_summary_says_so() -> None:
    net = DeepRNN(3, [GRU(4), GRU(4, layer_norm=True)])
    table = net.summary().splitlines()
    assert " native" in table[2]
    assert "no layer normalisation" in table[3]
    assert kernels.choose(net.recurrent_layers[0].spec()).kernel is native


def test_info_tells_the_instruction_set() -> None:
    info = kernels.info()
    assert info.instruction_set == info.available[-1] or os.environ.get(extension.ENVIRONMENT)
    with kernels.instruction_set("baseline"):
        assert kernels.info().instruction_set == "baseline"
    with pytest.raises(ValueError, match="no such instruction set"), kernels.instruction_set("avx3"):
        pass


def test_the_environment_chooses_the_instruction_set() -> None:
    program = "import deeprnn; print(deeprnn.kernels.info().instruction_set)"
    assert run_python(program, DEEPRNN_ISA="baseline").stdout == "baseline\n"
    wrong = run_python(program, DEEPRNN_ISA="sse9")
    assert wrong.returncode != 0
    assert "DEEPRNN_ISA=sse9: no such instruction set" in wrong.stderr


def inference(net: DeepRNN, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return net(x).hidden[-1]


@pytest.fixture
def net() -> DeepRNN:
    packed.forget_packed()
    torch.manual_seed(0)
    return DeepRNN(5, [LSTM(33)])


def test_packed_weights_are_kept_and_freed() -> None:
    packed.forget_packed()
    net, x = DeepRNN(5, [LSTM(33)]), torch.randn(4, 3, 5)
    first = inference(net, x)
    kept = [entry.packed for entry in packed._kept.values()]
    assert len(kept) == 1
    assert torch.equal(inference(net, x), first)
    inference(net, torch.randn(9, 17, 5))
    assert [entry.packed for entry in packed._kept.values()] == kept
    del net, kept
    gc.collect()
    assert not packed._kept


CHANGES = {
    "in place": lambda weight: weight.mul_(1.5),
    "one element in place": lambda weight: weight[3, 1].add_(0.5),
    "data in place": lambda weight: weight.data.mul_(1.5),
    "new data": lambda weight: setattr(weight, "data", weight.data * 1.5),
    "numpy": lambda weight: weight.detach().numpy().__imul__(1.5),
}


@pytest.mark.parametrize("name", ["weight_xh", "weight_hh", "bias"])
@pytest.mark.parametrize("change", CHANGES)
def test_changed_weights_are_packed_anew(net: DeepRNN, name: str, change: str) -> None:
    if name == "bias" and "one" in change:
        pytest.skip("a bias has one axis")
    x = torch.randn(4, 3, 5)
    before = inference(net, x)
    with torch.no_grad():
        CHANGES[change](getattr(net.layers[0], name))
    after = inference(net, x)
    assert not torch.equal(before, after)
    with kernels.force("reference"):
        torch.testing.assert_close(after, inference(net, x))


def test_an_optimiser_step_is_seen(net: DeepRNN) -> None:
    x = torch.randn(4, 3, 5)
    for optimiser in (torch.optim.SGD(net.parameters(), 0.1), torch.optim.AdamW(net.parameters(), 0.1, fused=True)):
        inference(net, x)
        net(x).hidden[0].sum().backward()
        optimiser.step()
        with torch.inference_mode():
            after = net(x).hidden[0].clone()
        with kernels.force("reference"):
            torch.testing.assert_close(after, inference(net, x))


def test_different_batch_sizes_share_packed_weights(net: DeepRNN) -> None:
    for rows in (1, 2, 7, 8, 13, 64):
        x = torch.randn(4, rows, 5)
        found = inference(net, x)
        with kernels.force("reference"):
            torch.testing.assert_close(found, inference(net, x))
    assert len(packed._kept) == 1


def test_lazy_negation_is_seen() -> None:
    """conj().imag is a view whose memory holds the other sign."""
    x = torch.randn(4, 3, 5, dtype=torch.complex64)
    net = DeepRNN(5, [GRU(7)])
    lazy = x.conj().imag
    assert lazy.is_neg()
    before = CALLS["forward"]
    assert torch.equal(net(lazy).hidden[0], net(-x.imag).hidden[0])
    assert CALLS["forward"] == before + 2


def test_weights_of_any_layout() -> None:
    """A transposed weight, and a parametrised one, which is no parameter."""
    net, x = DeepRNN(5, [GRU(7)]), torch.randn(4, 3, 5)
    layer = net.recurrent_layers[0]
    layer.weight_hh = torch.nn.Parameter(layer.weight_hh.detach().t().contiguous().t())
    assert not layer.weight_hh.is_contiguous()
    torch.nn.utils.parametrizations.weight_norm(layer, "weight_xh")
    for compute in (inference, lambda net, x: net(x).hidden[0].detach()):
        before = CALLS["forward"]
        found = compute(net, x)
        assert CALLS["forward"] == before + 1
        with kernels.force("reference"):
            torch.testing.assert_close(found, compute(net, x))


def test_what_is_saved_for_backward() -> None:
    """Beside inputs and hidden: nothing for tanh, four values a unit for a GRU, four and c_t for an LSTM."""
    for cell, values in ((Elman(8, "tanh"), 0), (Elman(8, "gelu"), 1), (GRU(8), 4), (LSTM(8), 5)):
        saved: list[torch.Tensor] = []

        def keep(tensor: torch.Tensor, saved: list[torch.Tensor] = saved) -> torch.Tensor:
            saved.append(tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            net = DeepRNN(5, [cell])
            net(torch.randn(10, 3, 5))
        sequences = sum(t.numel() for t in saved if t.dim() == 3 and t.shape[2] != 5)
        assert sequences == 10 * 3 * 8 * (1 + values), cell


def test_after_a_fork_layers_run_serially() -> None:
    """The child neither hangs nor computes anything else."""
    program = """
import os, torch, deeprnn
torch.set_num_threads(2)
torch.manual_seed(0)
# Small enough that torch's own operators run on one thread: after a fork, its pool would hang.
net = deeprnn.DeepRNN(64, [deeprnn.GRU(128), deeprnn.LSTM(96)], 3)
x = torch.randn(8, 16, 64)
before = net(x)
before.output.sum().backward()
gradient = net.layers[0].weight_hh.grad.clone()
assert deeprnn.kernels.info().threads == 2
child = os.fork()
if child == 0:
    assert deeprnn.kernels.info().threads == 1
    with deeprnn.kernels.force("native"):
        hidden = net.layers[0](x).hidden
    assert torch.equal(hidden, before.hidden[0])
    (other,) = torch.autograd.grad(hidden.sum(), net.layers[0].weight_hh)
    assert torch.isfinite(other[:8]).all()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert deeprnn.kernels.info().threads == 2
print("done")
"""
    done = run_python(program, OMP_NUM_THREADS="2")
    assert done.stdout == "done\n", done.stderr


def test_a_package_without_kernels_works_and_says_so_once() -> None:
    program = """
import sys
sys.modules["deeprnn.kernels._native"] = None
import torch, deeprnn
net = deeprnn.DeepRNN(3, [deeprnn.GRU(4), deeprnn.Elman(5, "gelu")], 2)
net(torch.randn(5, 2, 3)).output.sum().backward()
net(torch.randn(5, 2, 3))
assert not deeprnn.kernels.info().built
assert "without its compiled kernels" in net.summary()
"""
    done = run_python(program)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("installed without its compiled CPU kernels") == 1


def test_cells_come_when_asked_for() -> None:
    net, before = DeepRNN(3, [LSTM(4), GRU(5)]), CALLS["forward"]
    result = net(torch.randn(6, 2, 3), return_cell_states=True)
    assert CALLS["forward"] == before + 2
    assert result.cell_states is not None
    assert result.cell_states[0] is not None
    assert result.cell_states[0].shape == (6, 2, 4)
    assert result.cell_states[1] is None


_FAULTS = """
import ctypes, resource, sys
import torch
from deeprnn import LSTM, DeepRNN
from deeprnn.kernels import keep_memory

PR_SET_THP_DISABLE = 41  # one fault may otherwise map 512 pages at once
ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)
torch.set_num_threads(1)
kept = sys.argv[1] == "keep" and keep_memory()
net, x = DeepRNN(128, [LSTM(128)] * 4), torch.randn(256, 16, 128)
with torch.no_grad():
    for _ in range(5):
        net(x)
    faults = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        net(x)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(kept, sorted(faults)[2])  # the median: the heap may grow once more in one of the calls
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="page faults are counted on Linux")
def test_kept_memory_is_not_mapped_anew():
    found = {}
    # The C library's own threshold rises with what a program frees: then it may keep memory, or not, as addresses fall.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "131072"}
    for word in ("keep", "give back"):
        arguments = [sys.executable, "-c", _FAULTS, word]
        told = subprocess.run(arguments, check=True, capture_output=True, text=True, env=environment).stdout.split()
        found[word] = told[0] == "True", float(told[1])
    if not found["keep"][0]:
        pytest.skip("not GNU's C library")
    # A call's states are 8 MiB: 2,048 pages, or 128 where the system maps 16 at once.
    assert found["keep"][1] < 50
    assert found["give back"][1] > 100
