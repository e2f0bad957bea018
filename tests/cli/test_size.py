"""A network that can't be held is refused with its size; one that can be is not."""

import time

import pytest

from deeprnn import DeepRNN
from deeprnn.cli.deadline import Deadline
from deeprnn.cli.size import check_drawn, check_trained, memory, weights
from deeprnn.notation import parse_layers
from deeprnn.tasks.text import EvaluationSpeed


@pytest.mark.parametrize(
    "layers", ["gru:7", "2x lstm:5 elman:6:relu", "gru:4:reset_after elman:3:direction=both", "gru:5"]
)
@pytest.mark.parametrize("joined", [{}, {"input_to_all": True}, {"output_from_all": True}])
def test_the_weights_of_a_network_are_counted_before_it_is_built(layers: str, joined: dict[str, bool]) -> None:
    cells = parse_layers(layers)
    net = DeepRNN(11, cells, 13, **joined, device="meta")
    count = sum(weight.numel() for weight in net.parameters())
    assert weights(cells, 11, 13, **joined) == count - 13  # the output's bias


def test_what_can_not_be_held_is_refused_with_its_size() -> None:
    check_drawn(10**12)
    with pytest.raises(ValueError, match=r"3e\+22 weights, 1\.2e\+14 GB"):
        check_drawn(3 * 10**22)
    cells = parse_layers("gru:8")
    check_trained(1000, cells, 100, batch=32, bptt=64, width=4)
    gigabytes = rf"this machine has {memory() / 1e9:,.1f} GB"
    with pytest.raises(ValueError, match=rf"{gigabytes}.\n  Fewer units or layers need less: --layers"):
        check_trained(10**15, cells, 100, batch=32, bptt=64, width=4)
    with pytest.raises(ValueError, match=rf"{gigabytes}.\n  A smaller --batch or --bptt"):
        check_trained(1000, cells, 100, batch=10**9, bptt=10**6, width=4)


@pytest.mark.parametrize("layers", ["gru:²", "gru:٣", "²x gru:3", "gru:" + "9" * 16, "gru:" + "9" * 5000, "gru:000"])
def test_a_width_is_a_number_that_can_be_one(layers: str) -> None:
    with pytest.raises(ValueError, match="is not understood"):
        parse_layers(layers)


def test_a_deadline_is_kept_by_evaluating_less() -> None:
    speed = EvaluationSpeed(step=0.0, row=1e-3)
    lengths = [10_000_000]

    def allowed(seconds: float, characters: int = 1_000_000) -> int:
        return Deadline(time.monotonic(), 3.0 + seconds, speed, lengths).at_most(characters)

    assert allowed(10_000) == 1_000_000
    assert 100_000 < allowed(300) < 300_000
    assert allowed(-5) == 10_000
    assert allowed(-5, 500) == 500
