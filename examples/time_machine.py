"""The chapter "Deep Recurrent Neural Networks" of Dive into Deep Learning, repeated: two layers of 32 units.

    python examples/time_machine.py --text timemachine.txt           # train on all windows, validate once
    python examples/time_machine.py --text timemachine.txt --tune    # how the settings below were chosen

The task is the chapter's. H. G. Wells' *The Time Machine*, lowercased, every run of non-letters one space; a window
of 32 characters and their 32 next ones at every offset; the first 10,000 windows train, the next 5,000 validate; each
window starts from the zero state; the figure is exp of the mean cross-entropy over all positions of all windows.

The settings are ours, chosen on the last 2,000 of the training windows alone, with the windows before them for
training (32 between the two are left out, since they share characters with both). The validation windows were read
once, with the settings below. Ten thousand windows hold only 10,032 characters, so that what counts is not to learn
them by heart: one dropout mask for all steps of a window, between the layers and on the recurrence (Gal & Ghahramani
2016), and AdamW with a cosine instead of the chapter's SGD.
"""

import argparse
import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import track
from torch import Tensor

from deeprnn import GRU, Cell, DeepRNN, Elman

STEPS = 32
TRAINING, VALIDATION = 10_000, 5_000
TUNING = 2_000
CHAPTER = {"Elman": 6.95, "GRU": 6.11}
"""Validation perplexities of the chapter's own run: batch 1024, SGD with learning rate 2, clipping 1, 100 epochs."""


@dataclass(frozen=True)
class Settings:
    """How one network is trained."""

    epochs: int = 15
    batch: int = 256
    learning_rate: float = 2e-2
    dropout: float = 0.1
    recurrent_dropout: float = 0.2
    warm_up: int = 50
    clip: float = 1.0


CHOSEN = {"Elman": Settings(dropout=0.1), "GRU": Settings(dropout=0.2)}
CELLS: dict[str, Callable[[float], Cell]] = {
    "Elman": lambda recurrent_dropout: Elman(32, recurrent_dropout=recurrent_dropout),
    "GRU": lambda recurrent_dropout: GRU(32, recurrent_dropout=recurrent_dropout),
}

GRID = {
    "Elman": [Settings(dropout=p, recurrent_dropout=q) for p, q in ((0.1, 0.0), (0.1, 0.1), (0.1, 0.2), (0.2, 0.1))],
    "GRU": [Settings(dropout=p, recurrent_dropout=q) for p, q in ((0.2, 0.0), (0.1, 0.3), (0.2, 0.2))],
}
"""What --tune tries."""


def read_characters(path: Path) -> Tensor:
    """The text as numbers from 0 on, one a character, lowercased and with every run of non-letters one space."""
    text = re.sub("[^A-Za-z]+", " ", path.read_text(encoding="utf-8", errors="replace")).lower()
    needed = TRAINING + VALIDATION + STEPS
    if len(text) < needed:
        sys.exit(
            f"error: {path} holds {len(text):,} letters and spaces, and {needed:,} are needed;\n"
            f"  give the whole text of The Time Machine (Project Gutenberg's eBook 35)."
        )
    symbols = {character: index for index, character in enumerate(sorted(set(text)))}
    return torch.tensor([symbols[character] for character in text])


def perplexity(net: DeepRNN, windows: Tensor) -> float:
    """exp of the mean of -ln p(next character), over all positions of windows (N, STEPS + 1), from zero states."""
    net.eval()
    with torch.inference_mode():
        output = net(windows[:, :-1].T).output
        assert output is not None
        return math.exp(F.cross_entropy(output.flatten(0, 1), windows[:, 1:].T.flatten()).item())


def train(cell: str, settings: Settings, windows: Tensor, symbols: int, seed: int) -> DeepRNN:
    """A network of two such layers, trained on windows (N, STEPS + 1)."""
    torch.manual_seed(seed)
    layers = [CELLS[cell](settings.recurrent_dropout) for _ in range(2)]
    net = DeepRNN(symbols, layers, symbols, dropout=settings.dropout, variational_dropout=True)
    optimizer = torch.optim.AdamW(net.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99), weight_decay=0.0)
    a_pass = len(windows) // settings.batch
    total = settings.epochs * a_pass
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1.0, (s + 1) / settings.warm_up) * 0.5 * (1 + math.cos(math.pi * s / total))
    )
    order, name = torch.empty(0), f"{cell}, seed {seed}"
    shown = Console(stderr=True, highlight=False)
    for step in track(range(total), name, console=shown, transient=True, disable=not shown.is_terminal):
        if step % a_pass == 0:
            order = torch.randperm(len(windows))
        first = step % a_pass * settings.batch
        batch = windows[order[first : first + settings.batch]]
        output = net(batch[:, :-1].T).output
        assert output is not None
        loss = F.cross_entropy(output.flatten(0, 1), batch[:, 1:].T.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), settings.clip)
        optimizer.step()
        schedule.step()
        if not shown.is_terminal and (step + 1) % a_pass == 0:
            shown.print(f"{name}: epoch {(step + 1) // a_pass} of {settings.epochs}, training loss {loss.item():.3f}")
    return net


def tune(windows: Tensor, symbols: int) -> None:
    """Every setting of the grid, measured on the last of the training windows."""
    training, judging = windows[: TRAINING - TUNING - STEPS], windows[TRAINING - TUNING : TRAINING]
    for cell, grid in GRID.items():
        for settings in grid:
            found = perplexity(train(cell, settings, training, symbols, seed=0), judging)
            print(f"{cell:5} perplexity {found:.2f} on the tuning windows   {settings}", flush=True)


def main() -> None:
    """Trains both networks and prints their perplexities beside the chapter's."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--text", type=Path, required=True, help="The Time Machine as a text file")
    parser.add_argument("--cell", choices=sorted(CELLS), action="append", help="one network instead of both")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each network; the median is the figure")
    parser.add_argument("--epochs", type=int, default=None, help="passes over the windows, instead of the chosen ones")
    parser.add_argument("--threads", type=int, default=2, help="torch's threads")
    parser.add_argument("--tune", action="store_true", help="compare settings on the tuning windows instead")
    options = parser.parse_args()
    if not options.text.is_file():
        parser.error(f"--text {options.text}: there is no such file; give the text of The Time Machine.")
    for name in ("seeds", "epochs", "threads"):
        number = getattr(options, name)
        if number is not None and number < 1:
            parser.error(f"--{name} {number}: at least 1.")
    torch.set_num_threads(options.threads)
    characters = read_characters(options.text)
    windows, symbols = characters.unfold(0, STEPS + 1, 1), int(characters.max()) + 1
    if options.tune:
        tune(windows, symbols)
        return
    validation = windows[TRAINING : TRAINING + VALIDATION]
    print("validation perplexity, 2 layers of 32 units          D2L    deeprnn (each seed)", flush=True)
    for cell in options.cell or CELLS:
        settings = CHOSEN[cell] if options.epochs is None else replace(CHOSEN[cell], epochs=options.epochs)
        nets = [train(cell, settings, windows[:TRAINING], symbols, seed) for seed in range(options.seeds)]
        found = sorted(perplexity(net, validation) for net in nets)
        each = ", ".join(f"{value:.2f}" for value in found)
        print(f"{cell:48} {CHAPTER[cell]:7.2f}    {found[len(found) // 2]:.2f}  ({each})", flush=True)


if __name__ == "__main__":
    main()
