"""Training on text: the loop, its checkpoints and runs on disk, evaluation, samples."""

from deeprnn.training.errors import Diverged as Diverged
from deeprnn.training.errors import RunError as RunError
from deeprnn.training.errors import Stopped as Stopped
from deeprnn.training.evaluate import CONTEXT as CONTEXT
from deeprnn.training.evaluate import PIECE as PIECE
from deeprnn.training.evaluate import Evaluation as Evaluation
from deeprnn.training.evaluate import EvaluationSpeed as EvaluationSpeed
from deeprnn.training.evaluate import evaluate as evaluate
from deeprnn.training.loop import Trained as Trained
from deeprnn.training.loop import resume as resume
from deeprnn.training.loop import train as train
from deeprnn.training.report import Progress as Progress
from deeprnn.training.report import Report as Report
from deeprnn.training.run import Run as Run
from deeprnn.training.sample import sample as sample
from deeprnn.training.sample import sample_pieces as sample_pieces
from deeprnn.training.settings import Settings as Settings
