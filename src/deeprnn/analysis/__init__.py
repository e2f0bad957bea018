"""What each layer of a net knows: recordings, interventions, labels, measurements."""

from deeprnn.analysis import labels as labels
from deeprnn.analysis.adapters import as_deep as as_deep
from deeprnn.analysis.context_need import ContextNeed as ContextNeed
from deeprnn.analysis.context_need import context_need as context_need
from deeprnn.analysis.interventions import add as add
from deeprnn.analysis.interventions import erase as erase
from deeprnn.analysis.interventions import replace as replace
from deeprnn.analysis.interventions import zero as zero
from deeprnn.analysis.names import Name as Name
from deeprnn.analysis.names import names_of as names_of
from deeprnn.analysis.recording import Recording as Recording
from deeprnn.analysis.recording import record as record
