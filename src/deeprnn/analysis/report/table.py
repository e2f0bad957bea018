"""All figures of an analysis in one typed table, a row each; page, terminal and JSON are made from it."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, TypedDict, Unpack, get_args

import polars

from deeprnn.analysis.statistics import Interval

Metric: TypeAlias = Literal[
    "accuracy",
    "macro F1",
    "bits",
    "bits over window",
    "accuracy over control",
    "code length",
    "selectivity",
    "context need",
    "centre of gravity",
    "ripple",
    "ripple half",
    "ripple 1 %",
    "ripple tail",
    "construction correlation",
    "construction half",
    "bits lost",
    "bits over the run",
    "best unit AUC",
    "best unit p",
    "autocorrelation time",
    "gate open",
    "gate shut",
]
Control: TypeAlias = Literal["trained", "untrained", "shuffled", "hashed", "window", "marginal", "against"]
"""What a figure was taken from: the net itself, or one of the things that it is to be compared with."""
Change: TypeAlias = Literal["window", "zero", "mean", "reset"]
"""What was changed: a probe reads the window beside the layer; a layer passes zero or its mean; its state is reset."""
Along: TypeAlias = Literal["layer", "step", "unit", "seed"]

NEXT_CHARACTER = "next character"
"""The label of figures about prediction itself."""

SCHEMA = polars.Schema(
    {
        "layer": polars.Int32,
        "label": polars.String,
        "label_class": polars.String,
        "metric": polars.Enum(get_args(Metric)),
        "step": polars.Int32,
        "unit": polars.Int32,
        "change": polars.Enum(get_args(Change)),
        "value": polars.Float64,
        "low": polars.Float64,
        "high": polars.Float64,
        "seed": polars.Int32,
        "control": polars.Enum(get_args(Control)),
    }
)
"""The columns. What a column does not apply to has null there.

    layer        1 for the bottom layer; null for what belongs to no layer, such as a window
    label        a label of the text, "next character", or the name of a gate
    label_class  the class that a single unit tells from the others
    metric       see `Metric`, and the table in the documentation
    step         characters: since the change of a ripple, since the shared text began, between two resets, or of the
                 window that a probe reads
    unit         of the layer, from 0
    change       see `Change`
    value        the figure; low, high: its 95 % interval. Of "construction half" without a unit, which is the median
                 over a layer's units, they are the quartiles. nan where there is none
    seed         which repetition; null for all together
    control      see `Control`
"""


class Where(TypedDict, total=False):
    """Which figure a row is: the columns of `SCHEMA` beside the metric; those left out are null, control "trained"."""

    layer: int | None
    label: str | None
    label_class: str | None
    step: int | None
    unit: int | None
    change: Change | None
    seed: int | None
    control: Control


_NOTHING: Where = {
    "layer": None,
    "label": None,
    "label_class": None,
    "step": None,
    "unit": None,
    "change": None,
    "seed": None,
    "control": "trained",
}


class Table:
    """The figures, as they are measured."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def add(self, metric: Metric, figure: Interval | float, **where: Unpack[Where]) -> None:
        """Adds one figure."""
        one = figure if isinstance(figure, Interval) else Interval(float(figure))
        spread = {"value": one.value, "low": one.low, "high": one.high}
        self._rows.append({**_NOTHING, **where, "metric": metric, **spread})

    def __len__(self) -> int:
        return len(self._rows)

    def figures(self) -> "Figures":
        """All figures so far, to be looked up."""
        # Column by column: polars refuses a name that an enum does not know, where rows would give null for it.
        columns = {name: [row[name] for row in self._rows] for name in SCHEMA}
        return Figures(polars.DataFrame(columns, schema=SCHEMA))


class Figures:
    """A whole table, and the ways in which its figures are looked up."""

    def __init__(self, frame: polars.DataFrame) -> None:
        self.frame = frame

    def rows(self, metric: Metric, **where: Unpack[Where]) -> polars.DataFrame:
        """The rows of a metric in which each column given has the value given; None for null."""
        return self.frame.filter(_matches({"metric": metric, **where}))

    def figure(self, metric: Metric, **where: Unpack[Where]) -> Interval:
        """The one figure of a metric in exactly this place.

        Raises:
            KeyError: there is none, or more than one.
        """
        found = self.rows(metric, **{**_NOTHING, **where})
        if len(found) != 1:
            raise KeyError(f"the table has {len(found)} figures {metric!r} with {where}; one is looked for.")
        return Interval(*found.select("value", "low", "high").row(0))

    def values(self, metric: Metric, along: Along, **where: Unpack[Where]) -> list[float]:
        """The values of a metric in the order of a column that varies, such as a ripple's along "step"."""
        there = {name: value for name, value in {**_NOTHING, **where}.items() if name != along}
        found = self.frame.filter(_matches({"metric": metric, **there}), polars.col(along).is_not_null())
        return found.sort(along)["value"].to_list()

    def present(self, metric: Metric, column: Along | Literal["label"], **where: Unpack[Where]) -> list[Any]:
        """The values of a column that a metric has, each once, in the table's order; null left out."""
        return self.rows(metric, **where)[column].drop_nulls().unique(maintain_order=True).to_list()


def _matches(where: Mapping[str, object]) -> polars.Expr:
    return polars.all_horizontal(
        polars.col(name).is_null() if value is None else polars.col(name) == value for name, value in where.items()
    )
