"""The state between calls: its parts, its rows, its place among torch's pytrees."""

from pathlib import Path

import torch
from torch.utils import _pytree as pytree

from deeprnn import GRU, LSTM, DeepRNN, DeepState, State


def state() -> DeepState:
    return DeepRNN(3, [GRU(2), LSTM(4, direction="both")]).initial_state(5).map(torch.rand_like)


def test_parts() -> None:
    first, second = state()
    assert (list(first.parts), first.reverse) == (["h"], None)
    assert second.reverse is not None
    assert second.reverse.c.shape == (5, 4)


def test_pytree_round_trip_leaves_out_what_is_absent() -> None:
    before = state()
    leaves, spec = pytree.tree_flatten(before)
    assert len(leaves) == 5
    assert all(isinstance(leaf, torch.Tensor) for leaf in leaves)
    after = pytree.tree_unflatten(leaves, spec)
    assert isinstance(after, DeepState)
    assert after[1].reverse.c is before[1].reverse.c
    doubled = pytree.tree_map(lambda leaf: leaf * 2, before)
    torch.testing.assert_close(doubled[0].h, before[0].h * 2)


def test_detach_cuts_the_graph() -> None:
    net = DeepRNN(3, [LSTM(4)])
    carried = net(torch.randn(2, 1, 3)).state
    assert carried[0].h.requires_grad
    assert not any(leaf.requires_grad for leaf in pytree.tree_leaves(carried.detach()))


def test_rows_and_casts() -> None:
    whole = state()
    torch.testing.assert_close(whole.rows(torch.tensor([3, 0]))[1].c, whole[1].c[[3, 0]])
    assert whole.rows(slice(1, 3))[0].h.shape == (2, 2)
    assert whole.to(torch.float64)[1].reverse.h.dtype == torch.float64


def test_a_list_of_states_does_as_well() -> None:
    net = DeepRNN(3, [GRU(2), GRU(2)])
    x, given = torch.randn(4, 5, 3), [State(torch.rand(5, 2)), State(torch.rand(5, 2))]
    torch.testing.assert_close(net(x, given).hidden[1], net(x, DeepState(tuple(given))).hidden[1])


def test_pytree_paths_name_the_parts() -> None:
    paths = [pytree.keystr(path) for path, _ in pytree.tree_leaves_with_path(state())]
    assert paths == ["[0].h", "[1].h", "[1].c", "[1].reverse.h", "[1].reverse.c"]


def test_a_state_goes_through_torch_save(tmp_path: Path) -> None:
    before = state()
    torch.save(before, tmp_path / "state.pt")
    after = torch.load(tmp_path / "state.pt", weights_only=True)
    for p, q in zip(pytree.tree_leaves(before), pytree.tree_leaves(after), strict=True):
        assert torch.equal(p, q)


def test_the_form_of_a_state_goes_through_text() -> None:
    _, spec = pytree.tree_flatten(state())
    assert pytree.treespec_loads(pytree.treespec_dumps(spec)) == spec
