"""What a row could reach at most on this machine: its operations, the weights it reads, and the probe's two limits."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from benchmarks.grid import Row

_FLOAT_BYTES = 4


def flops(row: Row) -> int:
    """Floating-point operations of the row's matrix products, as they are executed; pointwise work is not counted.

    In inference each layer multiplies T inputs and T states. In training it also computes both weights' gradients
    (T products each), the gradient of its state (T - 1: the initial one needs none), and that of its input, which
    the bottom layer leaves out: x is data.
    """
    L, T = row.shape.L, row.shape.T
    products = 2 * L * T
    if row.task == "training":
        products += 2 * L * T + L * (T - 1) + (L - 1) * T
    return products * 2 * row.shape.B * _weights(row)


def weight_bytes(row: Row) -> int:
    """Bytes of weights that the row must read: W_hh in every step, W_xh once a pass over the sequence."""
    L, T = row.shape.L, row.shape.T
    reads = L * T + L
    if row.task == "training":
        reads += L * (T - 1) + L - 1
    return reads * recurrent_bytes(row)


def recurrent_bytes(row: Row) -> int:
    """Bytes of one layer's W_hh, which are read again in every step; W_xh has as many."""
    return _weights(row) * _FLOAT_BYTES


def _weights(row: Row) -> int:
    return row.bench_cell.gates * row.shape.H * row.shape.H


@dataclass(frozen=True)
class Limits:
    """What the probe measured beside a row.

    Attributes:
        fma_gflops: multiply-adds in registers, 10^9 operations a second.
        read_gbps: every thread reading its share of one layer's W_hh over and over, in all 10^9 bytes a second.
    """

    fma_gflops: float
    read_gbps: float

    def gflops(self, row: Row) -> float:
        """The bound of a row."""
        return min(self.fma_gflops, self.read_gbps * flops(row) / weight_bytes(row))

    def of(self, row: Row) -> dict[str, float]:
        """As a row's entry holds them, the row's bound among them."""
        return asdict(self) | {"gflops": self.gflops(row)}


def settled(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of results whose limits are the largest that any row found, with as many threads and bytes.

    A limit is the machine's, not a row's, and what disturbs a probe can only lower what it finds.
    """
    fma: dict[int, float] = {}
    read: dict[tuple[int, int], float] = {}
    probed = [(Row.from_json(entry), entry) for entry in entries if entry["limits"] is not None]
    for row, entry in probed:
        limits, bytes_read = entry["limits"], (row.threads, recurrent_bytes(row))
        fma[row.threads] = max(fma.get(row.threads, 0.0), limits["fma_gflops"])
        read[bytes_read] = max(read.get(bytes_read, 0.0), limits["read_gbps"])
    best = {
        id(entry): Limits(fma[row.threads], read[row.threads, recurrent_bytes(row)]).of(row) for row, entry in probed
    }
    return [entry | {"limits": best.get(id(entry))} for entry in entries]


@dataclass(frozen=True)
class Probe:
    """The two measurements of csrc's probe, for the instruction set that the kernels run: from threads (and bytes)."""

    fma_peak_gflops: Callable[[int], float]
    read_gbps: Callable[[int, int], float]

    def limits(self, row: Row) -> Limits:
        """Both, with the row's threads, now; read_gbps takes the bytes of one thread and tells the sum of all."""
        return Limits(
            self.fma_peak_gflops(row.threads),
            self.read_gbps(row.threads, recurrent_bytes(row) // row.threads),
        )


def probe() -> Probe | None:
    """The probe, where the compiled kernels and it are there."""
    try:
        from deeprnn.kernels.native import extension
    except ImportError:
        return None
    if not extension.built():
        return None
    native, isa = extension.native(), extension.isa()
    return Probe(partial(native.fma_peak_gflops, isa), partial(native.read_gbps, isa))
