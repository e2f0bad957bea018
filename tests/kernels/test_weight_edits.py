"""An inference call uses the weights as they are, however they were changed since the call before."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from deeprnn import GRU, LSTM, Cell, DeepRNN, Elman, kernels
from deeprnn.kernels.native import extension, packed
from deeprnn.kernels.native.fields import Sizes

Edit = Callable[[Tensor, torch.Generator], None]


def some(weight: Tensor, random: torch.Generator, count: int = 1) -> Tensor:
    """Places in the flattened weight, each once."""
    return torch.randperm(weight.numel(), generator=random)[:count]


def one_value(weight: Tensor, random: torch.Generator) -> None:
    weight.data.view(-1)[some(weight, random)] += 0.5


def last_bit(weight: Tensor, random: torch.Generator) -> None:
    weight.detach().numpy().view("int32").reshape(-1)[int(some(weight, random))] ^= 1


def two_signs(weight: Tensor, random: torch.Generator) -> None:
    weight.data.view(-1)[some(weight, random, 2)] *= -1


def every_sign(weight: Tensor, _random: torch.Generator) -> None:
    weight.data.neg_()


def two_swapped(weight: Tensor, random: torch.Generator) -> None:
    values, places = weight.data.view(-1), some(weight, random, 2)
    values[places] = values[places.flip(0)].clone()


def rows_rolled(weight: Tensor, _random: torch.Generator) -> None:
    weight.data.copy_(weight.data.roll(1, 0))


def a_column(weight: Tensor, random: torch.Generator) -> None:
    matrix = weight.data.view(weight.shape[0], -1)
    matrix[:, int(torch.randint(matrix.shape[1], (), generator=random))] = 0.25


def all_but_a_column(weight: Tensor, _random: torch.Generator) -> None:
    weight.data.view(weight.shape[0], -1)[:, 1:] = 0
    weight.data.view(-1)[0] += 1


def through_numpy(weight: Tensor, random: torch.Generator) -> None:
    weight.detach().numpy().reshape(-1)[some(weight, random, 3).numpy()] -= 0.5


def through_shared_storage(weight: Tensor, random: torch.Generator) -> None:
    other = torch.empty(0).set_(weight.untyped_storage())
    other[some(other, random)] += 0.5


EDITS: dict[str, Edit] = {edit.__name__: edit for edit in (
    one_value, last_bit, two_signs, every_sign, two_swapped, rows_rolled, a_column, all_but_a_column, through_numpy,
    through_shared_storage,
)}  # fmt: skip
CELLS = [Elman(1), GRU(1), GRU(1, reset_after=False), LSTM(1)]


def of_width(cell: Cell, width: int) -> Cell:
    return GRU(width, cell.reset_after) if isinstance(cell, GRU) else type(cell)(width)  # type: ignore[call-arg]


@pytest.mark.usefixtures("isa")
@given(
    cell=st.sampled_from(CELLS),
    width=st.sampled_from([1, 7, 33, 128, 190]),
    name=st.sampled_from(["weight_xh", "weight_hh", "bias", "bias_hn"]),
    edit=st.sampled_from(sorted(EDITS)),
    seed=st.integers(0, 2**20),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_edit_is_seen(cell: Cell, width: int, name: str, edit: str, seed: int) -> None:
    """A call after the edit is, bit for bit, the call of a net that has had these weights from the start."""
    torch.manual_seed(seed)
    net, x = DeepRNN(11, [of_width(cell, width)]), torch.randn(5, 2, 11)
    layer = net.recurrent_layers[0]
    with torch.no_grad():
        net(x)
        weight = getattr(layer, name, None)
        weight = layer.weight_hh if weight is None else weight
        before = weight.detach().clone()
        EDITS[edit](weight, torch.Generator().manual_seed(seed))
        found = net(x).hidden[0]
        packed.forget_packed()
        assert torch.equal(found, net(x).hidden[0])
        if not torch.equal(before, weight):
            assert checksum_of(before) != checksum_of(weight)


def checksum_of(weight: Tensor) -> int:
    """The checksum of a call whose only weight that matters is this one."""
    rows, columns = weight.shape[0], weight.numel() // weight.shape[0]
    absent = dict.fromkeys(Sizes._fields, 0)
    sizes = Sizes(**absent | {"T": 1, "B": 1, "I": columns, "H": rows})
    zeros, names = torch.zeros(rows, rows), extension.native().fields()["inputs"]
    inputs = dict.fromkeys(names, 0) | {"weight_xh": weight.data_ptr(), "weight_hh": zeros.data_ptr()}
    return extension.native().checksum(extension.isa(), sizes, tuple(inputs.values()))


@pytest.mark.usefixtures("isa", "threads")
@pytest.mark.parametrize("width", [64, 650])
def test_threads_leave_the_checksum_alone(width: int) -> None:
    """Else a program that changes its threads would pack its weights anew each time."""
    weight, found = torch.randn(width, width), set()
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        found.add(checksum_of(weight))
    assert len(found) == 1


def test_a_changed_net_reads_as_the_reference_does() -> None:
    """The same by another truth: lesions of single units through .data, as studies of networks do them."""
    torch.manual_seed(0)
    net, x = DeepRNN(20, [LSTM(128), LSTM(128)]).eval(), torch.randint(20, (8, 2))
    for unit in range(1, 128, 9):
        layer = net.recurrent_layers[unit % 2]
        kept = layer.weight_hh.data[:, unit].clone()
        layer.weight_hh.data[:, unit] = 0
        with torch.no_grad():
            found = net(x).hidden[1]
            with kernels.force("reference"):
                torch.testing.assert_close(found, net(x).hidden[1], rtol=1e-4, atol=1e-5)
        layer.weight_hh.data[:, unit] = kept


def test_weights_are_swapped_after_a_call() -> None:
    """torch refuses to swap a tensor that anybody holds a weak reference to."""
    torch.manual_seed(0)
    net, other, x = DeepRNN(5, [GRU(7)]), DeepRNN(5, [GRU(7)]), torch.randn(4, 3, 5)
    with torch.no_grad():
        right = other(x).hidden[0]
        net(x)
        for mine, theirs in zip(net.parameters(), other.parameters(), strict=True):
            torch.utils.swap_tensors(mine, theirs)
        assert torch.equal(net(x).hidden[0], right)
