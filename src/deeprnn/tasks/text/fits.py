"""Whether a network can model a text."""

from deeprnn.deep import DeepRNN
from deeprnn.tasks.text.vocabulary import Vocabulary


def check_fits(net: DeepRNN, vocabulary: Vocabulary) -> None:
    """Raises ValueError where a network does not predict the vocabulary's symbols from those before them."""
    size = len(vocabulary)
    if (net.input_size, net.output_size) != (size, size):
        raise ValueError(
            f"the network reads {net.input_size} symbols and writes {net.output_size}, but the vocabulary has {size}.\n"
            f"  Build it as DeepRNN(len(vocabulary), [...], len(vocabulary))."
        )
    if net.batch_first:
        raise ValueError("the network is built with batch_first=True; text is read as (T, B): build it without.")
    if any(cell.direction != "forward" for cell in net.cells):
        raise ValueError("a layer runs backward in time: it would read the very characters that are to be predicted.")
