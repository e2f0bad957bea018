"""Samples: greedy where cold, the net's own distribution where not."""

import pytest
import torch
from small import net, vocabulary

from deeprnn import GRU, DeepRNN
from deeprnn.tasks.text import BOUNDARY, Bytes, sample


def greedy(prompt: str, length: int) -> str:
    """The likeliest character again and again, the whole text read anew each time."""
    network, symbols = net().eval(), vocabulary()
    read = [BOUNDARY, *symbols.encode(prompt).tolist()]
    for _ in range(length):
        with torch.no_grad():
            logits = network(torch.tensor(read)).output[-1]
        logits[:2] = -torch.inf
        read.append(int(logits.argmax()))
    return symbols.decode(read[1 + len(prompt) :])


@pytest.mark.parametrize("prompt", ["", "t", "to be or"])
@pytest.mark.parametrize("temperature", [0.0, 1e-6])
def test_cold_it_takes_the_likeliest(prompt: str, temperature: float) -> None:
    assert sample(net(), vocabulary(), prompt, length=30, temperature=temperature, seed=3) == greedy(prompt, 30)


def test_the_same_seed_gives_the_same_text_and_another_another() -> None:
    one, same, other = (sample(net(), vocabulary(), "to", length=60, seed=seed) for seed in (1, 1, 2))
    assert one == same != other
    assert len(one) == 60


def test_characters_are_drawn_as_often_as_the_network_expects() -> None:
    network, symbols = net().eval(), vocabulary()
    with torch.no_grad():
        logits = network(torch.tensor([BOUNDARY])).output[0].double()
    logits[:2] = -torch.inf
    expected = torch.softmax(logits / 0.7, dim=0)
    draws = 2000
    drawn = [sample(network, symbols, length=1, temperature=0.7, seed=seed) for seed in range(draws)]
    counts = torch.bincount(torch.tensor([int(symbols.encode(c)[0]) for c in drawn]), minlength=len(symbols))
    assert counts[:2].sum() == 0
    deviation = (counts / draws - expected).abs()
    assert (deviation <= 5 * (expected * (1 - expected) / draws).sqrt() + 1e-12).all()


def test_neither_a_boundary_nor_the_unknown_is_ever_written() -> None:
    network, symbols = net(), vocabulary()
    with torch.no_grad():
        network.output.bias[:2] = 50.0
    text = sample(network, symbols, length=50, seed=0)
    assert len(text) == 50
    assert "\N{REPLACEMENT CHARACTER}" not in text


def test_bytes_are_written_as_text() -> None:
    torch.manual_seed(0)
    network = DeepRNN(257, [GRU(4)], 257)
    with torch.no_grad():
        network.output.bias[1 + ord("a")] = 50.0
    assert sample(network, Bytes(), "é", length=5, seed=0) == "aaaaa"


def test_nothing_is_drawn_from_impossible_arguments() -> None:
    assert sample(net(), vocabulary(), length=0) == ""
    for arguments in ({"length": -1}, {"temperature": -0.1}, {"temperature": float("nan")}):
        with pytest.raises(ValueError, match="0 or more"):
            sample(net(), vocabulary(), **arguments)
