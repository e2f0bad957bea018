"""The cells: one file each, and all of it. Its weights and how they start, its gates and states, its equations."""

from deeprnn.cells.base import Cell as Cell
from deeprnn.cells.base import Gate as Gate
from deeprnn.cells.base import Recur as Recur
from deeprnn.cells.base import normalise as normalise
from deeprnn.cells.base import normalise_gates as normalise_gates
from deeprnn.cells.elman import Elman as Elman
from deeprnn.cells.gru import GRU as GRU
from deeprnn.cells.indrnn import IndRNN as IndRNN
from deeprnn.cells.ligru import LiGRU as LiGRU
from deeprnn.cells.linear import LinearCell as LinearCell
from deeprnn.cells.linear import LinearForm as LinearForm
from deeprnn.cells.lstm import LSTM as LSTM
from deeprnn.cells.mingru import MinGRU as MinGRU
from deeprnn.cells.minlstm import MinLSTM as MinLSTM
from deeprnn.cells.registry import CELLS as CELLS
from deeprnn.cells.registry import register as register
from deeprnn.cells.rglru import RGLRU as RGLRU
from deeprnn.cells.slstm import SLSTM as SLSTM
