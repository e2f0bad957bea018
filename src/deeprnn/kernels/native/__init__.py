"""The compiled CPU kernels of csrc/, and what stands between them and Python."""

from deeprnn.kernels.native.kernel import NAME as NAME
from deeprnn.kernels.native.kernel import run as run
from deeprnn.kernels.native.kernel import why_not as why_not
