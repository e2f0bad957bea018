"""Results into files: JSON, tables, pictures, and, of the whole grid, the tables inside the documents.

`python -m benchmarks.publish` writes the tables and pictures anew from benchmarks/results/grid.json.
"""

import json
from pathlib import Path
from typing import Any

from benchmarks import bound, report

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
_DOCUMENT = ROOT / "docs" / "benchmarks.md"
"""Where the tables stand, between the marks that `insert` looks for."""


def write(results: dict[str, Any], out: Path) -> list[Path]:
    """Writes results, tables and pictures to `out`, and the tables into the documents; returns what was written.

    The whole grid on the compiled kernels is called grid.json, table.md, summary.md, grid-1.svg (for one thread);
    anything less is called partial.json, partial-table.md, ..., and goes into no document.
    """
    from benchmarks import plot  # matplotlib is not needed to measure

    results = results | {"rows": bound.settled(results["rows"])}
    out.mkdir(parents=True, exist_ok=True)
    whole = report.publishable(results)
    name, prefix = ("grid", "") if whole else ("partial", "partial-")
    texts = {
        out / f"{name}.json": json.dumps(results, indent=1) + "\n",
        out / f"{prefix}table.md": "# The grid\n\n" + report.table(results),
        out / f"{prefix}summary.md": report.summary(results),
    }
    if whole and out == RESULTS:
        document = insert(_DOCUMENT.read_text(encoding="utf-8"), "table.md", report.table(results))
        texts[_DOCUMENT] = insert(document, "summary.md", report.summary(results))
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    pictures = [out / f"{name}-{threads}.svg" for threads in sorted({entry["threads"] for entry in results["rows"]})]
    for path in pictures:
        plot.draw(results, int(path.stem.rpartition("-")[2]), path)
    return [*texts, *pictures]


def write_contended(results: dict[str, Any], out: Path) -> None:
    """Writes contended.json and contended.md to `out`; the results of record go into the document, too."""
    text = report.contended(results)
    out.mkdir(parents=True, exist_ok=True)
    (out / "contended.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (out / "contended.md").write_text(text, encoding="utf-8")
    if out == RESULTS:
        _DOCUMENT.write_text(insert(_DOCUMENT.read_text(encoding="utf-8"), "contended.md", text), encoding="utf-8")


def insert(document: str, table: str, text: str) -> str:
    """The document with a table's text between its marks, `<!-- begin table.md -->` and `<!-- end table.md -->`.

    A document without the marks stays as it is.

    >>> insert("a <!-- begin t.md -->old<!-- end t.md --> b", "t.md", "new")
    'a <!-- begin t.md -->\\n\\nnew\\n\\n<!-- end t.md --> b'
    """
    before, begin, rest = document.partition(f"<!-- begin {table} -->")
    _, end, after = rest.partition(f"<!-- end {table} -->")
    if not begin or not end:
        return document
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"


def main() -> None:
    """Writes everything but the measurements anew."""
    results = json.loads((RESULTS / "grid.json").read_text(encoding="utf-8"))
    for path in write(results, RESULTS):
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
