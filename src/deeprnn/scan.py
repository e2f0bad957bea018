"""The one operation: this layer over this sequence, by the kernel that fits."""

from deeprnn.kernels import Scan, ScanResult, choose


def run(scan: Scan) -> ScanResult:
    """Runs one layer over one sequence in one direction.

    Returns:
        hidden (T, B, H), cells (T, B, H) if asked for, and the state after each row's last step.

    Raises:
        RuntimeError: a kernel is forced that cannot run it.
    """
    return choose(scan.facts()).kernel.run(scan)
