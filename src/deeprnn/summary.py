"""A net as a table: a row a layer, with the kernel that runs it and why no faster one does."""

from collections.abc import Sequence

from torch import nn

from deeprnn.kernels import choose
from deeprnn.layer import RecurrentLayer

_HEADINGS = ("layer", "cell", "options", "reads", "writes", "parameters", "kernel", "why no faster kernel")


def summarise(layers: Sequence[RecurrentLayer], output: nn.Module | None, *, output_reads: str) -> str:
    """The table of `DeepRNN.summary`, for a plain call (no lengths, no resets) in the layers' present mode.

    Args:
        layers: bottom layer first.
        output: the output layer, if any.
        output_reads: what it reads, in words.
    """
    rows: list[Sequence[str]] = [_HEADINGS]
    rows += [_layer_row(index, layer) for index, layer in enumerate(layers)]
    if output is not None:
        # A person may have put another module there.
        reads, writes = (str(getattr(output, name, "")) for name in ("in_features", "out_features"))
        rows.append(("output", type(output).__name__, output_reads, reads, writes, _count(output), "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    shared = {p: p.numel() for part in (*layers, output) if part is not None for p in part.parameters()}
    footer = f"{sum(shared.values()):,} parameters, {layers[0].dtype} on {layers[0].device}"
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:], footer])


def _layer_row(index: int, layer: RecurrentLayer) -> Sequence[str]:
    choice = choose(layer.spec())
    options = ", ".join(f"{name}={value}" for name, value in layer.cell.options().items())
    return (
        f"layer {index + 1} (layers.{index})",
        layer.cell.describe(),
        options,
        str(layer.input_size),
        str(layer.cell.output_width),
        _count(layer),
        choice.kernel.NAME,
        "; ".join(choice.passed_over.values()),
    )


def _count(module: nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in module.parameters()):,}"
