"""A text and a network small enough to train within a test."""

import torch

from deeprnn import GRU, LSTM, DeepRNN, Elman
from deeprnn.tasks.text import Characters, Corpus, Vocabulary

WORDS = [
    "to be or not to be, that is the question:",
    "whether 'tis nobler in the mind to suffer",
    "ay, there's the rub",
]


def corpus() -> Corpus:
    return Corpus.from_texts([word * 4 for word in WORDS], held_out=["to suffer", "or not to be? ay", "é", "x" * 40])


def vocabulary() -> Vocabulary:
    return Characters.of(corpus().training)


def net(seed: int = 0, *, dropout: float = 0.2) -> DeepRNN:
    """Every kind of cell, and every kind of noise."""
    torch.manual_seed(seed)
    cells = [GRU(7), LSTM(5, learn_initial=True, recurrent_dropout=0.1), Elman(6, "softplus", zoneout=0.1)]
    size = len(vocabulary())
    return DeepRNN(size, cells, size, dropout=dropout, variational_dropout=True)
