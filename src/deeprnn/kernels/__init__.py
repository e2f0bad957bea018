"""Ways to run one layer over a sequence, all with one signature (`interface.py`)."""

from deeprnn.kernels import scan
from deeprnn.kernels.choice import Choice as Choice
from deeprnn.kernels.choice import choose as choose
from deeprnn.kernels.choice import force as force
from deeprnn.kernels.choice import offered_first as offered_first
from deeprnn.kernels.choice import register as register
from deeprnn.kernels.choice import registered as registered
from deeprnn.kernels.choice import unregister as unregister
from deeprnn.kernels.interface import CallSpec as CallSpec
from deeprnn.kernels.interface import Kernel as Kernel
from deeprnn.kernels.interface import LayerCall as LayerCall
from deeprnn.kernels.interface import LayerOutput as LayerOutput
from deeprnn.kernels.malloc import keep_memory as keep_memory
from deeprnn.kernels.native.extension import INSTRUCTION_SETS as INSTRUCTION_SETS
from deeprnn.kernels.native.extension import Info as Info
from deeprnn.kernels.native.extension import info as info
from deeprnn.kernels.native.extension import instruction_set as instruction_set
from deeprnn.kernels.native.packed import forget_packed as forget_packed

register(scan, before="reference")
