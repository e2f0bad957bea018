"""What do the layers of a deep RNN know? Three layers of 256 GRU units on Python's own sources, and one layer beside.

    python examples/layers.py --out runs/layers          # about half an hour: two seeds of both networks
    python examples/layers.py --out runs/layers --quick  # tiny networks, seconds: to see what comes out

For each seed two networks are trained on as many characters: three layers of 256, and one layer of as many
parameters, the control for depth. Then linear probes read labels of Python (exact ones, from `tokenize` and `ast`)
off every layer's states, fitted and measured on different ones of the held-out files. Beside each layer stand the
same network before training, the last eight characters, and the one-layer network. The figures are means over seeds,
and how far the furthest seed is from it. Networks that lie in --out already are not trained again.
"""

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from deeprnn import GRU, DeepRNN
from deeprnn.analysis import QUICK, Effort, analyze
from deeprnn.cli.analyze import AnalysisDisplay
from deeprnn.cli.progress import TrainingDisplay
from deeprnn.tasks.text import Characters, Corpus, TextRun, resume, train
from deeprnn.training import RunError, Settings, Stopped

LABELS = (
    "character class",
    "token type",
    "in a comment",
    "bracket depth",
    "block indent",
    "statement kind",
    "in a docstring",
)
ENOUGH = replace(QUICK, files=64, per_file=16_000, characters=50_000)
"""What is measured: four times the text of the quick mode, since probes that read 256 units need it."""
TINY = Effort(
    files=32,
    per_file=1_000,
    characters=4_000,
    seeds=1,
    snippets=16,
    horizon=30,
    untrained=1,
    ablated=100,
    resets=(8,),
    shifts=3,
)
"""What --quick measures: too little to conclude anything from."""


def one_layer(parameters: int, symbols: int) -> GRU:
    """A GRU so wide that a network of it alone has as many parameters, as nearly as a whole number of units can."""

    def size(width: int) -> int:
        net = DeepRNN(symbols, [GRU(width)], symbols, device="meta")
        return sum(weight.numel() for weight in net.parameters())

    widths = range(1, math.isqrt(parameters) + 2)
    return GRU(min(widths, key=lambda width: abs(size(width) - parameters)))


def build(symbols: int, cells: list[GRU], seed: int) -> DeepRNN:
    """The network as a seed begins it."""
    torch.manual_seed(seed)
    return DeepRNN(symbols, cells, symbols, one_hot=True)


def trained(out: Path, cells: list[GRU], corpus: Corpus, seed: int, threads: int, **length: Any) -> int:
    """Trains these layers into a run, if it is not there yet, or to its end if it was stopped.

    Args:
        length: seconds or steps, as for `train`.

    Returns:
        How many steps it was trained for in all.
    """
    if TextRun(out).exists:
        print(f"{out}: there already", flush=True)
        with TrainingDisplay(Console(stderr=True, highlight=False)) as display:
            return resume(out, progress=display).steps
    vocabulary = Characters.of(corpus.training)
    net = build(len(vocabulary), cells, seed)
    print(f"{out}: {', '.join(cell.describe() for cell in cells)}", flush=True)
    settings = Settings(seed=seed, threads=threads, device="cpu")
    with TrainingDisplay(Console(stderr=True, highlight=False)) as display:
        done = train(net, corpus, vocabulary, out, settings, progress=display, **length)
    print(f"  {done.steps:,} steps, {done.characters:,} characters, {done.seconds:.0f} s", flush=True)
    return done.steps


def spread(values: list[float]) -> str:
    """The mean, and how far it is to the furthest value where there are several: ".84 ±.01"."""
    mean = float(np.mean(values))
    furthest = max(abs(value - mean) for value in values)
    return _short(mean) if len(values) < 2 else f"{_short(mean)} ±{_short(furthest)}"


def _short(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


def table(summaries: list[dict[str, Any]]) -> Table:
    """Accuracies on held-out files, label by label; untrained is the best layer of the network before training."""
    layers = len(summaries[0]["probes"][0]["layers"])
    found = Table(title="accuracy of linear probes on held-out files", box=None, pad_edge=False, title_justify="left")
    found.add_column("label", no_wrap=True)
    headings = [
        "last 8",
        "untrained",
        *(f"layer {i}" for i in range(1, layers + 1)),
        "one layer",
    ]
    for heading in headings:
        found.add_column(heading, justify="right")
    rows = [{row["label"]: row for row in summary["probes"]} for summary in summaries]
    for label in LABELS:
        of_seeds = [row[label] for row in rows if label in row]
        if not of_seeds:
            continue
        cells = [spread([row["window"] for row in of_seeds]), spread([max(row["untrained"]) for row in of_seeds])]
        cells += [spread([row["layers"][layer] for row in of_seeds]) for layer in range(layers)]
        found.add_row(label, *cells, spread([row["against"][0] for row in of_seeds]))
    return found


def main(options: argparse.Namespace) -> None:
    """Trains what is not there yet, measures, prints."""
    torch.set_num_threads(options.threads)
    corpus = Corpus.of_python()
    symbols = len(Characters.of(corpus.training))
    deep = [GRU(24)] * 3 if options.quick else [GRU(256)] * 3
    wide = [one_layer(sum(weight.numel() for weight in build(symbols, deep, 0).parameters()), symbols)]
    effort = TINY if options.quick else ENOUGH
    length: dict[str, Any] = {"seconds": 60 * options.minutes}
    if options.steps or options.quick:
        length = {"steps": options.steps or 30}
    console = Console(highlight=False)
    summaries: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        run, other = options.out / f"deep-{seed}", options.out / f"one-{seed}"
        steps = trained(run, deep, corpus, seed, options.threads, **length)
        if (as_many := trained(other, wide, corpus, seed, options.threads, steps=steps)) != steps:
            sys.exit(f"error: {other} was trained for {as_many:,} steps and {run} for {steps:,}: remove one of them.")
        with AnalysisDisplay(Console(stderr=True, highlight=False)) as display:
            summaries.append(analyze(run, effort, against=other, progress=display).summary())
    console.print(table(summaries))
    for seed, summary in enumerate(summaries):
        ours, theirs, more = summary["bits_per_character"], summary["against"], summary["against"]["bits_over_run"]
        console.print(
            f"\nseed {seed}: {ours:.3f} bits a character; the one-layer network ({theirs['parameters']:,} parameters "
            f"beside {summary['parameters']:,}) {theirs['bits_per_character']['value']:.3f}, {more['value']:+.3f} "
            f"({more['low']:+.3f} to {more['high']:+.3f})\n{summary['paragraph']}"
        )


def parse_arguments() -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="a directory for the runs")
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="of training the deep network; the other gets as many steps"
    )
    parser.add_argument("--steps", type=int, default=None, help="of training, instead of --minutes")
    parser.add_argument("--seeds", type=int, default=2, help="how many of each network")
    parser.add_argument("--threads", type=int, default=2, help="torch's threads")
    parser.add_argument("--quick", action="store_true", help="tiny networks and hardly any training")
    options = parser.parse_args()
    if not 0 < options.minutes < math.inf:
        parser.error(f"--minutes {options.minutes:g}: more than 0.")
    for name in ("seeds", "threads", "steps"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name} {getattr(options, name)}: at least 1.")
    return options


if __name__ == "__main__":
    given = parse_arguments()
    try:
        main(given)
    except Stopped as stopped:
        print(f"\n{stopped}\nGive the same command again to go on.")
        sys.exit(130)
    except (ValueError, OSError, RunError) as error:
        sys.exit(f"error: {error}")
