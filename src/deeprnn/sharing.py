"""What a net's values don't tell: which of its parts stand in several places, and which are frozen."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def shared_places(net: nn.Module) -> dict[str, str]:
    """Each further place of a module, parameter or buffer, and its first one; nothing within a shared module.

    >>> from deeprnn import DeepRNN, GRU
    >>> net = DeepRNN(4, [GRU(4), GRU(4), GRU(4)])
    >>> net.layers[2] = net.layers[0]
    >>> net.layers[1].weight_hh = net.layers[0].weight_hh
    >>> shared_places(net)
    {'layers.1.weight_hh': 'layers.0.weight_hh', 'layers.2': 'layers.0'}
    """
    first: dict[int, str] = {}
    shared: dict[str, str] = {}
    for name, part in _parts(net, ""):
        if _is_under(name, shared):
            continue
        if id(part) in first:
            shared[name] = first[id(part)]
        first.setdefault(id(part), name)
    return shared


def distinct_state(net: nn.Module) -> dict[str, Tensor]:
    """The net's `state_dict()`, each tensor under its first name only."""
    return without(net.state_dict(), shared_places(net))


def without(tensors: Mapping[str, Tensor], places: Iterable[str]) -> dict[str, Tensor]:
    """The tensors that are not in one of the places, nor within what is there."""
    taken = tuple(places)
    return {name: tensor for name, tensor in tensors.items() if not _is_under(name, taken)}


def share(net: nn.Module, places: Mapping[str, str]) -> None:
    """Puts into each place what is in another, as `shared_places` gave them.

    Raises:
        ValueError: the net has no such places, or what is there is not of one kind and shape.
    """
    for place, source in places.items():
        if not isinstance(source, str) or _is_under(source, places):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"{place!r} can't share {source!r}, which is not the first place of anything.")
        try:
            owner, _, last = place.rpartition(".")
            module, before, shared = net.get_submodule(owner), _part(net, place), _part(net, source)
        except AttributeError as error:
            raise ValueError(f"{place!r} can't share {source!r}: {error}") from error
        if type(before) is not type(shared) or _shapes(before) != _shapes(shared):
            raise ValueError(f"{place!r} can't share {source!r}: they are not of one kind and shape.")
        setattr(module, last, shared)


def freeze(net: nn.Module, names: Iterable[str]) -> None:
    """Makes every parameter require a gradient, but for those of these names.

    Raises:
        ValueError: the net has no such parameter.
    """
    frozen, parameters = set(names), dict(net.named_parameters())
    if not frozen <= parameters.keys():
        raise ValueError(f"there is no parameter {min(frozen - parameters.keys())!r} that could be frozen.")
    for name, parameter in parameters.items():
        parameter.requires_grad_(name not in frozen)


def overlapping(tensors: Mapping[str, Tensor]) -> tuple[str, str] | None:
    """Two names whose tensors have an element in common; None where there are none."""
    by_memory: dict[tuple[int, int], list[str]] = {}
    for name, tensor in tensors.items():
        if tensor.numel() and tensor.layout == torch.strided and tensor.device.type != "meta":
            key = (tensor.untyped_storage().data_ptr(), tensor.element_size())
            by_memory.setdefault(key, []).append(name)
    for names in by_memory.values():
        if len(names) > 1 and (found := _overlap({name: tensors[name] for name in names})):
            return found
    return None


def _overlap(tensors: Mapping[str, Tensor]) -> tuple[str, str] | None:
    """The same for tensors of one storage and one size of element."""
    some = next(iter(tensors.values()))
    owner = torch.full((some.untyped_storage().nbytes() // some.element_size(),), -1)
    names = list(tensors)
    for index, tensor in enumerate(tensors.values()):
        mine = owner.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
        if (most := int(mine.max())) >= 0:
            return names[most], names[index]
        mine.fill_(index)
    return None


def _parts(module: nn.Module, prefix: str) -> Iterator[tuple[str, Any]]:
    own = {**module._parameters, **module._buffers}
    yield from ((prefix + name, part) for name, part in own.items() if part is not None)
    for name, child in module._modules.items():
        if child is not None:
            yield prefix + name, child
            yield from _parts(child, f"{prefix}{name}.")


def _part(net: nn.Module, place: str) -> nn.Module | Tensor:
    owner, _, last = place.rpartition(".")
    part = getattr(net.get_submodule(owner), last)
    if not isinstance(part, nn.Module | Tensor):
        raise AttributeError(f"{place} is a {type(part).__name__}")
    return part


def _shapes(part: nn.Module | Tensor) -> dict[str, torch.Size]:
    if isinstance(part, Tensor):
        return {"": part.shape}
    return {name: tensor.shape for name, tensor in part.state_dict().items()}


def _is_under(name: str, places: Iterable[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)
