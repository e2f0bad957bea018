"""The one gate before an address is taken: what passes it is memory that the compiled kernels may read."""

import torch
from torch import Tensor


def admit(name: str, given: Tensor, shape: tuple[int, ...], dtype: torch.dtype, in_rows: bool = True) -> Tensor:
    """A tensor with the same values, of plain memory on the CPU.

    Args:
        name: what an error calls it.
        given: any tensor; it is what is returned if it will do as it is.
        shape, dtype: what the kernels will take it for.
        in_rows: whether it must be contiguous; else it may have any strides.

    Raises:
        ValueError: it has another shape, or lies elsewhere (on another device, sparse, or nowhere: its storage was
            freed). TypeError: it has another dtype.
    """
    if _is_wrapped(given):
        # It outlived its torch.func transform: torch's own operators see through such a wrapper, which has no memory.
        given = _unwrapped(given)
        if _is_wrapped(given):
            raise ValueError(
                f"{name} is a tensor from inside torch.func.vmap, which has ended; return it from the function."
            )
    if address_of(given, shape, dtype, in_rows):
        return given
    _check(name, given, shape, dtype)
    given = given.resolve_neg()
    return given.contiguous() if in_rows else given


def address_of(given: Tensor, shape: tuple[int, ...], dtype: torch.dtype, in_rows: bool = True) -> int:
    """Where a tensor's values lie; 0 unless it will do as it is, see `admit`."""
    fits = given.is_cpu and given.dtype is dtype and given.layout is _STRIDED and given.shape == shape
    if fits and (not in_rows or given.is_contiguous()) and not given.is_neg() and not _is_wrapped(given):
        return given.data_ptr()
    return 0


_STRIDED = torch.strided
_is_wrapped, _unwrapped = torch._C._functorch.is_functorch_wrapped_tensor, torch._C._functorch.unwrap_if_dead  # pyright: ignore


def _check(name: str, given: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if not given.is_cpu or given.layout is not _STRIDED:
        raise ValueError(
            f"{name} lies on {given.device.type} as {given.layout}, and the layer's kernel reads plain memory of the "
            f"CPU.\n  Put all tensors of a call on one device: net.to(x.device), x.to(net.device), state.to(...)."
        )
    if given.dtype is not dtype:
        raise TypeError(f"{name} has dtype {given.dtype}, but the layer computes in {dtype}; pass {name}.to({dtype}).")
    if given.shape != shape:
        raise ValueError(f"{name} has shape {tuple(given.shape)}, expected {shape}.")
    if given.data_ptr() == 0 and given.numel():
        raise ValueError(f"{name} has no memory: its storage was freed or resized since it was made.")
