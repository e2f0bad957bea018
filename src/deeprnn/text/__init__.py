"""Texts: documents and how they are split, vocabularies, and the streams that training reads."""

from deeprnn.text.corpus import Corpus as Corpus
from deeprnn.text.corpus import Document as Document
from deeprnn.text.corpus import read_documents as read_documents
from deeprnn.text.files import TextError as TextError
from deeprnn.text.streams import Streams as Streams
from deeprnn.text.streams import Window as Window
from deeprnn.text.vocabulary import BOUNDARY as BOUNDARY
from deeprnn.text.vocabulary import VOCABULARIES as VOCABULARIES
from deeprnn.text.vocabulary import Bytes as Bytes
from deeprnn.text.vocabulary import Characters as Characters
from deeprnn.text.vocabulary import Vocabulary as Vocabulary
from deeprnn.text.vocabulary import load_vocabulary as load_vocabulary
