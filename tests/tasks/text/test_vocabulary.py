"""Vocabularies: there and back, what they lack, and damaged files."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprnn.tasks.text import BOUNDARY, Bytes, Characters, Document, TextError, load_vocabulary


@given(st.text())
def test_characters_come_back_as_they_were(text: str) -> None:
    vocabulary = Characters(sorted(set(text)))
    symbols = vocabulary.encode(text)
    assert vocabulary.decode(symbols) == text
    assert vocabulary.unknown not in symbols
    assert BOUNDARY not in symbols
    assert vocabulary.count_characters(symbols) == len(symbols) == len(text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_bytes_come_back_as_they_were(text: str) -> None:
    vocabulary = Bytes()
    symbols = vocabulary.encode(text)
    assert vocabulary.decode(symbols) == text
    assert len(symbols) == len(text.encode())
    assert vocabulary.count_characters(symbols) == len(text)
    assert all(0 < symbol < len(vocabulary) for symbol in symbols)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.integers(4, 9))
def test_a_document_read_piece_by_piece_is_read_as_a_whole(text: str, piece: int) -> None:
    document = Document("d", text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deeprnn.tasks.text.vocabulary._PIECE", piece)
        vocabulary = Characters.of([document])
        assert vocabulary.characters == "".join(sorted(set(text)))
        assert vocabulary.decode(vocabulary.read(document)) == text
        assert vocabulary.read(document).tolist() == vocabulary.encode(text).tolist()


@given(st.binary(), st.integers(4, 9))
def test_the_place_of_the_first_wrong_byte_is_told(content: bytes, piece: int) -> None:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("deeprnn.tasks.text.vocabulary._PIECE", piece)
            with pytest.raises(TextError, match=f"byte {error.start} is"):
                Characters("abc").read(Document("d", content))


def test_symbols_take_as_few_bytes_as_their_number_allows() -> None:
    few, many = Characters(map(chr, range(254))), Characters(map(chr, range(255)))
    assert (few.encode("ab").dtype, many.encode("ab").dtype) == (np.uint8, np.uint16)
    assert few.encode(chr(253)).tolist() == [255]
    assert many.encode(chr(254)).tolist() == [256]


def test_a_text_of_another_encoding_is_told_how_to_convert() -> None:
    with pytest.raises(TextError, match="iconv -f utf-16"):
        Characters("abc").read(Document("d", "text".encode("utf-16")))


def test_an_unseen_character_is_the_unknown_symbol() -> None:
    vocabulary = Characters("abc")
    assert vocabulary.encode("aXc").tolist() == [2, vocabulary.unknown, 4]
    assert len(vocabulary) == 5


def test_characters_rarer_than_one_in_a_million_are_left_out() -> None:
    common = "a" * 1_500_000
    assert Characters.of([Document("d", (common + "é").encode())]).characters == "a"
    assert Characters.of([Document("d", (common + "éé").encode())]).characters == "aé"


def test_all_characters_of_a_short_text_are_in() -> None:
    assert Characters.of([Document("a", b"once"), Document("b", "né".encode())]).characters == "cenoé"


def test_bytes_read_what_is_no_text() -> None:
    assert Bytes().read(Document("d", b"\xff\x00")).tolist() == [256, 1]


def test_a_document_that_is_not_utf8_is_named() -> None:
    with pytest.raises(TextError, match=r"(?s)/tmp/old\.txt is not UTF-8 text: byte 3 is 0xe9.*iconv.*bytes"):
        Characters("abc").read(Document("old.txt", b"caf\xe9", "/tmp/old.txt"))


@pytest.mark.parametrize("vocabulary", [Characters('ab\n"é\U0001f600'), Bytes()], ids=["characters", "bytes"])
def test_a_saved_vocabulary_is_the_same(vocabulary, tmp_path) -> None:
    vocabulary.save(tmp_path / "vocabulary.json")
    loaded = load_vocabulary(tmp_path / "vocabulary.json")
    assert type(loaded) is type(vocabulary)
    assert len(loaded) == len(vocabulary)
    text = 'ab\n"é\U0001f600'
    np.testing.assert_array_equal(loaded.encode(text), vocabulary.encode(text))


@pytest.mark.filterwarnings("ignore:.* carries no digest")
@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        json.dumps({"format": "another", "kind": "characters", "characters": "ab"}),
        json.dumps({"format": "deeprnn vocabulary 1", "kind": "words"}),
        json.dumps({"format": "deeprnn vocabulary 1", "kind": "characters", "characters": ["a"]}),
        json.dumps({"format": "deeprnn vocabulary 1", "kind": "characters", "characters": "aa"}),
    ],
    ids=["empty", "cut", "list", "format", "kind", "no-text", "twice"],
)
def test_a_damaged_vocabulary_is_named(content: str, tmp_path) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"vocabulary\.json"):
        load_vocabulary(path)


def test_a_missing_vocabulary_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"vocabulary\.json does not exist"):
        load_vocabulary(tmp_path / "vocabulary.json")
