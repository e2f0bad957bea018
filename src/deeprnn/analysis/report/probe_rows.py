"""The printed table's rows: one label's accuracies at each layer and of each control."""

from dataclasses import dataclass

import numpy as np

from deeprnn.analysis.report.table import Figures


@dataclass(frozen=True)
class ProbeRow:
    """A label's accuracies, as the printed table and `analysis.json` have them.

    Attributes:
        label: its name. need: its context need, 0 to 1 (see `context_need`).
        chance: the share of its most frequent class.
        window: accuracy from the last characters alone.
        untrained, layers: accuracy at each layer of the net untrained, and of the net.
        low, high: the 95 % interval of `layers`, over files.
        bits: what each layer adds over the window, in bits. centre: its centre of gravity, layers counted from 1.
        above: for each layer, whether it is above both its controls: the interval of its lead over the window, and
            over the same layer untrained, lies above 0.
        against: accuracy at each layer of the net that it is compared with, if any.
    """

    label: str
    need: float
    chance: float
    window: float
    untrained: tuple[float, ...]
    layers: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    bits: tuple[float, ...]
    centre: float
    above: tuple[bool, ...]
    against: tuple[float, ...] = ()


def probe_rows(figures: Figures, *, window: int) -> list[ProbeRow]:
    """A row a label, the one that needs least context first.

    Args:
        window: characters of the window that layers are compared with.
    """
    labels: list[str] = figures.present("context need", "label")
    needs = [figures.figure("context need", label=label, control="window").value for label in labels]
    return [_row(figures, labels[place], needs[place], window) for place in np.argsort(needs, kind="stable").tolist()]


def _row(figures: Figures, label: str, need: float, window: int) -> ProbeRow:
    layers: list[int] = figures.present("selectivity", "layer", label=label)
    ours = [figures.figure("accuracy", label=label, layer=layer) for layer in layers]

    def leads(layer: int) -> bool:
        over_window = figures.figure("accuracy over control", label=label, layer=layer, control="window", step=window)
        over_untrained = figures.figure("accuracy over control", label=label, layer=layer, control="untrained")
        return over_window.low > 0 and over_untrained.low > 0

    return ProbeRow(
        label=label,
        need=need,
        chance=figures.figure("accuracy", label=label, control="marginal").value,
        window=figures.figure("accuracy", label=label, control="window", step=window).value,
        untrained=tuple(figures.values("accuracy", "layer", label=label, control="untrained")),
        layers=tuple(one.value for one in ours),
        low=tuple(one.low for one in ours),
        high=tuple(one.high for one in ours),
        bits=tuple(figures.values("bits over window", "layer", label=label, step=window)),
        centre=figures.figure("centre of gravity", label=label).value,
        above=tuple(leads(layer) for layer in layers),
        against=tuple(figures.values("accuracy", "layer", label=label, control="against")),
    )
