"""Calls of one layer that hypothesis draws, run by any kernel, and how far two outcomes lie apart."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from hypothesis import strategies as st
from torch import Tensor

from deeprnn import GRU, LSTM, Cell, Elman, kernels
from deeprnn.activations import ACTIVATIONS
from deeprnn.kernels import LayerCall
from deeprnn.kernels.native.operators import CALLS
from deeprnn.state import State

ELMANS = [Elman(1, name) for name in ACTIVATIONS]
CELLS: list[Cell] = [*ELMANS, GRU(1), GRU(1, reset_after=False), LSTM(1), LSTM(1, peephole=True)]

Outcome = dict[str, Tensor]


@dataclass(frozen=True)
class Call:
    """One layer over one sequence: everything but the numbers, which `seed` gives."""

    cell: Cell
    T: int
    B: int
    I: int  # noqa: E741  # the legend's name
    seed: int
    integers: bool = False
    reverse: bool = False
    lengths: bool = False
    restarts: bool = False
    masked: bool = False
    zoneout: str = ""
    layout: str = "contiguous"
    state: str = "given"
    return_cell_states: bool = False
    reached: tuple[str, ...] = ("hidden", "last")
    wanted: tuple[str, ...] = ("weights", "x", "state", "initial")

    @property
    def H(self) -> int:  # the legend's name
        return self.cell.width


@st.composite
def calls(draw: st.DrawFn, cell: Cell | None = None, largest: int = 40, longest: int = 23) -> Call:
    """Small and odd sizes, and every option that a layer has."""
    cell = draw(st.sampled_from(CELLS)) if cell is None else cell
    width = draw(st.one_of(st.integers(1, 9), st.integers(1, largest)))
    lstm = isinstance(cell, LSTM)
    cells = lstm and draw(st.booleans())
    outputs = ["hidden", "last", *(["cells"] if cells else [])]
    return Call(
        cell=replace(cell, hidden_size=width, bias=draw(st.booleans())),
        T=draw(st.one_of(st.integers(1, min(5, longest)), st.integers(1, longest))),
        B=draw(st.one_of(st.integers(1, 5), st.integers(1, largest))),
        I=draw(st.one_of(st.integers(1, 5), st.integers(1, largest))),
        seed=draw(st.integers(0, 2**20)),
        integers=draw(st.booleans()),
        reverse=draw(st.booleans()),
        lengths=draw(st.booleans()),
        restarts=draw(st.booleans()),
        masked=draw(st.booleans()),
        zoneout=draw(st.sampled_from(["", "", "masks", "rate"])),
        layout=draw(st.sampled_from(["contiguous", "batch first", "every second", "spread"])),
        state=draw(st.sampled_from(["given", "expanded", "zeros"])),
        return_cell_states=cells,
        reached=tuple(draw(st.lists(st.sampled_from(outputs), min_size=1, unique=True))),
        wanted=tuple(draw(st.lists(st.sampled_from(["weights", "x", "state", "initial"]), min_size=1, unique=True))),
    )


@dataclass
class Tensors:
    """A call's numbers. `leaves` have gradients, by name."""

    layer_call: LayerCall
    leaves: dict[str, Tensor] = field(default_factory=dict)


