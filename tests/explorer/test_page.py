"""The page in a browser: it opens quietly, shows the analysis's numbers, and can be used by keys."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from viewing import show

pytestmark = pytest.mark.slow

VIEWS = ("matrix", "live", "ripples", "reader", "selection", "next-character", "ablation", "timescales", "training")


def test_every_view_opens_without_a_complaint_or_a_request(page: Any) -> None:
    for view in VIEWS:
        show(page, view)
        assert page.inner_text(f"#view-{view} h2")
        assert page.inner_text(f"#view-{view} figcaption").strip()
        assert "Python" in page.inner_text(f"#view-{view} .how summary")
    page.wait_for_function("document.querySelectorAll('#view-training .main-svg').length > 0")


def test_the_numbers_are_those_of_the_analysis(page: Any, run: Path) -> None:
    summary = json.loads((run / "analysis.json").read_text())
    shown = page.eval_on_selector_all(
        "#view-matrix tbody tr",
        """rows => rows.map(row => ({
          label: row.dataset.label,
          window: row.querySelector('[data-part=window]').textContent,
          untrained: row.querySelector('[data-part=untrained]').textContent,
          layers: [...row.querySelectorAll('.cell')].map(cell => cell.textContent),
          below: [...row.querySelectorAll('.cell')].map(cell => cell.classList.contains('below')),
          best: [...row.querySelectorAll('.cell')].findIndex(cell => cell.classList.contains('best')),
        }))""",
    )
    assert shown == [
        {
            "label": probe["label"],
            "window": _share(probe["window"]),
            "untrained": _share(max(probe["untrained"])),
            "layers": [_share(value) for value in probe["layers"]],
            "below": [not above for above in probe["above"]],
            "best": probe["layers"].index(max(probe["layers"])),
        }
        for probe in summary["probes"]
    ]
    assert [row["label"] for row in shown] == sorted(
        (row["label"] for row in shown),
        key=lambda label: next(p["need"] for p in summary["probes"] if p["label"] == label),
    )
    verdict = page.inner_text("#verdict")
    assert summary["verdict"].capitalize() in verdict
    assert summary["paragraph"] in verdict
    page.check("text=Bits added", force=True)
    bits = page.eval_on_selector_all("#view-matrix .cell", "cells => cells.map(cell => cell.textContent)")
    expected = [f"{value:.2f}".replace("-", "−") for probe in summary["probes"] for value in probe["bits"]]
    assert bits == expected


def test_the_other_net_stands_beside(compared_page: Any, compared: Path) -> None:
    summary = json.loads((compared / "analysis.json").read_text())
    other, more = summary["against"], summary["against"]["bits_over_run"]
    verdict = compared_page.inner_text("#verdict")
    assert f"({other['network'][0]}; " in verdict
    assert f"needs {other['bits_per_character']['value']:.3f} bits a character" in verdict
    assert f"({_signed(more['low'])} to {_signed(more['high'])})" in verdict
    shown = compared_page.eval_on_selector_all(
        "#view-matrix tbody tr", "rows => rows.map(row => row.querySelector('[data-part=other]').textContent)"
    )
    assert shown == [_share(max(probe["against"])) for probe in summary["probes"]]


def test_tabs_rows_theme_and_text_answer_to_keys(page: Any) -> None:
    page.focus("#tab-matrix")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#tab-live", "aria-selected") == "true"
    page.keyboard.press("Home")
    first = page.locator("#view-matrix tbody button").first
    first.focus()
    page.keyboard.press("ArrowDown")
    second = page.locator("#view-matrix tbody button").nth(1)
    assert second.evaluate("button => button === document.activeElement")
    name = re.sub(r"^◇\s*", "", second.inner_text())
    assert page.inner_text("#matrix-detail h3").lower() == name.lower()
    before = page.get_attribute("html", "data-theme")
    page.focus("#theme")
    page.keyboard.press("Enter")
    assert page.get_attribute("html", "data-theme") != before
    show(page, "reader")
    page.wait_for_selector("#reader-readout table")
    page.focus("#view-reader .text")
    at = page.inner_text("#reader-readout .glyph-line")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#reader-readout .glyph-line") != at


@pytest.mark.parametrize(("width", "theme"), [(390, "light"), (1280, "dark")])
def test_nothing_sticks_out_at_the_side(browser: Any, run: Path, width: int, theme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
    page = context.new_page()
    page.goto((run / "explorer.html").as_uri())
    assert page.get_attribute("html", "data-theme") == theme
    for view in VIEWS:
        show(page, view)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
    context.close()


def test_a_net_that_the_page_can_not_run_leaves_the_measured_views(browser: Any, run: Path, tmp_path: Path) -> None:
    source = (run / "explorer.html").read_text()
    refused = tmp_path / "refused.html"
    refused.write_text(source.replace('"refusal":null', '"refusal":"Layer 1 reads backward."'))
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(refused.as_uri())
    for view in ("matrix", "live", "ripples", "reader", "selection", "next-character", "training"):
        show(page, view)
        told = "Layer 1 reads backward." in page.inner_text(f"#view-{view}")
        assert told == (view in ("live", "ripples", "reader", "selection", "next-character")), view
    page.close()
    assert errors == []


def _share(value: float) -> str:
    return "1.00" if value >= 0.9995 else f"{value:.3f}".removeprefix("0")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
