"""Whether a network can be trained, and its training be continued from files."""

from torch import nn

from deeprnn.activations import Function
from deeprnn.deep import DeepRNN
from deeprnn.training.task import Loss


def check_trainable(net: DeepRNN) -> None:
    """Raises ValueError where there is nothing to train."""
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise ValueError(
            "every parameter of the network is frozen (requires_grad=False): there is nothing to train.\n"
            "  Unfreeze some: net.requires_grad_()"
        )


def check_loss(loss: Loss) -> None:
    """Raises ValueError where a loss has something to train: only the network is trained and saved."""
    if isinstance(loss, nn.Module) and (names := [name for name, _ in loss.named_parameters()]):
        raise ValueError(
            f"the loss has parameters ({', '.join(names[:3])}), which would not be trained.\n"
            f"  Make them a part of the network, or buffers of the loss."
        )


def check_restorable(net: DeepRNN, loaded: DeepRNN) -> None:
    """Raises ValueError where a network differs from what was loaded of it: its training could not be resumed.

    Weights that are shared, parametrised or pruned, frozen parameters: whatever a file doesn't keep.
    """
    before, after = _trained(net), _trained(loaded)
    differ = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if differ:
        raise ValueError(
            f"a run can't keep this network: {', '.join(differ[:3])} would not be the same after `resume(out)`.\n"
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
