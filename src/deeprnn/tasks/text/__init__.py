"""Text: documents and how they are split, vocabularies, training, evaluation, samples."""

from deeprnn.tasks.text.corpus import Corpus as Corpus
from deeprnn.tasks.text.corpus import Document as Document
from deeprnn.tasks.text.corpus import read_documents as read_documents
from deeprnn.tasks.text.evaluation import CONTEXT as CONTEXT
from deeprnn.tasks.text.evaluation import PIECE as PIECE
from deeprnn.tasks.text.evaluation import Evaluation as Evaluation
from deeprnn.tasks.text.evaluation import EvaluationSpeed as EvaluationSpeed
from deeprnn.tasks.text.evaluation import evaluate as evaluate
from deeprnn.tasks.text.files import TextError as TextError
from deeprnn.tasks.text.loss import NextSymbolLoss as NextSymbolLoss
from deeprnn.tasks.text.run import TextRun as TextRun
from deeprnn.tasks.text.sampling import sample as sample
from deeprnn.tasks.text.sampling import sample_pieces as sample_pieces
from deeprnn.tasks.text.streams import Streams as Streams
from deeprnn.tasks.text.training import Trained as Trained
from deeprnn.tasks.text.training import resume as resume
from deeprnn.tasks.text.training import train as train
from deeprnn.tasks.text.vocabulary import BOUNDARY as BOUNDARY
from deeprnn.tasks.text.vocabulary import VOCABULARIES as VOCABULARIES
from deeprnn.tasks.text.vocabulary import Bytes as Bytes
from deeprnn.tasks.text.vocabulary import Characters as Characters
from deeprnn.tasks.text.vocabulary import Vocabulary as Vocabulary
from deeprnn.tasks.text.vocabulary import load_vocabulary as load_vocabulary
