"""Real sensor data in a plain PyTorch loop: a transformer's oil temperature, 24 hours ahead.

    python examples/oil_temperature.py --csv ETTh1.csv

The data is ETTh1 (Zhou et al., Informer, AAAI 2021): two years of hourly load (6 columns) and oil temperature `OT`.
From the last week (168 hours) of all seven columns the network predicts OT 24 hours after the week's end; it reads
the week as seven steps, a day of 24 hours x 7 columns each. A month has 30 days: the first 12 months train, the next 4
choose, the last 4 test. All columns are scaled by the training months' mean and standard deviation; the mean squared
error is given in those units and in degrees Celsius squared.

Beside it stand two figures that cost next to nothing: "same hour yesterday" (the week's last OT), and a linear model
of the same week (ridge regression; its intercept is free), its penalty chosen on the same 4 months. Both models, the
network too, predict how far OT moves from the week's last value, and read OT relative to it: the level drifts over
the years. The settings and the number of passes were chosen on the 4 months that choose alone.
"""

import argparse
import csv
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from deeprnn import GRU, DeepRNN

WEEK, AHEAD = 168, 24
DAY, COLUMNS = 24, 7
MONTH = 30 * 24
TRAIN_END, CHOOSE_END, TEST_END = 12 * MONTH, 16 * MONTH, 20 * MONTH
PENALTIES = [10.0**k for k in np.arange(2, 7.5, 0.5)]

LAYERS, WIDTH, DROPOUT, NOISE = 2, 32, 0.5, 1.0
BATCH, LEARNING_RATE, WEIGHT_DECAY, PASSES = 64, 1e-3, 0.1, 2


