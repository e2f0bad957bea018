"""A state in each form that people hold one in: taken as `result.state` is, or refused with the form that fits."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from compare import randomise
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from deeprnn import GRU, LSTM, Cell, DeepRNN, DeepState, Elman, State
from deeprnn.analysis import as_deep, record

T, B, F, H = 5, 3, 4, 6

STACKS: dict[str, list[Cell]] = {
    "elman": [Elman(H)],
    "lstm": [LSTM(H)],
    "gru-both": [GRU(H, direction="both")],
    "lstm-both": [LSTM(H, direction="both")],
    "gru-gru": [GRU(H), GRU(H)],
    "lstm-lstm": [LSTM(H), LSTM(H)],
    "lstm-both-reverse": [LSTM(H, direction="both"), LSTM(H, direction="reverse")],
    "elman-gru-both": [Elman(H, "relu"), GRU(H, direction="both"), GRU(H)],
}
MIXED: list[Cell] = [GRU(H, learn_initial=True), LSTM(H + 1), Elman(2)]


def same(got: Tensor, right: Tensor, name: str = "") -> None:
    """But for the last bits of torch's own products, which differ with where their operands lie."""
    torch.testing.assert_close(got, right, rtol=0, atol=1e-6, msg=lambda text: f"{name}: {text}")


def build(cells: list[Cell]) -> DeepRNN:
    return randomise(DeepRNN(F, cells, 2))


def drawn(net: DeepRNN, unbatched: bool) -> DeepState:
    generator = torch.Generator().manual_seed(3)
    state = net.initial_state(None if unbatched else B)
    return state.map(lambda part: torch.randn(part.shape, generator=generator))


def parts(layer: State) -> list[Tensor]:
    return [*layer.parts.values()]


def stacked(layers: list[State], name: str) -> Tensor:
    """torch.nn's layout: layer by layer, its forward and then its second direction."""
    return torch.stack([getattr(one, name) for layer in layers for one in (layer, layer.reverse) if one is not None])


def forms(state: DeepState) -> dict[str, Any]:
    """Every form that says the same."""
    layers = list(state)
    has_c = "c" in layers[0].parts
    torch_form = (stacked(layers, "h"), stacked(layers, "c")) if has_c else stacked(layers, "h")
    each = [(stacked([x], "h"), stacked([x], "c")) if has_c else stacked([x], "h") for x in layers]
    every = {"list": layers, "tuple": tuple(layers), "torch": torch_form, "torch a layer": each}
    if has_c:
        every["torch as a list"] = list(torch_form)
    if len(layers) == 1:
        every["State"] = layers[0]
    if all(layer.reverse is None for layer in layers):
        every["parts"] = [tuple(parts(layer)) for layer in layers]
        if not has_c:
            every["h a layer"] = [layer.h for layer in layers]
        if len(layers) == 1:
            every["its parts"] = tuple(parts(layers[0])) if has_c else layers[0].h
    return every


@pytest.mark.parametrize("unbatched", [False, True], ids=["batched", "unbatched"])
@pytest.mark.parametrize("stack", STACKS)
def test_forms_of_one_state_are_one_state(stack: str, unbatched: bool) -> None:
    net, generator = build(STACKS[stack]), torch.Generator().manual_seed(4)
    x = torch.randn((T, F) if unbatched else (T, B, F), generator=generator)
    state = drawn(net, unbatched)
    right = net(x, state)
    assert not torch.equal(right.output, net(x).output)
    for name, form in forms(state).items():
        got = net(x, form)
        same(got.output, right.output, name)
        for p, q in zip(pytree.tree_leaves(got.state), pytree.tree_leaves(right.state), strict=True):
            same(p, q, name)
        recorded = record(net, x, "layers.0.hidden", form)["layers.0.hidden"]
        same(recorded, record(net, x, "layers.0.hidden", state)["layers.0.hidden"], name)


@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("unbatched", [False, True], ids=["batched", "unbatched"])
def test_a_state_of_torchs_module_is_taken_as_it_is(kind: Any, both: bool, unbatched: bool) -> None:
    module = kind(F, H, num_layers=2, bidirectional=both).double()
    x = torch.randn((T, F) if unbatched else (T, B, F), dtype=torch.float64)
    _, carried = module(x)
    output, _ = module(x, carried)
    torch.testing.assert_close(as_deep(module)(x, carried).hidden[-1], output, rtol=0, atol=1e-12)


def test_none_is_the_layers_own_initial_state() -> None:
    net, x = build(MIXED), torch.randn(T, B, F)
    state, own = drawn(net, False), net.initial_state(B)
    for without in ([0], [1], [2], [0, 2], [0, 1, 2]):
        form = [None if index in without else layer for index, layer in enumerate(state)]
        full = [own[index] if index in without else layer for index, layer in enumerate(state)]
        same(net(x, form).output, net(x, full).output)
        same(net(x, DeepState(tuple(form))).output, net(x, full).output)  # type: ignore[arg-type]


