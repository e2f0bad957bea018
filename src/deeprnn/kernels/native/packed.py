"""Weights as the compiled kernels read them, kept from one inference call to the next."""

import weakref
from operator import attrgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor

from deeprnn.kernels.native import extension
from deeprnn.kernels.native.fields import READ, Sizes


class _Entry(NamedTuple):
    alive: "weakref.ref[torch.UntypedStorage]"
    checksum: int
    packed: Tensor


_WEIGHT_HH = READ.index("weight_hh")
_layout = attrgetter(*(field for field in Sizes._fields if field not in ("T", "B", "reverse")))
"""What the layout depends on: it is the same for every T and B, and in both directions."""

_kept: dict[tuple[int, ...], _Entry] = {}


def forget_packed() -> None:
    """Drops every kept copy of packed weights; the next inference call packs its weights anew."""
    _kept.clear()


def packed_weights(isa: int, sizes: Sizes, inputs: tuple[int, ...], owner: Tensor, *, keep: bool) -> Tensor | None:
    """The weights of a layer in the order in which a kernel reads them; None where it reads them as they lie.

    Args:
        isa, sizes, inputs: as `_native.pack` takes them.
        owner: weight_hh; a kept copy is freed with its memory. (A weak reference to the tensor itself would keep
            torch.utils.swap_tensors from swapping it.)
        keep: whether the same weights are likely to come again unchanged. A kept copy is used while a checksum over
            every value of the weights, computed anew in each call, is what it was: however they are changed (in
            place, through `.data`, NumPy, a storage that they share), the change is seen.
    """
    native = extension.native()
    if keep and sizes.T * sizes.B <= native.FEW_STEPS:
        return None
    if not keep:
        return _pack(native, isa, sizes, inputs)
    checksum = native.checksum(isa, sizes, inputs)
    storage = owner.untyped_storage()
    key = (inputs[_WEIGHT_HH], isa, *_layout(sizes))
    entry = _kept.get(key)
    if entry is not None and entry.checksum == checksum and entry.alive() is storage:
        return entry.packed
    packed = _pack(native, isa, sizes, inputs)
    _kept[key] = _Entry(weakref.ref(storage, lambda _: _kept.pop(key, None) and None), checksum, packed)
    return packed


def _pack(native: Any, isa: int, sizes: Sizes, inputs: tuple[int, ...]) -> Tensor:
    packed = torch.empty(native.packed_floats(isa, sizes), dtype=torch.float32, device="cpu")
    native.pack(isa, sizes, inputs, packed.data_ptr())
    return packed
