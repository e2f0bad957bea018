"""What an analysis reads: texts side by side, their labels, and the characters that are looked at."""

import pytest
import torch

from deeprnn import GRU, DeepRNN
from deeprnn.analysis.labels import for_python
from deeprnn.analysis.report.text_sample import LONGEST_WINDOW, sample_texts
from deeprnn.tasks.text import BOUNDARY, Bytes, Characters, Document, TextError


def _source(number: int) -> str:
    words = [f"name_{number}_{index}" for index in range(6)]
    lines = [f'"""Module {number}: numbers and lists."""', "", "import os"]
    for index, word in enumerate(words):
        lines += [
            f"def {word}(a, b={index}):",
            f"    # adds {number}",
            "    if a > b:",
            f"        return [a, (b, {index})]",
        ]
        lines += [f'    return "{word}"', "", f"class C{index}:", "    x = None", ""]
    return "\n".join(lines)


def _documents(count: int = 14) -> list[Document]:
    return [
        Document(f"m{number}.py", (_source(number) + "\n# \N{GREEK SMALL LETTER PI}\n").encode())
        for number in range(count)
    ]


@pytest.mark.parametrize("kind", [Characters, Bytes])
def test_labels_and_windows_stand_at_their_characters(kind: type[Characters] | type[Bytes]) -> None:
    documents = _documents()
    vocabulary = kind.of(documents)
    sample = sample_texts(documents, vocabulary, files=14, per_file=10_000, characters=300)
    window, names = sample.window, sample.labels.names
    assert window.shape == (300, LONGEST_WINDOW)
    texts = {document.name: document.content.decode() for document in documents}
    for row in range(0, 300, 7):
        text = texts[sample.names[sample.groups[row]]]
        place = int(sample.step[row]) - 1
        if kind is Bytes:
            place = len(text.encode()[: place + 1].decode(errors="ignore").rstrip("\N{REPLACEMENT CHARACTER}")) - 1
            if not text[place].isascii():
                continue
        said = vocabulary.decode([int(s) for s in window[row].flip(0) if s >= 0])
        assert text[: place + 1].endswith(said[-8:])
        assert len(said) == min(LONGEST_WINDOW, int(sample.step[row]))
        following = int(sample.next_symbol[row])
        assert following == -1 or vocabulary.decode([following]) in (text[place + 1], "\N{REPLACEMENT CHARACTER}")
        for name, value in zip(names, sample.labels.values[:, row].tolist(), strict=True):
            assert for_python(text)[name][place] == value


def test_states_are_those_after_each_character() -> None:
    documents = _documents()
    vocabulary = Characters.of(documents)
    sample = sample_texts(documents, vocabulary, files=14, per_file=10_000, characters=600)
    net = DeepRNN(len(vocabulary), [GRU(5), GRU(6)])
    states = sample.states(net)
    for row in (0, 250, 599):
        column = int(sample.groups[row])
        alone = net(sample.x[: int(sample.step[row]) + 1, column : column + 1])
        torch.testing.assert_close(states[1][row], alone.hidden[1][-1, 0].detach(), atol=1e-6, rtol=0)


def test_few_files_are_cut_into_pieces() -> None:
    text = " ".join(_source(number) for number in range(9)).replace('"""', "").encode()
    (document,) = [Document("book.txt", text)]
    sample = sample_texts([document], Characters.of([document]), files=64, per_file=10_000, characters=500)
    assert len(sample.names) >= 12
    assert any("cut into" in notice for notice in sample.notices)
    assert (sample.x[0] == BOUNDARY).all()
    assert len(set(sample.groups.tolist())) == len(sample.names)


def test_files_that_are_no_python_are_left_out_and_named() -> None:
    documents = [*_documents(), Document("broken.py", b"def f(:\n" * 100)]
    sample = sample_texts(documents, Characters.of(documents), files=64, per_file=1_000, characters=500)
    assert "broken.py" not in sample.names
    assert any("broken.py" in notice for notice in sample.notices)


def test_too_little_text_is_refused() -> None:
    (document,) = [Document("note.txt", b"to be or not to be" * 20)]
    with pytest.raises(TextError, match="it takes 2,400"):
        sample_texts([document], Characters.of([document]), files=64, per_file=1_000, characters=500)


def test_snippets_lie_within_texts() -> None:
    documents = _documents()
    vocabulary = Characters.of(documents)
    sample = sample_texts(documents, vocabulary, files=14, per_file=10_000, characters=600)
    texts = [document.content.decode() for document in documents]
    for column in sample.snippets(20, 40, seed=0).T:
        assert any(vocabulary.decode(column.tolist()) in text for text in texts)
    with pytest.raises(TextError, match="longer than"):
        sample.snippets(3, 100_000, seed=0)
