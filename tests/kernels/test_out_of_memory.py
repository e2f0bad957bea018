"""Where memory runs out a call raises, and the program goes on."""

import sys

import pytest
from programs import run_python

PROGRAM = """
import os
import resource
import torch
from deeprnn import GRU, LSTM, DeepRNN

def used():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()

symbols = 60_000  # 69 MB of weights: more than the C library keeps when it is freed
net, x, none = DeepRNN(symbols, [GRU(96), LSTM(96)]), torch.randint(symbols, (5, 3)), resource.RLIM_INFINITY

def read():
    with torch.no_grad():
        return net(x).hidden[1].clone()

def step():
    loss = net(x).hidden[1].sum()
    return lambda: torch.autograd.grad(loss, net.layers[0].weight_xh, retain_graph=True)[0].clone()

def limited(act, megabytes):
    # In a child, whose memory nobody has used before: what it raised, and that the same call works afterwards.
    come, go = os.pipe()
    if os.fork() == 0:
        run = act() if act is step else act
        resource.setrlimit(resource.RLIMIT_AS, (used() + megabytes * 2**20, none))
        try:
            run()
            text = "enough"
        except (MemoryError, RuntimeError) as error:
            text = type(error).__name__ if isinstance(error, MemoryError) or "memory" in str(error) else str(error)
        resource.setrlimit(resource.RLIMIT_AS, (none, none))
        assert torch.isfinite(run()).all()
        os.write(go, text.encode())
        os._exit(0)
    os.close(go)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
    return os.read(come, 999).decode()

seen = set()
for act in (read, step):
    outcomes = [limited(act, megabytes) for megabytes in (16, 48, 80, 112, 144, 176, 208, 256, 512)]
    print(act.__name__, outcomes)
    assert outcomes[0] != "enough" and outcomes[-1] == "enough"
    seen |= set(outcomes)
assert seen == {"enough", "MemoryError", "RuntimeError"}, seen  # the kernels' own scratch, and torch's tensors
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")
def test_a_call_without_memory_raises() -> None:
    done = run_python(PROGRAM, OMP_NUM_THREADS="1")
    assert done.returncode == 0, f"{done.returncode}: {done.stdout}{done.stderr}"
