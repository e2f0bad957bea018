"""Training a network on any task: the loop, its schedule, checkpoints and runs on disk."""

from deeprnn.training.device import choose_device as choose_device
from deeprnn.training.device import make_fabric as make_fabric
from deeprnn.training.device import set_threads as set_threads
from deeprnn.training.errors import Diverged as Diverged
from deeprnn.training.errors import RunError as RunError
from deeprnn.training.errors import Stopped as Stopped
from deeprnn.training.plan import Plan as Plan
from deeprnn.training.report import Progress as Progress
from deeprnn.training.report import Report as Report
from deeprnn.training.run import Run as Run
from deeprnn.training.settings import Settings as Settings
from deeprnn.training.start import Continuation as Continuation
from deeprnn.training.start import TrainingResult as TrainingResult
from deeprnn.training.start import resume as resume
from deeprnn.training.start import train as train
from deeprnn.training.task import Batch as Batch
from deeprnn.training.task import Batches as Batches
from deeprnn.training.task import Loss as Loss
from deeprnn.training.task import rows_of_rank as rows_of_rank
