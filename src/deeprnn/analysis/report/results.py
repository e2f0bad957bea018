"""Results on disk: all figures as one tidy table, and those that are shown as JSON.

`analysis.parquet` holds a row a figure: layer, label, metric, value, low, high, seed, control (see `Row`).

`analysis.json` holds what the printed table and the page show. A *figure* is `{"value", "low", "high"}`, the value and
its 95 % bootstrap interval; a number that does not exist is null; layers count from 1, units from 0.

    format              "deeprnn analysis 1"
    verdict             "supported" | "not supported" | "contradicted"; paragraph: it in plain words
    rho, low, high      Spearman's rho between labels' context need and centre of gravity, its 95 % interval
    n, seeds            labels that it rests on, splits of the files
    untrained           {rho, low, high} of the same net untrained, or null; shift: {rho, low, high} of what training
                        added to the centres, or null; exceptions, unread: labels by name
    probes              a row a label, least context need first: label, need, chance, window, untrained [L], layers [L],
                        low [L], high [L], bits [L], centre, above [L], against [layers of the other net] (`ProbeRow`)
    ripples             {n: places, seeds: nets untrained, layers: [{layer, curve [T], low [T], high [T],
                        untrained_low [T], untrained_high [T], half, one_percent, tail: figures,
                        untrained_half, untrained_one_percent, untrained_tail: [a number a net]}]}
    construction        {n: texts, seeds, layers: [{layer, half: {value: the median unit, low, high: quartiles},
                        correlation [T]: the mean over units, half_of_units [H], and the same as untrained_...}]}
    lens                {n: characters, seeds, layers: [{layer, bits, accuracy, untrained_bits, untrained_accuracy}]},
                        figures
    ablation            {n: characters, seeds, bits: the net's own figure, layers: [{layer, zero, mean,
                        resets: {"k": figure}}]}, figures of bits a character lost
    units               {n: characters, seeds, layers: [{layer, best: [{label, class, unit, auc, p, untrained_auc}],
                        autocorrelation_time [H], gates: {gate: {open [H], shut [H]}}}]}
    run, network [L], parameters, files, characters, labels, window, windows, effort, notices, bits_per_character,
    seconds; against: {run, network, parameters, bits_per_character, bits_over_run} where there is another net,
    its bits and how many more they are as figures
    table               SHA-256 of analysis.parquet; weights: the digest of the net that was analyzed
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from deeprnn.analysis.probes.scores import Interval
from deeprnn.analysis.report.verdict import Verdict
from deeprnn.disk import atomic, digest, json_file, marks

if TYPE_CHECKING:
    import polars

Control: TypeAlias = Literal["trained", "untrained", "shuffled", "hashed", "window", "marginal", "against"]
"""What a figure was taken from: the net itself, or one of the things that it is to be compared with."""

TABLE = "analysis.parquet"
SUMMARY = "analysis.json"
FORMAT = "deeprnn analysis 1"


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        layer: 1 for the bottom layer; 0 for what belongs to no layer, such as a window.
        label: what was asked for; "" where a metric needs none.
        metric: such as "accuracy", "bits", "half-life"; see the table in the documentation.
        value, low, high: the figure and its 95 % interval; nan where there is none.
        seed: which repetition; -1 for all together.
        control: see `Control`.
    """

    layer: int
    label: str
    metric: str
    value: float
    low: float = math.nan
    high: float = math.nan
    seed: int = -1
    control: Control = "trained"


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


@dataclass
class Results:
    """All figures of one analysis.

    Attributes:
        rows: the tidy table.
        probes: a row a label, least context need first.
        verdict: None until it is reached.
        parts: the other measurements as `analysis.json` has them: ripples, construction, lens, ablation, units.
        facts: what was analysed and how: run, characters, files, window, settings.
    """

    rows: list[Row] = field(default_factory=list[Row])
    probes: list[ProbeRow] = field(default_factory=list[ProbeRow])
    verdict: Verdict | None = None
    parts: dict[str, Any] = field(default_factory=dict[str, Any])
    facts: dict[str, Any] = field(default_factory=dict[str, Any])

    def add(
        self,
        layer: int,
        label: str,
        metric: str,
        figure: Interval | float,
        *,
        seed: int = -1,
        control: Control = "trained",
    ) -> None:
        """Puts one figure into the table."""
        if isinstance(figure, Interval):
            self.rows.append(Row(layer, label, metric, figure.value, figure.low, figure.high, seed, control))
        else:
            self.rows.append(Row(layer, label, metric, float(figure), seed=seed, control=control))

    def table(self) -> "polars.DataFrame":
        """The tidy table: layer, label, metric, value, low, high, seed, control."""
        import polars

        schema = {
            "layer": polars.Int32,
            "label": polars.String,
            "metric": polars.String,
            "value": polars.Float64,
            "low": polars.Float64,
            "high": polars.Float64,
            "seed": polars.Int32,
            "control": polars.String,
        }
        return polars.DataFrame([asdict(row) for row in self.rows], schema=schema)

    def summary(self) -> dict[str, Any]:
        """What `analysis.json` holds; a figure that is no number is null."""
        if self.verdict is None:
            raise ValueError("these results have no verdict yet; judge them first.")
        verdict = self.verdict
        content = {
            "format": FORMAT,
            "verdict": verdict.finding,
            "rho": verdict.trained.rho,
            "low": verdict.trained.low,
            "high": verdict.trained.high,
            "n": verdict.n,
            "seeds": self.facts.get("seeds", verdict.seeds),
            "untrained": None if verdict.untrained is None else asdict(verdict.untrained),
            "shift": None if verdict.shift is None else asdict(verdict.shift),
            "exceptions": list(verdict.exceptions),
            "unread": list(verdict.unread),
            "paragraph": verdict.paragraph,
            "probes": [asdict(probe) for probe in self.probes],
            **self.parts,
            **self.facts,
        }
        return _without_nan(content)

    def write(self, directory: Path) -> None:
        """Writes both files, each whole or not at all; the summary last, so that it stands for a table that is there.

        Raises:
            FileExistsError: files of these names that are not an analysis's stand there.
            OSError: the directory can't be written; the files that were there before remain.
        """
        summary, table = self.summary(), self.table()
        check_place(directory)
        atomic.write(directory / TABLE, table.write_parquet, marks.TABLE)
        summary["table"] = digest.of_file(directory / TABLE)
        json_file.write(directory / SUMMARY, summary, marks.ANALYSIS)


def read_summary(directory: Path) -> dict[str, Any]:
    """The contents of `analysis.json`.

    Raises:
        FileNotFoundError: there is none yet. ValueError: it is damaged.
    """
    path = directory / SUMMARY
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; make it with: deeprnn analyze {directory}")
    return json_file.read(path, FORMAT, f"Make it anew: deeprnn analyze {directory}")


def check_place(directory: Path) -> None:
    """Raises FileExistsError where the results would replace files that are not an analysis's."""
    marks.check_replaceable(directory / TABLE, marks.TABLE)
    marks.check_replaceable(directory / SUMMARY, marks.ANALYSIS)


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_nan(part) for part in value]
    return value
