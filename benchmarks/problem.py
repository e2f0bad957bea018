"""What every contender of a row is given: weights, input, and the gradient that reaches the top layer."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from benchmarks.grid import Row

Array: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Problem:
    """The numbers of one row, the same for every contender.

    Attributes:
        weights: a mapping a layer, bottom layer first, with deeprnn's names and shapes: weight_xh (G*H, I),
            weight_hh (G*H, H), bias (G*H,), and a GRU's bias_hn (H,); gates in torch's order.
        x: (T, B, I).
        upstream: (T, B, H), the gradient of the top layer's hidden states.
    """

    weights: tuple[dict[str, Array], ...]
    x: Array
    upstream: Array


def problem_of(row: Row) -> Problem:
    """The row's numbers: weights as torch.nn draws them, U(-1/sqrt(H), 1/sqrt(H)); x and upstream normal."""
    generator = np.random.default_rng(0)
    shape, gates = row.shape, row.bench_cell.gates
    limit = shape.H**-0.5

    def drawn(*sizes: int) -> Array:
        return generator.uniform(-limit, limit, sizes).astype(np.float32)

    def layer() -> dict[str, Array]:
        weights = {
            "weight_xh": drawn(gates * shape.H, shape.H),
            "weight_hh": drawn(gates * shape.H, shape.H),
            "bias": drawn(gates * shape.H),
        }
        if row.cell == "gru":
            weights["bias_hn"] = drawn(shape.H)
        return weights

    sequence = (shape.T, shape.B, shape.H)
    return Problem(
        weights=tuple(layer() for _ in range(shape.L)),
        x=generator.standard_normal(sequence, dtype=np.float32),
        upstream=generator.standard_normal(sequence, dtype=np.float32),
    )


def second_bias(weights: dict[str, Array]) -> Array:
    """(G*H,): the bias that torch and ONNX add to the recurrent product; only a GRU's b_hn needs it."""
    bias = np.zeros_like(weights["bias"])
    if "bias_hn" in weights:
        bias[-len(weights["bias_hn"]) :] = weights["bias_hn"]
    return bias
