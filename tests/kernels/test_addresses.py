"""No tensor reaches the compiled kernels that is not the memory they take it for: each argument wrong in each way.

Each case runs in a child process of its own, so that a killed one shows as what it is.
"""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import grad

from deeprnn import GRU, LSTM, Cell, Elman
from deeprnn.kernels.native import operators
from deeprnn.kernels.native.fields import DIFFERENTIABLE, READ

T, B, I, H = 5, 3, 4, 6  # noqa: E741  # the legend's names
CELLS: list[Cell] = [Elman(H), GRU(H), LSTM(H), LSTM(H, peephole=True)]
OUTPUTS = ("hidden", "cells", "saved", "of_hidden", "of_last_h", "of_last_c", "of_cells")

Way = Callable[[Tensor], Tensor]


def freed(tensor: Tensor) -> Tensor:
    tensor = tensor.clone()
    tensor.untyped_storage().resize_(0)
    return tensor


WRONG: dict[str, Way] = {
    "on the meta device": lambda t: t.to("meta"),
    "in float64": lambda t: t.double(),
    "in float16": lambda t: t.half(),
    "in int32": lambda t: t.to(torch.int32),
    "in complex64": lambda t: t.to(torch.complex64),
    "sparse": lambda t: t.to_sparse(),
    "in mkldnn's layout": lambda t: t.float().to_mkldnn(),
    "freed": freed,
    "a row longer": lambda t: torch.cat([t, t[:1]]),
    "a column shorter": lambda t: t[..., :-1],
    "with an axis more": lambda t: t.unsqueeze(0),
    "with an axis less": lambda t: t[0],
    "empty": lambda t: t[:0],
}
ELSEWHERE = list(WRONG.values())[:8]
"""The ways that leave a tensor its shape."""
RIGHT: dict[str, Way] = {
    "transposed in memory": lambda t: t.mT.contiguous().mT if t.dim() > 1 else t,
    "every second of a longer one": lambda t: torch.stack([t, t], -1)[..., 0],
    "flipped twice": lambda t: t.flip(0).flip(0),
    "at an odd address": lambda t: torch.cat([t.new_zeros(1), t.flatten()])[1:].view(t.shape),
    "negated lazily": lambda t: torch.complex(t, -t).conj().imag if t.is_floating_point() else t,
    "kept from inside torch.func.grad": lambda t: kept_from_grad(t) if t.is_floating_point() else t,
}


def kept_from_grad(tensor: Tensor) -> Tensor:
    kept: list[Tensor] = []

    def function(x: Tensor) -> Tensor:
        kept.append((x * 1).detach())
        return x.sum()

    grad(function)(tensor)
    return kept[0]


def arguments(cell: Cell) -> dict[str, Any]:
    """A call's tensors, by the operators' names."""
    generator = torch.Generator().manual_seed(0)
    G, lstm = len(cell.gates), isinstance(cell, LSTM)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    given: dict[str, Any] = dict.fromkeys(READ)
    given |= {"x": normal(T, B, I), "weight_xh": normal(G * H, I), "weight_hh": normal(G * H, H)}
    given |= {"bias": normal(G * H), "bias_hn": normal(H) if isinstance(cell, GRU) else None}
    given["weight_ch"] = normal(3 * H) if isinstance(cell, LSTM) and cell.peephole else None
    for name in ("h0", "initial_h", "mask"):
        given[name] = normal(B, H)
    if lstm:
        given |= {"c0": normal(B, H), "initial_c": normal(B, H), "keep_c": torch.rand(T, B, H, generator=generator)}
    given["keep_h"] = torch.rand(T, B, H, generator=generator)
    given["lengths"] = torch.tensor([5, 2, 0])
    given["restarts"] = torch.rand(T, B, generator=generator) < 0.3
    return given


def run(cell: Cell, name: str, way: Way) -> list[Tensor]:
    """All outputs and gradients, with one tensor changed on its way in."""
    given = arguments(cell)
    if name in given:
        given[name] = way(given[name])
    read = list(given.values())
    code = (Elman, GRU, LSTM).index(type(cell))
    kind = (code, isinstance(cell, GRU), 0, 2, False)
    outputs = operators.forward(*read, *kind, True, True)
    lstm = isinstance(cell, LSTM)
    hidden, cells, saved = outputs[0], outputs[3] if lstm else None, outputs[-1]
    state = torch.ones(B, H)
    after = dict(zip(OUTPUTS, (hidden, cells, saved, hidden, state, state if lstm else None, cells), strict=True))
    if name in after:
        after[name] = way(after[name])
    wanted = [tensor is not None for tensor in read[: len(DIFFERENTIABLE)]]
    return [*outputs, *operators.backward(*read, *after.values(), *kind, wanted)]


@pytest.mark.parametrize("code", [-1, 99])
@pytest.mark.parametrize("place", ["cell", "phi", "gate_phi"])
def test_codes_that_mean_nothing_are_refused(place: str, code: int) -> None:
    kind = {"cell": 2, "reset_after": False, "phi": 0, "gate_phi": 2, "reverse": False} | {place: code}
    with pytest.raises((ValueError, IndexError)):
        torch.ops.deeprnn.forward(*arguments(LSTM(H)).values(), *kind.values(), False, False)


def in_child(act: Callable[[], str]) -> str:
    """What `act` returned or raised, or the signal that killed it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        torch.set_num_threads(1)  # of torch's pool a child has the name only
        try:
            text = act()
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
        os.write(write, text.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    status = os.waitpid(child, 0)[1]
    return f"killed by {signal.Signals(os.WTERMSIG(status)).name}" if os.WIFSIGNALED(status) else text


def cases(ways: dict[str, Way]) -> list[Any]:
    return [
        pytest.param(cell, name, way, id=f"{type(cell).__name__}: {name} {how}")
        for cell in CELLS
        for name in (
            *(name for name, tensor in arguments(cell).items() if tensor is not None),
            "hidden",
            "saved",
            "of_hidden",
        )
        for how, way in ways.items()
    ]


@pytest.mark.parametrize(("cell", "name", "way"), cases(WRONG))
def test_what_is_wrong_is_refused_by_name(cell: Cell, name: str, way: Way) -> None:
    def act() -> str:
        outputs = run(cell, name, way)
        same = all(torch.equal(a, b) for a, b in zip(outputs, run(cell, "", way), strict=True))
        return "the same" if same else "other values"

    told = in_child(act)
    if told != "the same":  # as where a flag is already of the type that it is turned into
        kind, _, message = told.partition(":")
        assert kind in ("ValueError", "TypeError", "NotImplementedError"), told
        # Of a wrong size, another argument may be the one that no longer fits.
        blamed = (name.replace("of_", "the gradient of "),) if way in ELSEWHERE else (*READ, *OUTPUTS)
        assert any(known in message for known in blamed), told


@pytest.mark.parametrize(("cell", "name", "way"), cases(RIGHT))
def test_other_memory_of_the_same_values(cell: Cell, name: str, way: Way) -> None:
    for got, right in zip(run(cell, name, way), run(cell, "", way), strict=True):
        assert torch.equal(got.nan_to_num(), right.nan_to_num())