@dataclass(frozen=True)
class Series:
    """The scaled columns.

    Attributes:
        columns: (hours, 7), OT last.
        degrees: what one unit of OT is in degrees Celsius.
    """

    columns: Tensor
    degrees: float

    def weeks(self, targets: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """The weeks that end 24 hours before each target hour: (168, B, 7) with OT relative to its last value; and
        that last value (B,)."""
        hours = torch.as_tensor(targets)[None, :] - AHEAD - WEEK + 1 + torch.arange(WEEK)[:, None]
        week = self.columns[hours]
        last = week[-1, :, -1].clone()
        week[:, :, -1] -= last
        return week, last

    def answers(self, targets: NDArray[np.int64]) -> Tensor:
        """OT at the target hours (B,)."""
        return self.columns[torch.as_tensor(targets), -1]


def read_series(path: Path) -> Series:
    """The CSV's columns, scaled by the training months."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = list(csv.reader(file))
    if not rows or rows[0][-1] != "OT" or len(rows[0]) != 8 or len(rows) <= TEST_END:
        sys.exit(
            f"error: {path} is not ETTh1.csv: expected the columns date, HUFL, HULL, MUFL, MULL, LUFL, LULL, OT and\n"
            f"  at least {TEST_END:,} hours. It is ETT-small/ETTh1.csv of the repository zhouhaoyi/ETDataset."
        )
    values = np.array([[float(value) for value in row[1:]] for row in rows[1 : TEST_END + 1]])
    mean, deviation = values[:TRAIN_END].mean(axis=0), values[:TRAIN_END].std(axis=0)
    return Series(torch.tensor((values - mean) / deviation, dtype=torch.float32), float(deviation[-1]))


def target_hours() -> dict[str, NDArray[np.int64]]:
    """The hours whose OT is predicted, in each part; each has its whole week before it."""
    return {
        "train": np.arange(WEEK + AHEAD - 1, TRAIN_END),
        "choose": np.arange(TRAIN_END, CHOOSE_END),
        "test": np.arange(CHOOSE_END, TEST_END),
    }


Forecast = Callable[[NDArray[np.int64]], Tensor]
"""From target hours to predicted OT (B,)."""


def squared_error(series: Series, forecast: Forecast, targets: NDArray[np.int64]) -> float:
    """The mean squared error in scaled units."""
    return float((forecast(targets) - series.answers(targets)).square().mean())


def yesterday(series: Series) -> Forecast:
    """OT at the same hour one day before, the last one known."""
    return lambda targets: series.weeks(targets)[1]


def ridge(series: Series, hours: dict[str, NDArray[np.int64]]) -> Forecast:
    """The linear model of the week, with the penalty that is best on the months that choose."""

    def features(targets: NDArray[np.int64]) -> Tensor:
        week, _ = series.weeks(targets)
        return week.transpose(0, 1).flatten(1).double()

    known = features(hours["train"])
    moved = (series.answers(hours["train"]) - series.weeks(hours["train"])[1]).double()
    # About their means, so that the penalty leaves the intercept alone.
    center, usual = known.mean(dim=0), moved.mean()
    gram, right = (known - center).T @ (known - center), (known - center).T @ (moved - usual)

    def fitted(penalty: float) -> Forecast:
        weights = torch.linalg.solve(gram + penalty * torch.eye(len(gram), dtype=gram.dtype), right)
        return lambda targets: series.weeks(targets)[1] + ((features(targets) - center) @ weights + usual).float()

    return min(map(fitted, PENALTIES), key=lambda forecast: squared_error(series, forecast, hours["choose"]))


def train(series: Series, hours: dict[str, NDArray[np.int64]], seed: int, passes: int) -> Forecast:
    """A deep GRU that reads the week day by day and predicts how far OT moves from its last value.

    Of all passes the one that is best on the months that choose is kept.
    """
    torch.manual_seed(seed)
    net = DeepRNN(DAY * COLUMNS, [GRU(WIDTH)] * LAYERS, 1, dropout=DROPOUT, variational_dropout=True)
    assert net.output is not None
    with torch.no_grad():
        net.output.weight *= 0.1  # it begins near "same hour yesterday"

    def forecast(targets: NDArray[np.int64]) -> Tensor:
        with torch.inference_mode():
            parts = [_predict(net, *series.weeks(part)) for part in np.array_split(targets, 1 + len(targets) // 512)]
        return torch.cat(parts)

    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    a_pass = len(hours["train"]) // BATCH
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1.0, (s + 1) / 50) * 0.5 * (1 + math.cos(math.pi * s / (passes * a_pass)))
    )
    order = np.random.default_rng(seed)
    shown = Console(stderr=True, highlight=False)
    best, kept = math.inf, {name: weight.clone() for name, weight in net.state_dict().items()}
    for number in range(passes):
        shuffled = order.permutation(hours["train"])
        net.train()
        name = f"seed {seed}, pass {number + 1}/{passes}"
        for step in track(range(a_pass), name, console=shown, transient=True, disable=not shown.is_terminal):
            targets = shuffled[step * BATCH : (step + 1) * BATCH]
            week, last = series.weeks(targets)
            loss = (
                (_predict(net, week + NOISE * torch.randn_like(week), last) - series.answers(targets)).square().mean()
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        net.eval()
        found = squared_error(series, forecast, hours["choose"])
        shown.print(f"{name}: {found:.4f} on the months that choose")
        if found < best:
            best, kept = found, {name: weight.clone() for name, weight in net.state_dict().items()}
    net.load_state_dict(kept)
    return forecast


def _predict(net: DeepRNN, week: Tensor, last: Tensor) -> Tensor:
    """OT (B,) from a week (168, B, 7) and its last OT (B,): the net's last output is added to that."""
    output = net(by_day(week)).output
    assert output is not None
    return last + output[-1, :, 0]


def by_day(week: Tensor) -> Tensor:
    """A week (168, B, 7), hour by hour, as (7, B, 24 * 7): a day's hours and columns side by side."""
    return week.unflatten(0, (-1, DAY)).transpose(1, 2).flatten(2)


def plot(series: Series, forecasts: dict[str, Forecast], targets: NDArray[np.int64], path: Path) -> None:
    """Three weeks of the test months: what was, and what each model said a day before."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = targets[: 3 * WEEK]
    figure, axes = plt.subplots(figsize=(11, 4), layout="constrained")
    axes.plot(series.answers(shown) * series.degrees, color="black", linewidth=1.6, label="measured")
    for name, forecast in forecasts.items():
        axes.plot(forecast(shown) * series.degrees, linewidth=1.0, label=name)
    axes.set_xlabel("hours since the first test hour")
    axes.set_ylabel("OT in °C from the training mean")
    axes.set_title("Oil temperature, predicted 24 hours ahead: first three test weeks")
    figure.legend(ncols=len(forecasts) + 1, loc="outside lower center", fontsize="small")
    figure.savefig(path, dpi=120)
    print(f"plot: {path}")


def main() -> None:
    """Fits all three and prints their errors."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--csv", type=Path, required=True, help="ETTh1.csv")
    parser.add_argument("--seeds", type=int, default=5, help="trainings; the forecast is their mean")
    parser.add_argument("--passes", type=int, default=PASSES, help="passes over the training months")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads")
    parser.add_argument("--plot", type=Path, default=Path("oil_temperature.png"), help="where the plot goes")
    parser.add_argument("--choose-only", action="store_true", help="stop before the test months are read")
    options = parser.parse_args()
    if not options.csv.is_file():
        parser.error(f"--csv {options.csv}: there is no such file; it is ETT-small/ETTh1.csv of zhouhaoyi/ETDataset.")
    if not options.plot.parent.is_dir():
        parser.error(f"--plot {options.plot}: there is no directory {options.plot.parent}; make it first.")
    for name in ("seeds", "passes", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} {getattr(options, name)}: at least 1.")
    torch.set_num_threads(options.threads)
    series, hours = read_series(options.csv), target_hours()
    nets = [train(series, hours, seed, options.passes) for seed in range(options.seeds)]
    forecasts: dict[str, Forecast] = {
        "same hour yesterday": yesterday(series),
        "ridge on the week": ridge(series, hours),
        f"deep GRU, {LAYERS} x {WIDTH}": lambda targets: torch.stack([net(targets) for net in nets]).mean(dim=0),
    }
    parts = ["choose"] if options.choose_only else ["choose", "test"]
    print("mean squared error of OT, 24 hours ahead (scaled units; °C² in brackets)")
    print(f"{'':24}" + "".join(f"{part:>20}" for part in parts))
    for name, forecast in forecasts.items():
        errors = [squared_error(series, forecast, hours[part]) for part in parts]
        print(f"{name:24}" + "".join(f"{e:>11.4f} ({e * series.degrees**2:5.2f})" for e in errors))
    if not options.choose_only:
        plot(series, forecasts, hours["test"], options.plot)


if __name__ == "__main__":
    main()