def test_gradients_reach_the_tensors_of_a_form() -> None:
    net, x = build([LSTM(H), LSTM(H)]), torch.randn(T, B, F)
    h, c = torch.randn(2, B, H, requires_grad=True), torch.randn(2, B, H, requires_grad=True)
    gradients = torch.autograd.grad(net(x, (h, c)).output.square().sum(), (h, c))
    leaves = [part.detach().clone().requires_grad_() for part in (*h, *c)]
    state = [State(leaves[0], leaves[2]), State(leaves[1], leaves[3])]
    right = torch.autograd.grad(net(x, state).output.square().sum(), leaves)
    torch.testing.assert_close(torch.cat(gradients), torch.stack(right))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("part", ["h", "c", "reverse.h", "reverse.c"])
@pytest.mark.parametrize("training", [False, True])
def test_each_part_of_a_state_is_cast(part: str, dtype: torch.dtype, training: bool) -> None:
    net, x = build([LSTM(H, direction="both")]), torch.randn(T, B, F)
    state = drawn(net, False)[0]
    pieces = {"h": state.h, "c": state.c, "reverse.h": state.reverse.h, "reverse.c": state.reverse.c}
    pieces[part] = pieces[part].to(dtype)
    other = State(pieces["h"], pieces["c"], reverse=State(pieces["reverse.h"], pieces["reverse.c"]))
    with torch.set_grad_enabled(training):
        same(net(x, [other]).output, net(x, [other.to(torch.float32)]).output)


def numpy_of(state: DeepState) -> list[State]:
    return [layer.map(Tensor.numpy) for layer in state]


GRU_STATE, LSTM_STATE = torch.zeros(2, B, H), (torch.zeros(2, B, H), torch.zeros(2, B, H))

REFUSED: dict[str, tuple[list[Cell], Callable[[DeepRNN], Any], str]] = {
    "pair-for-gru": ([GRU(H)] * 3, lambda _: LSTM_STATE, "state has 2 layers, but this DeepRNN has 3"),
    "h-for-lstm": ([LSTM(H)] * 2, lambda _: GRU_STATE, "carries (h, c); give"),
    "h-for-mixed": (MIXED, lambda _: torch.zeros(3, B, H), "carries (h, c) or h alone; give"),
    "widths": ([GRU(H), GRU(H + 1)], lambda _: GRU_STATE, "state[1].h has shape (3, 6), expected (B, H) = (3, 7)"),
    "too-few": ([GRU(H)] * 3, lambda _: GRU_STATE, "expected torch.nn's layout: 3 states (B, H)"),
    "no-batch": ([GRU(H)] * 2, lambda _: GRU_STATE[0], "has shape (3, 6), expected torch.nn's layout"),
    "rows": ([GRU(H)], lambda net: net.initial_state(B + 1), "state[0].h has shape (4, 6), expected (B, H) = (3, 6)"),
    "no-row": ([GRU(H)], lambda net: net.initial_state(), "state[0].h has shape (6,), expected (B, H) = (3, 6)"),
    "result": ([GRU(H)] * 4, lambda net: net(torch.zeros(T, B, F)), "net(x, result.state)"),
    "output-and-state": ([GRU(H)] * 2, lambda _: (torch.zeros(T, B, H), GRU_STATE), "torch.nn's layout"),
    "one-State": ([GRU(H)] * 2, lambda net: net.initial_state(B)[0], "state is one layer's State"),
    "dictionary": ([GRU(H)], lambda _: {"h": GRU_STATE}, "state is a dict; give result.state"),
    "numpy": ([GRU(H)] * 2, lambda _: GRU_STATE.numpy(), "state is a ndarray"),
    "numpy-parts": (
        [LSTM(H)],
        lambda net: numpy_of(net.initial_state(B)),
        "state[0].h is a ndarray, expected a tensor",
    ),
    "numbers": ([GRU(H)] * 2, lambda _: [0.0, 0.0], "state[0] is a float; give result.state, or a state for each"),
    "integers": ([GRU(H)], lambda _: [State(torch.zeros(B, H, dtype=torch.long))], "state[0].h has dtype torch.int64"),
    "lengths": ([GRU(H)], lambda _: torch.tensor([5, 2, 1]), "has shape (3,), expected torch.nn's layout"),
    "complex": ([LSTM(H)], lambda net: net.initial_state(B).to(torch.complex64), "has dtype torch.complex64"),
    "sparse": ([GRU(H)], lambda _: [State(torch.zeros(B, H).to_sparse())], "state[0].h has the layout"),
    "meta": ([LSTM(H)], lambda net: net.initial_state(B).to("meta"), "state[0].h is on meta, but this DeepRNN's"),
    "meta-c": ([LSTM(H)], lambda _: [State(torch.zeros(B, H), torch.zeros(B, H, device="meta"))], "state[0].c is on m"),
    "c-for-gru": (
        [GRU(H)],
        lambda _: [State(torch.zeros(B, H), torch.zeros(B, H))],
        "state[0] holds c, h, but layer 1",
    ),
    "one-way": ([GRU(H, direction="both")], lambda _: [State(torch.zeros(B, H))], "carries h, reverse.h"),
    "string": ([GRU(H)], lambda _: "zeros", "state is a str"),
    "nothing": ([GRU(H)], lambda _: [], "state has 0 layers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_show_the_form(case: str) -> None:
    cells, make, message = REFUSED[case]
    net = build(cells)
    with torch.no_grad(), pytest.raises((ValueError, TypeError)) as caught:
        net(torch.zeros(T, B, F), make(net))
    assert message in str(caught.value), str(caught.value)
