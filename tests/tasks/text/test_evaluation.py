"""Evaluation against the plainest computation of the same: one document at a time, in one pass."""

import itertools
import math
import sys

import pytest
import torch
from small import corpus, net, vocabulary

from deeprnn import GRU, DeepRNN
from deeprnn.tasks.text import BOUNDARY, Bytes, Document, EvaluationSpeed, TextError, Vocabulary, evaluate


def plain_nats(network: DeepRNN, document: Document, symbols: Vocabulary) -> float:
    """-ln p of a document, all of it in one call."""
    read = symbols.read(document).tolist()
    inputs = torch.tensor([BOUNDARY, *read[:-1]])
    with torch.no_grad():
        logits = network.eval()(inputs).output.double()
    return -float(torch.log_softmax(logits, dim=-1)[torch.arange(len(read)), read].sum())


@pytest.mark.parametrize("chunk", [1, 3, 7, 64, 32_768])
@pytest.mark.parametrize("rows", [1, 2, 512])
def test_equals_one_pass_over_each_document(chunk: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["deeprnn.tasks.text.evaluation"]
    monkeypatch.setattr(module, "_CHUNK", chunk)
    monkeypatch.setattr(module, "_ROWS", rows)
    network, symbols, documents = net().double(), vocabulary(), corpus().held_out
    evaluation = evaluate(network, documents, symbols)
    nats = sum(plain_nats(network, document, symbols) for document in documents)
    assert evaluation.characters == 9 + 16 + 1 + 40
    # The output is compared in float32, as a trained network's.
    assert evaluation.nats_per_character * evaluation.characters == pytest.approx(nats, rel=1e-6)
    assert evaluation.bits_per_character == pytest.approx(evaluation.nats_per_character / math.log(2), rel=1e-12)
    assert evaluation.unknown_share == 42 / 66  # é, ? and 40 x
    assert evaluation.documents == 4


@pytest.mark.parametrize("chunk", [1, 5, 32_768])
@pytest.mark.parametrize("piece", [1, 4, 7, 39, 40])
@pytest.mark.parametrize("context", [0, 1, 3, 8, 100])
def test_a_long_document_is_read_in_pieces_each_with_its_context(
    piece: int, context: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["deeprnn.tasks.text.evaluation"]
    for name, value in (("PIECE", piece), ("CONTEXT", context), ("_CHUNK", chunk), ("_ROWS", 3)):
        monkeypatch.setattr(module, name, value)
    network, symbols, documents = net().double().eval(), vocabulary(), corpus().held_out
    nats = 0.0
    for document in documents:
        read = symbols.read(document).tolist()
        for place, symbol in enumerate(read):
            start = max(place // piece * piece - context, 0)  # where the piece's reading begins
            inputs = [read[start - 1] if start else BOUNDARY, *read[start:place]]
            with torch.no_grad():
                nats -= float(torch.log_softmax(network(torch.tensor(inputs)).output[-1], dim=-1)[symbol])
    evaluation = evaluate(network, documents, symbols)
    assert evaluation.characters == 66
    assert evaluation.nats_per_character * 66 == pytest.approx(nats, rel=1e-6)
    assert (evaluation.documents, evaluation.not_read, evaluation.unknown_share) == (4, 0, 42 / 66)


@pytest.mark.parametrize("at_most", [1, 100, 999, 1000, 5000])
def test_at_most_so_many_characters_are_read_from_all_over_the_text(
    at_most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["deeprnn.tasks.text.evaluation"]
    monkeypatch.setattr(module, "PIECE", 10)
    monkeypatch.setattr(module, "CONTEXT", 4)
    asked: list[int] = []
    monkeypatch.setattr(
        module,
        "_read_side_by_side",
        lambda _, __, pieces: [(1.0, asked.append(p.counted) or p.end - p.counted) for p in pieces],
    )
    evaluation = evaluate(net(), [Document("d", b"x" * 1000)], vocabulary(), at_most=at_most)
    assert evaluation.characters == min(max(at_most // 10 * 10, 10), 1000)
    assert evaluation.characters + evaluation.not_read == 1000
    assert evaluation.unknown_share == 1
    places = sorted(asked)
    assert len(set(places)) == len(places)
    gaps = [after - before for before, after in itertools.pairwise(places)]
    assert not gaps or max(gaps) - min(gaps) <= 10
    assert abs(sum(places) / len(places) - 495) <= 10


def test_the_network_is_read_without_noise_and_left_in_its_mode() -> None:
    network = net().train()
    first, second = (evaluate(network, corpus().held_out, vocabulary()).nats_per_character for _ in range(2))
    assert first == second
    assert network.training


def test_of_bytes_a_character_is_counted_once() -> None:
    torch.manual_seed(0)
    network = DeepRNN(257, [GRU(5)], 257)
    document = Document("d", "naïve €".encode())
    evaluation = evaluate(network, [document], Bytes())
    assert evaluation.characters == 7
    assert evaluation.nats_per_character * 7 == pytest.approx(plain_nats(network, document, Bytes()), rel=1e-5)
    assert evaluation.unknown_share == 0


def test_bytes_without_a_character_are_no_text() -> None:
    with pytest.raises(TextError, match="the input contains no valid UTF-8"):
        evaluate(DeepRNN(257, [GRU(5)], 257), [Document("d", b"\x80\xbf")], Bytes())


def test_empty_documents_count_for_nothing_and_nothing_at_all_is_an_error() -> None:
    network, symbols = net(), vocabulary()
    some = evaluate(network, [Document("a", b"to be"), Document("b", b"")], symbols)
    assert some.documents == 1
    with pytest.raises(TextError, match="no text to evaluate on"):
        evaluate(network, [Document("b", b"")], symbols)


def test_progress_ends_at_the_whole() -> None:
    told: list[tuple[int, int]] = []
    evaluate(net(), corpus().held_out, vocabulary(), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (66, 66)


def test_a_longer_text_is_estimated_to_take_longer() -> None:
    network = net().train()
    speed = EvaluationSpeed.measure(network)
    assert network.training
    assert speed.step + speed.row > 0
    speed = EvaluationSpeed(step=0.001, row=0.0001)
    assert speed.seconds([]) == 0
    assert speed.seconds([10]) == pytest.approx(10 * 0.0011)
    assert speed.seconds([10, 10, 5]) == pytest.approx(10 * 0.001 + 25 * 0.0001)
    whole = speed.seconds([1_000_000])
    assert whole == pytest.approx(4608 * 0.001 + (1_000_000 + 244 * 512) * 0.0001)
    assert speed.seconds([1_000_000], at_most=100_000) < whole / 5
