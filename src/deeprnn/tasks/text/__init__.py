"""Texts: documents and how they are split, vocabularies, and the streams that training reads."""

from deeprnn.tasks.text.corpus import Corpus as Corpus
from deeprnn.tasks.text.corpus import Document as Document
from deeprnn.tasks.text.corpus import read_documents as read_documents
from deeprnn.tasks.text.files import TextError as TextError
from deeprnn.tasks.text.streams import Streams as Streams
from deeprnn.tasks.text.streams import Window as Window
from deeprnn.tasks.text.vocabulary import BOUNDARY as BOUNDARY
from deeprnn.tasks.text.vocabulary import VOCABULARIES as VOCABULARIES
from deeprnn.tasks.text.vocabulary import Bytes as Bytes
from deeprnn.tasks.text.vocabulary import Characters as Characters
from deeprnn.tasks.text.vocabulary import Vocabulary as Vocabulary
from deeprnn.tasks.text.vocabulary import load_vocabulary as load_vocabulary
