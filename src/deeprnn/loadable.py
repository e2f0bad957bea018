"""What can't be loaded isn't saved: a net's tensors beside those of a net that is built from its configuration."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.utils import parametrize

from deeprnn.sharing import overlapping


def check_loadable(net: nn.Module, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuses to save what would not load as the net that it is.

    Args:
        net: the net, for the reasons.
        tensors: its state, each tensor under its first name.
        expected: the state of a net built from the configuration that would be saved, on any device.

    Raises:
        ValueError: a weight is parametrised or pruned, the net was changed since it was built, its dtypes differ, it
            has no values, or two parameters overlap in memory; the message says how to save it.
    """
    for name in sorted(expected.keys() - tensors.keys()):
        raise ValueError(f"the net can't be saved: {_why_missing(net, name)}")
    foreign = sorted(tensors.keys() - expected.keys())
    if foreign:
        raise ValueError(
            f"the net can't be saved: it holds {foreign[0]}{' and others' if len(foreign) > 1 else ''}, which a "
            f"DeepRNN built from its configuration would not.\n  Save what was added on its own, and take it out."
        )
    for name, tensor in tensors.items():
        wanted = expected[name]
        if tensor.shape != wanted.shape:
            raise ValueError(
                f"the net can't be saved: {name} has shape {tuple(tensor.shape)}, but a DeepRNN built from its "
                f"configuration has {tuple(wanted.shape)} there; the net was changed since it was built."
            )
        if tensor.dtype != wanted.dtype:
            raise ValueError(
                f"the net can't be saved: {name} is {tensor.dtype}, but its bottom layer is {wanted.dtype}.\n"
                f"  Bring the net to one dtype: net.to({wanted.dtype})."
            )
        if tensor.device.type == "meta":
            raise ValueError(f"the net can't be saved: {name} is on the meta device, it has no values.")
    pair = overlapping(tensors)
    if pair is not None:
        raise ValueError(
            f"the net can't be saved: {pair[0]} and {pair[1]} overlap in memory without being one parameter.\n"
            f"  Make them one (the same nn.Parameter in both places), or two: parameter.data = parameter.data.clone()."
        )


def _why_missing(net: nn.Module, name: str) -> str:
    """Why a weight is not a parameter, and how to make it one."""
    owner, _, weight = name.rpartition(".")
    try:
        module = net.get_submodule(owner)
    except AttributeError:
        return f"there is no {owner}, but a DeepRNN built from its configuration has one."
    names = {*module._parameters, *module._buffers}
    utils, arguments = "torch.nn.utils", f"(net.get_submodule({owner!r}), {weight!r})"
    if parametrize.is_parametrized(module, weight):
        parametrization = module.get_submodule(f"parametrizations.{weight}")
        kinds = ", ".join(type(part).__name__.lstrip("_") for part in parametrization.children())
        return (
            f"{name} is computed by a parametrization ({kinds}), and only what it computes can be saved.\n"
            f"  Make that the weight: {utils}.parametrize.remove_parametrizations{arguments}"
        )
    remedies = {
        "pruned": ({f"{weight}_orig", f"{weight}_mask"}, "prune.remove"),
        "under weight_norm": ({f"{weight}_g", f"{weight}_v"}, "remove_weight_norm"),
        "under spectral_norm": ({f"{weight}_orig", f"{weight}_u"}, "remove_spectral_norm"),
    }
    for state, (parts, remedy) in remedies.items():
        if parts <= names:
            return (
                f"{name} is {state}, and only what that computes can be saved.\n"
                f"  Make that the weight: {utils}.{remedy}{arguments}"
            )
    return f"{name} is not a parameter of it, but a DeepRNN built from its configuration has that parameter."
