"""Ways to run one layer over a sequence, all with one signature (`interface.py`)."""

from deeprnn.kernels.choice import KERNELS as KERNELS
from deeprnn.kernels.choice import Choice as Choice
from deeprnn.kernels.choice import choose as choose
from deeprnn.kernels.choice import force as force
from deeprnn.kernels.interface import Facts as Facts
from deeprnn.kernels.interface import Kernel as Kernel
from deeprnn.kernels.interface import Scan as Scan
from deeprnn.kernels.interface import ScanResult as ScanResult
