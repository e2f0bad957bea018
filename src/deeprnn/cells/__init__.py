"""The cells: one file each, its equations as one pure step."""

from deeprnn.cells.base import CELLS as CELLS
from deeprnn.cells.base import Cell as Cell
from deeprnn.cells.base import Recur as Recur
from deeprnn.cells.base import normalise_gates as normalise_gates
from deeprnn.cells.elman import Elman as Elman
from deeprnn.cells.gru import GRU as GRU
from deeprnn.cells.lstm import LSTM as LSTM
