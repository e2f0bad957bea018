"""Typed text becomes the very symbols that Python makes of it."""

import json
from typing import Any

import pytest

from deeprnn.explorer.page import web_file
from deeprnn.explorer.texts import describe_vocabulary
from deeprnn.tasks.text import Bytes, Characters, Vocabulary

pytestmark = pytest.mark.slow

TEXTS = ["", "cab\n\tx  Z", "naïve – 漢字 😀!", "\x00\x7f"]


@pytest.mark.parametrize("vocabulary", [Characters("abc\n x漢😀"), Bytes()], ids=["characters", "bytes"])
def test_encode_and_decode(browser: Any, vocabulary: Vocabulary) -> None:
    page = browser.new_page()
    described = json.dumps({"net": {"vocabulary": describe_vocabulary(vocabulary)}})
    page.set_content(f"<script>const Content = {described};\n{web_file('symbols.js')}</script>")
    for text in TEXTS:
        symbols = page.evaluate("text => Symbols.encode(text)", text)
        assert symbols == vocabulary.encode(text).tolist()
        assert page.evaluate("symbols => Symbols.decode(symbols)", symbols) == vocabulary.decode(symbols)
        assert all(page.evaluate("symbols => symbols.map(Symbols.glyph)", symbols)) or not symbols
    page.close()
