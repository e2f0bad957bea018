"""The scan beside the reference loop and torch.nn.GRU of the same width: `python -m benchmarks.scan`.

Prints a Markdown table of medians in milliseconds, timed in turns in one process, after the scan's results and
gradients were compared with the loop's.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from deeprnn import RGLRU, DeepRNN, MinGRU, MinLSTM, kernels
from deeprnn.cells import LinearCell

STEPS = 1024
SIZES = ((1, 64), (1, 256), (8, 64), (8, 128), (32, 256))
"""B, H; the layer reads H features."""
CELLS: tuple[type[LinearCell], ...] = (MinGRU, MinLSTM, RGLRU)
ROUNDS = 3


def main(cells: Sequence[str]) -> None:
    """The table, for the cells of these names; all without any."""
    print("| cell | B, H | task | scan | reference loop | torch.nn.GRU |\n| --- | --- | --- | --- | --- | --- |")
    for cell in CELLS:
        if cells and cell.__name__ not in cells:
            continue
        for batch, width in SIZES:
            for task, times in _row(cell(width), batch).items():  # type: ignore[call-arg]
                ours = times["scan"]
                shown = [f"{ours:.2f} ms", *(f"{times[name] / ours:.1f}x" for name in ("reference", "torch.nn.GRU"))]
                print(f"| {cell.__name__} | {batch}, {width} | {task} | {' | '.join(shown)} |", flush=True)


def _row(cell: LinearCell, batch: int) -> dict[str, dict[str, float]]:
    torch.manual_seed(0)
    net, gru = DeepRNN(cell.width, [cell]), nn.GRU(cell.width, cell.width)
    x = torch.randn(STEPS, batch, cell.width, requires_grad=True)

    def hidden(kernel: str) -> Tensor:
        with kernels.force(kernel):
            return net(x).hidden[0]

    def step(model: nn.Module, output: Callable[[], Tensor]) -> Sequence[Tensor]:
        return torch.autograd.grad(output().sum(), [x, *model.parameters()])

    def inference(output: Callable[[], Tensor]) -> Tensor:
        with torch.no_grad():
            return output()

    outputs: dict[str, tuple[nn.Module, Callable[[], Tensor]]] = {
        "scan": (net, lambda: hidden("scan")),
        "reference": (net, lambda: hidden("reference")),
        "torch.nn.GRU": (gru, lambda: gru(x)[0]),
    }
    for found, right in zip(
        (inference(outputs["scan"][1]), *step(*outputs["scan"])),
        (inference(outputs["reference"][1]), *step(*outputs["reference"])),
        strict=True,
    ):
        torch.testing.assert_close(found, right, rtol=1e-3, atol=1e-4 * float(right.detach().abs().max()))
    return {
        "inference": _medians({name: lambda out=out: inference(out) for name, (_, out) in outputs.items()}),
        "training": _medians({name: lambda m=m, out=out: step(m, out) for name, (m, out) in outputs.items()}),
    }


def _medians(runs: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Milliseconds, the runs taking turns."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            run()  # what the one before left in the caches is not this one's
            begun = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begun)
    return {name: 1e3 * statistics.median(seconds) for name, seconds in times.items()}


if __name__ == "__main__":
    main(sys.argv[1:])