def tensors(call: Call, dtype: torch.dtype, neighbour: int = 0) -> Tensors:
    """The call with its numbers; in every dtype the same ones, which float32 holds exactly.

    A `neighbour` from 1 on is a call whose numbers differ from these by up to one part in 4096.
    """
    generator = torch.Generator().manual_seed(call.seed)
    leaves: dict[str, Tensor] = {}

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return _nearby(torch.randn(shape, generator=generator) * scale, neighbour).to(dtype)

    def leaf(group: str, name: str, tensor: Tensor) -> Tensor:
        if group in call.wanted:
            leaves[name] = tensor.requires_grad_()
        return tensor

    T, B, I, H = call.T, call.B, call.I, call.H  # noqa: E741
    weights = {
        name: leaf("weights", name, normal(*shape, scale=shape[-1] ** -0.5 if len(shape) > 1 else 0.5))
        for name, shape in call.cell.weight_shapes(I).items()
    }

    def state(group: str) -> State:
        parts: list[Tensor] = []
        for name in call.cell.states:
            if call.state == "zeros":
                parts.append(torch.zeros(B, H, dtype=dtype))
            elif call.state == "expanded":
                parts.append(leaf(group, f"{group}.{name}", normal(H)).expand(B, H))
            else:
                parts.append(leaf(group, f"{group}.{name}", normal(H, B)).t())
        return State(*parts)

    if call.integers:
        x = torch.randint(I, (T, B), generator=generator)
    else:
        x = _laid_out(call.layout, lambda *shape: leaf("x", "x", normal(*shape)), T, B, I)
    zoneout = None
    if call.zoneout == "masks":
        zoneout = State(*((torch.rand(T, B, H, generator=generator) < 0.3).to(dtype) for _ in call.cell.states))
    elif call.zoneout == "rate":
        zoneout = State(*(torch.tensor(0.25, dtype=dtype).expand(T, B, H) for _ in call.cell.states))
    layer_call = LayerCall(
        cell=call.cell,
        weights=weights,
        x=x,
        state=state("state"),
        initial=state("initial"),
        reverse=call.reverse,
        lengths=torch.randint(T + 1, (B,), generator=generator) if call.lengths else None,
        restarts=torch.rand(T, B, generator=generator) < 0.3 if call.restarts else None,
        recurrent_mask=(torch.rand(B, H, generator=generator) < 0.7).to(dtype) / 0.5 if call.masked else None,
        zoneout=zoneout,
        return_cell_states=call.return_cell_states,
    )
    return Tensors(layer_call, leaves)


def _nearby(values: Tensor, neighbour: int) -> Tensor:
    if neighbour == 0:
        return values
    generator = torch.Generator().manual_seed(neighbour)
    return values * (1 + (torch.rand(values.shape, generator=generator) * 2 - 1) / 4096)


def _laid_out(layout: str, leaf: object, T: int, B: int, I: int) -> Tensor:  # noqa: E741
    assert callable(leaf)
    if layout == "batch first":
        return leaf(B, T, I).transpose(0, 1)
    if layout == "every second":
        return leaf(T, 2 * B, 3 * I)[:, ::2, 1::3]
    if layout == "spread":
        return leaf(T, 1, I).expand(T, B, I)
    return leaf(T, B, I)


def outcome(
    call: Call, dtype: torch.dtype, kernel: str, neighbour: int = 0, change: Callable[[LayerCall], None] | None = None
) -> Outcome:
    """Every output, and the gradient of every leaf, by name; asserts that the native kernel ran where it should.

    `change` alters the call's numbers in place before it is run.
    """
    given = tensors(call, dtype, neighbour)
    if change is not None:
        with torch.no_grad():
            change(given.layer_call)
    before = CALLS.copy()
    with kernels.force(kernel):
        result = kernels.choose(given.layer_call.spec()).kernel.run(given.layer_call)
    outputs = {"hidden": result.hidden, "last.h": result.state.h}
    if "c" in result.state.parts:
        outputs["last.c"] = result.state.c
    if result.cell_states is not None:
        outputs["cells"] = result.cell_states
    generator = torch.Generator().manual_seed(call.seed + 1)
    arriving = {
        name: _nearby(torch.randn(part.shape, generator=generator), neighbour).to(dtype)
        for name, part in outputs.items()
    }
    reached = [name for name in outputs if name.split(".")[0] in call.reached and outputs[name].requires_grad]
    found = {name: part.detach() for name, part in outputs.items()}
    if reached and given.leaves:
        gradients = torch.autograd.grad(
            [outputs[name] for name in reached],
            list(given.leaves.values()),
            [arriving[name] for name in reached],
            allow_unused=True,
            materialize_grads=True,
        )
        found |= {f"d {name}": gradient for name, gradient in zip(given.leaves, gradients, strict=True)}
    ran = CALLS - before
    assert ran["forward"] == (kernel == "native")
    assert ran["backward"] == (kernel == "native" and bool(reached) and bool(given.leaves))
    return found


def errors(found: Outcome, truth: Outcome, scale: Outcome | None = None) -> dict[str, float]:
    """Norm of the difference over the norm of the truth (or of `scale`), by name."""
    assert found.keys() == truth.keys()
    result: dict[str, float] = {}
    for name, exact in truth.items():
        assert found[name].shape == exact.shape, name
        distance = float((found[name].double() - exact).norm())
        norm = float((exact if scale is None else scale[name]).norm())
        result[name] = distance / norm if norm > 0 else distance
    return result
