"""What the page computes with its own net, against the same in Python."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from viewing import read_all, show

from deeprnn import DeepRNN
from deeprnn.analysis.measurements.ripple import ripples
from deeprnn.tasks.text import BOUNDARY, TextRun, Vocabulary

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def net(run: Path) -> DeepRNN:
    return TextRun(run).load_net().eval()


@pytest.fixture(scope="module")
def vocabulary(run: Path) -> Vocabulary:
    return TextRun(run).load_vocabulary()


@pytest.fixture(scope="module")
def content(run: Path) -> dict[str, Any]:
    text = (run / "explorer.html").read_text()
    begin = text.index('<script type="application/json" id="content">') + 45
    loaded: dict[str, Any] = json.loads(text[begin : text.index("</script>", begin)])
    return loaded


@dataclass(frozen=True)
class Numbers:
    """The weights that the page holds, by name."""

    all: np.ndarray[Any, np.dtype[np.float32]]
    index: dict[str, list[int]]

    def classify(self, name: str, layer: int, states: Tensor, part: slice) -> np.ndarray[Any, np.dtype[np.float32]]:
        """(T, classes) probabilities of a linear classifier."""
        weight, bias = (self._tensor(f"{name}.{layer}.{what}") for what in ("weight", "bias"))
        logits = states.numpy() @ weight.reshape(len(bias), -1)[part].T + bias[part]
        return torch.from_numpy(logits).softmax(-1).numpy()

    def _tensor(self, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        first, count = self.index[name]
        return self.all[first : first + count]


@pytest.fixture(scope="module")
def numbers(run: Path, content: dict[str, Any]) -> Numbers:
    text = (run / "explorer.html").read_text().rpartition('id="weights">')[2].partition("</script>")[0]
    return Numbers(np.frombuffer(base64.b64decode(text), "<f4"), content["net"]["index"])


def ask(page: Any, what: str, **given: Any) -> Any:
    return page.evaluate("([what, given]) => Remote.ask(what, given)", [what, given])


def read(net: DeepRNN, symbols: list[int]) -> tuple[list[Tensor], Tensor]:
    """Hidden states (T + 1, H) of each layer and ln p (T + 1, V), the boundary read first."""
    with torch.no_grad():
        result = net(torch.tensor([BOUNDARY, *symbols]))
    assert result.output is not None
    return list(result.hidden), result.output.log_softmax(-1)


def test_typing_updates_the_guesses_and_they_are_python_s(page: Any, net: DeepRNN, vocabulary: Vocabulary) -> None:
    show(page, "live")
    for text in ("def name", "def name_1(a, b=1):\n    # ad", ""):
        page.fill("#typed", text)
        page.wait_for_function(
            "n => document.querySelector('#live-status').textContent.includes(`of ${n}.`)", arg=len(text)
        )
        expected = read(net, vocabulary.encode(text).tolist())[1][-1].exp().sort(descending=True).values[:6]
        shown = page.eval_on_selector_all("#guesses [data-source=output] .p", "all => all.map(one => one.textContent)")
        assert shown == [
            "<1 %" if p < 0.005 else ">99 %" if p > 0.995 else f"{round(100 * p)} %" for p in expected.tolist()
        ]
    page.click("#write")
    page.wait_for_function("document.querySelector('#typed').value.length === 60")


def test_strips_and_guesses_are_exact(page: Any, net: DeepRNN, vocabulary: Vocabulary) -> None:
    symbols = vocabulary.encode("class C1:\n    x = None\n").tolist()
    rows = [[3, 0, 8], [7]]
    found = ask(page, "type", symbols=symbols, end=len(symbols), columns=5, rows=rows, guessed=4)
    hidden, log_p = read(net, symbols)
    for strip, units, layer in zip(found["strips"], rows, hidden, strict=True):
        values = np.array(strip).reshape(5, len(units))
        np.testing.assert_allclose(values, layer[-5:, units].numpy(), atol=1e-4)
    best = found["guesses"][-1]
    np.testing.assert_allclose([one["p"] for one in best], log_p[-1].exp().topk(4).values.numpy(), atol=1e-4)
    assert len(found["guesses"]) == 3


def test_a_ripple_is_the_one_that_is_measured(page: Any, net: DeepRNN, content: dict[str, Any]) -> None:
    symbols, at, other = content["texts"][0]["symbols"], 30, 5
    found = ask(page, "ripple", text=0, at=at, symbol=other, steps=25)
    x = torch.tensor([BOUNDARY, *symbols])[: at + 26]
    curves = ripples(net, torch.stack([x, x.flip(0)], 1), at + 1, replacement=torch.tensor([other, int(x[0])]))
    unrelated = content["fitted"]["unrelated"]
    hidden, _ = read(net, symbols)
    changed, _ = read(net, [*symbols[:at], other, *symbols[at + 1 :]])
    for layer, curve in enumerate(found):
        apart = (hidden[layer] - changed[layer])[at + 1 : at + 26].norm(dim=-1) / unrelated[layer]
        np.testing.assert_allclose(curve, apart.numpy(), atol=1e-4)
        # Up to what they are relative to, these are the curves of deeprnn.analysis.
        np.testing.assert_allclose(
            np.array(curve) / curve[0], curves[layer, :, 0] / curves[layer, 0, 0], rtol=1e-3, atol=1e-4
        )


def test_probes_and_lens_are_those_that_were_fitted(
    page: Any, net: DeepRNN, content: dict[str, Any], numbers: Numbers
) -> None:
    symbols = content["texts"][0]["symbols"]
    hidden, log_p = read(net, symbols)
    for probe in content["fitted"]["probes"]:
        part = slice(probe["first"], probe["first"] + probe["classes"])
        found = ask(page, "probe", text=0, first=probe["first"], classes=probe["classes"])
        for layer, values in enumerate(found):
            expected = numbers.classify("probe", layer, hidden[layer][1:], part)
            np.testing.assert_allclose(np.array(values).reshape(expected.shape), expected, atol=1e-4)
    found = ask(page, "nextCharacter", text=0)
    right = log_p[:-1].exp()[torch.arange(len(symbols)), torch.tensor(symbols)]
    np.testing.assert_allclose(found[-1]["p"], right.numpy(), atol=1e-4)
    for layer, one in enumerate(found[:-1]):
        p = numbers.classify("head", layer, hidden[layer][:-1], slice(None))
        np.testing.assert_allclose(one["p"], p[np.arange(len(symbols)), symbols], atol=1e-4)
        assert one["favourite"] == p.argmax(1).tolist()
        assert one["rank"] == [int((row > row[symbol]).sum()) for row, symbol in zip(p, symbols, strict=True)]


def test_reading_along_shows_units_and_gates_beside_the_true_answers(
    page: Any, net: DeepRNN, content: dict[str, Any]
) -> None:
    show(page, "reader")
    page.wait_for_selector("#reader-readout table")
    symbols = content["texts"][0]["symbols"]
    hidden, _ = read(net, symbols)
    page.get_by_label("Colour by").select_option("state.h")
    page.get_by_label("unit of layer 2").fill("5")
    page.get_by_label("unit of layer 2").press("Enter")
    page.focus("#view-reader .text")
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('#reader-readout').textContent.includes('layer 2, unit 5')")
    cells = page.eval_on_selector_all("#reader-readout td", "all => all.map(one => one.textContent.replace('−', '-'))")
    assert float(cells[0]) == pytest.approx(float(hidden[1][1, 5]), abs=6e-4)
    page.get_by_label("Colour by").select_option("gate.z")  # a GRU's; the LSTM above it has none
    page.wait_for_function("document.querySelector('#reader-readout td')?.textContent === '–'")
    label = page.get_by_label("True answers of").input_value()
    described = next(one for one in content["labels"] if one["name"] == label)
    code = content["texts"][0]["codes"][label][0]
    if code != ".":
        assert described["classes"][int(code, 36)] in page.inner_text("#reader-readout")
    page.get_by_label("Colour by").select_option("probe")
    page.wait_for_function("document.querySelector('#reader-readout').textContent.includes('Accuracy of these probes')")


def test_selecting_a_span_finds_its_units(page: Any, net: DeepRNN, content: dict[str, Any]) -> None:
    show(page, "selection")
    page.wait_for_selector("#unit-list li")
    read_all(page)
    box = page.locator("#view-selection .text")
    box.locator("[data-i='10']").click()
    for _ in range(5):
        page.keyboard.press("Shift+ArrowRight")
    page.wait_for_function("document.querySelector('#unit-list .hint')?.textContent.includes('6 characters')")
    selected = page.eval_on_selector_all("#view-selection .selected", "all => all.map(one => Number(one.dataset.i))")
    assert selected == list(range(10, 16))
    states = [[layer[1:] for layer in read(net, text["symbols"])[0]] for text in content["texts"]]
    best: list[tuple[float, str]] = []
    for layer in range(2):
        inside = states[0][layer][10:16]
        outside = torch.cat([states[0][layer][:10], states[0][layer][16:], *(other[layer] for other in states[1:])])
        contrast = (inside.mean(0) - outside.mean(0)) / outside.std(0, correction=0)
        best += [(abs(float(value)), f"layer {layer + 1}, unit {unit}") for unit, value in enumerate(contrast)]
    listed = page.eval_on_selector_all("#unit-list .name", "all => all.map(one => one.textContent)")
    assert listed == [name for _, name in sorted(best, reverse=True)[:10]]
    page.locator("#unit-list button").nth(1).click()
    page.wait_for_function("name => document.querySelector('#elsewhere h3').textContent.includes(name)", arg=listed[1])
    assert page.locator("#elsewhere table tbody tr").count() > 0
