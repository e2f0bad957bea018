"""A browser, and the page of a small run, for all tests here; without Chromium they are skipped."""

import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import torch

from deeprnn import GRU, LSTM, DeepRNN
from deeprnn.analysis.probes import probe
from deeprnn.analysis.study import Effort, analyze
from deeprnn.explorer import explore
from deeprnn.tasks.text import Characters, Corpus, TextRun, train
from deeprnn.training import Settings

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

TINY = Effort(
    files=12,
    per_file=400,
    characters=700,
    seeds=1,
    snippets=8,
    horizon=40,
    untrained=2,
    ablated=60,
    resets=(4, 16),
    shifts=3,
)


@pytest.fixture(scope="session")
def browser() -> Generator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="the page is tested with playwright")
    if CHROMIUM is None:
        pytest.skip("the page is tested in Chromium, which is not installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two small layers on made-up modules, analyzed, with its page."""
    sources = tmp_path_factory.mktemp("sources")
    for number in range(80):
        (sources / f"module_{number}.py").write_text(_source(number))
    corpus = Corpus.from_files([sources])
    vocabulary = Characters.of(corpus.training)
    torch.manual_seed(0)
    net = DeepRNN(len(vocabulary), [GRU(9), LSTM(8)], len(vocabulary))
    out = tmp_path_factory.mktemp("runs") / "tiny"
    train(net, corpus, vocabulary, out, Settings(batch=4, bptt=16, learning_rate=1e-2), steps=30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "_ITERATIONS", 3)  # the page shows rough probes as it shows good ones
        analyze(out, TINY)
        explore(out)
    return out


@pytest.fixture(scope="session")
def compared(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, analyzed beside another one of one layer, with its page."""
    out = tmp_path_factory.mktemp("compared") / "tiny"
    shutil.copytree(run, out)
    corpus, vocabulary = TextRun(out).read_corpus(), TextRun(out).load_vocabulary()
    torch.manual_seed(1)
    net = DeepRNN(len(vocabulary), [GRU(12)], len(vocabulary))
    train(net, corpus, vocabulary, out.parent / "one", Settings(batch=4, bptt=16, learning_rate=1e-2), steps=30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "_ITERATIONS", 3)
        analyze(out, TINY, against=out.parent / "one")
        explore(out)
    return out


@pytest.fixture
def page(browser: Any, run: Path) -> Generator[Any]:
    yield from opened_page(browser, run)


@pytest.fixture
def compared_page(browser: Any, compared: Path) -> Generator[Any]:
    yield from opened_page(browser, compared)


def opened_page(browser: Any, run: Path) -> Generator[Any]:
    """The page, opened; whatever it complains of, or asks the network for, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: complaints.append(request.url) if is_foreign(request.url) else None)
    opened.goto((run / "explorer.html").as_uri())
    opened.wait_for_selector("#view-matrix table")
    yield opened
    context.close()
    assert complaints == []


def is_foreign(url: str) -> bool:
    return not url.startswith(("file:", "blob:", "data:"))


def _source(number: int) -> str:
    lines = [f'"""Module {number}: numbers and lists."""', "", "import os"]
    for index in range(4):
        lines += [
            f"def name_{number}_{index}(a, b={index}):",
            f"    # adds {number}",
            "    if a > b:",
            f"        return [a, (b, {index})]",
            f'    return "name {number}"',
            "",
            f"class C{index}:",
            "    x = None",
            "",
        ]
    return "\n".join(lines)
