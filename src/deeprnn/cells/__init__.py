"""The cells: one file each, and all of it. Its weights and how they start, its gates and states, its equations."""

from deeprnn.cells.base import Cell as Cell
from deeprnn.cells.base import Gate as Gate
from deeprnn.cells.base import Recur as Recur
from deeprnn.cells.base import normalise as normalise
from deeprnn.cells.base import normalise_gates as normalise_gates
from deeprnn.cells.elman import Elman as Elman
from deeprnn.cells.gru import GRU as GRU
from deeprnn.cells.lstm import LSTM as LSTM
from deeprnn.cells.registry import CELLS as CELLS
from deeprnn.cells.registry import register as register
