"""Results on disk: all figures as one typed table, and those that are shown as JSON.

`analysis.parquet` holds a row a figure; `deeprnn.analysis.report.table.SCHEMA` says what its columns mean.

`analysis.json` holds what the printed table and the page show, made from that table. A *figure* is
`{"value", "low", "high"}`, the value and its 95 % bootstrap interval; a number that does not exist is null; layers
count from 1, units from 0.

    format              "deeprnn analysis 2"
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
    next_character      {n: characters, seeds, layers: [{layer, bits, accuracy, untrained_bits, untrained_accuracy}]},
                        figures of a linear reader of each layer
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
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import polars

from deeprnn.analysis.report import summary
from deeprnn.analysis.report.probe_rows import ProbeRow, probe_rows
from deeprnn.analysis.report.table import SCHEMA, Figures
from deeprnn.analysis.report.verdict import Verdict
from deeprnn.disk import atomic, digest, json_file, marks

TABLE = "analysis.parquet"
SUMMARY = "analysis.json"
FORMAT = "deeprnn analysis 2"
_EARLIER = ("deeprnn analysis 1",)

Part: TypeAlias = Literal["ripples", "construction", "next_character", "ablation", "units"]
"""A measurement beside the probes."""

_PARTS = {
    "ripples": summary.ripples,
    "construction": summary.construction,
    "next_character": summary.next_character,
    "ablation": summary.ablation,
    "units": summary.units,
}


@dataclass(frozen=True)
class Results:
    """All figures of one analysis.

    Attributes:
        figures: the table, and how its figures are looked up.
        verdict: on the claim that higher layers need more context.
        facts: what was analysed and how: run, network, characters, files, window, settings.
        counts: of each part, n places or characters that it rests on, and seeds.
        against: {run, network, parameters} of the net that it is compared with, if any.
    """

    figures: Figures
    verdict: Verdict
    facts: dict[str, Any]
    counts: dict[Part, dict[str, int]] = field(default_factory=dict[Part, dict[str, int]])
    against: dict[str, Any] | None = None

    @cached_property
    def probes(self) -> list[ProbeRow]:
        """A row a label, least context need first."""
        return probe_rows(self.figures, window=self.facts["window"])

    def summary(self) -> dict[str, Any]:
        """What `analysis.json` holds; a figure that does not exist is null."""
        verdict, layers = self.verdict, len(self.facts["network"])
        parts: dict[str, Any] = {
            part: {**count, "layers": _PARTS[part](self.figures, layers)} for part, count in self.counts.items()
        }
        if "ablation" in parts:
            own = summary.own_bits(self.figures)
            parts["ablation"]["bits"] = asdict(own)
            parts["bits_per_character"] = own.value
        if self.against is not None:
            parts["against"] = self.compared()
        content = {
            "format": FORMAT,
            "verdict": verdict.finding,
            "rho": verdict.trained.rho,
            "low": verdict.trained.low,
            "high": verdict.trained.high,
            "n": verdict.n,
            "seeds": verdict.seeds,
            "untrained": None if verdict.untrained is None else asdict(verdict.untrained),
            "shift": None if verdict.shift is None else asdict(verdict.shift),
            "exceptions": list(verdict.exceptions),
            "unread": list(verdict.unread),
            "paragraph": verdict.paragraph,
            "probes": [asdict(probe) for probe in self.probes],
            **parts,
            **self.facts,
        }
        return _without_nan(content)

    def compared(self) -> dict[str, Any]:
        """The net that this one is compared with: what it is, its bits a character, and how many more they are."""
        more = self.figures.figure("bits over the run", label=summary.NEXT_CHARACTER, control="against")
        return {
            **(self.against or {}),
            "bits_per_character": asdict(summary.own_bits(self.figures, "against")),
            "bits_over_run": asdict(more),
        }

    def write(self, directory: Path) -> None:
        """Writes both files, each whole or not at all; the summary last, so that it stands for a table that is there.

        Raises:
            FileExistsError: files of these names that are not an analysis's stand there.
            OSError: the directory can't be written; the files that were there before remain.
        """
        content = self.summary()
        check_place(directory)
        atomic.write(directory / TABLE, self.figures.frame.write_parquet, marks.TABLE)
        content["table"] = digest.of_file(directory / TABLE)
        json_file.write(directory / SUMMARY, content, marks.ANALYSIS)


def read_summary(directory: Path) -> dict[str, Any]:
    """The contents of `analysis.json`.

    Raises:
        FileNotFoundError: there is none yet. ValueError: it is damaged, or an earlier version wrote it.
    """
    path = directory / SUMMARY
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist.\n  Run: deeprnn analyze {directory}")
    remedy = f"Run it again: deeprnn analyze {directory}"
    if json_file.read_any(path, remedy).get("format") in _EARLIER:
        raise ValueError(f"{path} was written by an earlier version of deeprnn.\n  {remedy}")
    return json_file.read(path, FORMAT, remedy)


def read_figures(directory: Path, content: Mapping[str, Any]) -> Figures:
    """The table that a summary was written with.

    Args:
        content: as `read_summary` gave it.

    Raises:
        FileNotFoundError: it is not there. ValueError: it is damaged, or another one.
    """
    path, remedy = directory / TABLE, f"Run it again: deeprnn analyze {directory}"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist.\n  Run: deeprnn analyze {directory}")
    if "table" in content and content["table"] != digest.of_file(path):
        raise ValueError(f"{path} is not the table that {SUMMARY} was written with, or is damaged.\n  {remedy}")
    try:
        frame = polars.read_parquet(path)
    except polars.exceptions.PolarsError as error:
        raise ValueError(f"{path} is not a complete table ({error}).\n  {remedy}") from error
    if frame.schema != SCHEMA:
        raise ValueError(f"{path} has the columns {', '.join(frame.columns)}, not those of an analysis.\n  {remedy}")
    return Figures(frame)


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
