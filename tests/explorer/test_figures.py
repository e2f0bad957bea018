"""What the views show is what the analysis wrote: the two files say the same, and nothing is lost on the way."""

import json
from pathlib import Path
from typing import Any

import pytest

from deeprnn.explorer.figures import measured

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def summary(run: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((run / "analysis.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def figures(run: Path) -> dict[str, Any]:
    return measured(run)


def _figure(written: dict[str, float | None]) -> list[float | None]:
    return [written["value"], written["low"], written["high"]]


def test_labels(figures: dict[str, Any], summary: dict[str, Any]) -> None:
    for probe in summary["probes"]:
        shown = figures["labels"][probe["label"]]
        assert [one[0] for one in shown["accuracy"]["trained"]] == pytest.approx(probe["layers"])
        assert [one[1:] for one in shown["accuracy"]["trained"]] == [
            pytest.approx(pair) for pair in zip(probe["low"], probe["high"], strict=True)
        ]
        assert [one[0] for one in shown["accuracy"]["untrained"]] == pytest.approx(probe["untrained"])
        assert [one[0] for one in shown["bits"]["trained"]] == pytest.approx(probe["bits"])
        assert shown["windows"][summary["window"]] == pytest.approx(probe["window"])
        assert list(shown["windows"]) == summary["windows"]


def test_ripples(figures: dict[str, Any], summary: dict[str, Any]) -> None:
    shown = figures["ripples"]
    for layer, written in enumerate(summary["ripples"]["layers"]):
        assert shown["trained"][layer] == written["curve"]
        lowest = [min(steps) for steps in zip(*(seed[layer] for seed in shown["untrained"]), strict=True)]
        assert lowest == written["untrained_low"]
        for name in ("half", "one_percent", "tail"):
            assert shown["decay"][name]["trained"][layer] == _figure(written[name])
            untrained = [seed[layer][0] for seed in shown["decay"][name]["untrained"]]
            assert untrained == written[f"untrained_{name}"]


def test_next_character_ablation_and_construction(figures: dict[str, Any], summary: dict[str, Any]) -> None:
    for layer, written in enumerate(summary["next_character"]["layers"]):
        for name in ("bits", "accuracy"):
            assert figures["next_character"][name]["trained"][layer] == _figure(written[name])
            assert figures["next_character"][name]["untrained"][layer] == _figure(written[f"untrained_{name}"])
    changes = {(one["layer"], one["change"], one["every"]): one["figure"] for one in figures["ablation"]}
    for written in summary["ablation"]["layers"]:
        for name in ("zero", "mean"):
            assert changes.pop((written["layer"], name, None)) == _figure(written[name])
        for every, figure in written["resets"].items():
            assert changes.pop((written["layer"], "reset", int(every))) == _figure(figure)
    assert changes == {}
    for layer, written in enumerate(summary["construction"]["layers"]):
        for control, prefix in (("trained", ""), ("untrained", "untrained_")):
            assert figures["construction"][control][layer] == _figure(written[f"{prefix}half"])


def test_units(figures: dict[str, Any], summary: dict[str, Any]) -> None:
    for layer, written in enumerate(summary["units"]["layers"]):
        scales = figures["scales"][layer]
        assert scales["autocorrelation_time"] == written["autocorrelation_time"]
        for gate, shares in written["gates"].items():
            assert scales["gates"][gate] == shares
        for best in written["best"]:
            (shown,) = [
                one
                for one in figures["best"]
                if (one["layer"], one["label"], one["class"]) == (layer + 1, best["label"], best["class"])
            ]
            assert (shown["unit"], shown["auc"], shown["p"]) == (best["unit"], best["auc"], best["p"])
