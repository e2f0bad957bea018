"""Whether a network can model a text, and whether a training of it can be continued."""

from deeprnn.activations import Function
from deeprnn.deep import DeepRNN
from deeprnn.tasks.text import Vocabulary


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


def check_trainable(net: DeepRNN) -> None:
    """Raises ValueError where there is nothing to train."""
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise ValueError(
            "every parameter of the network is frozen (requires_grad=False): there is nothing to train.\n"
            "  Unfreeze some: net.requires_grad_()"
        )


def check_comes_back(net: DeepRNN, loaded: DeepRNN) -> None:
    """Raises ValueError where a network differs from what was loaded of it: its training could not be continued.

    Weights that are shared, parametrised or pruned, frozen parameters: whatever a file doesn't keep.
    """
    before, after = _trained(net), _trained(loaded)
    differ = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if differ:
        raise ValueError(
            f"a run can't keep this network: {', '.join(differ[:3])} would not be the same after --resume.\n"
            f"  Shared, pruned or parametrised weights can be trained with a loop of your own, or made plain first."
        )


def functions_of(net: DeepRNN) -> dict[str, Function]:
    """The activations that no file can hold, as `DeepRNN.load` asks for them."""
    return {
        f"layers.{index}.{name}": activation
        for index, cell in enumerate(net.cells)
        for name, activation in cell.activations.items()
        if not isinstance(activation, str)
    }


def _trained(net: DeepRNN) -> dict[str, tuple[object, ...]]:
    return {name: (tuple(p.shape), p.dtype, p.requires_grad) for name, p in net.named_parameters()}
