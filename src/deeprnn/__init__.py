"""Deep recurrent neural networks: deep in time, deep in layers."""

from deeprnn import kernels as kernels
from deeprnn.cells import GRU as GRU
from deeprnn.cells import LSTM as LSTM
from deeprnn.cells import Cell as Cell
from deeprnn.cells import Elman as Elman
from deeprnn.deep import DeepRNN as DeepRNN
from deeprnn.deep import Result as Result
from deeprnn.state import DeepState as DeepState
from deeprnn.state import State as State

__version__ = "0.1.0"
