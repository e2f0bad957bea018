"""Random masks."""

import torch
from torch import Tensor


def ones_with(probability: float, like: Tensor, *shape: int) -> Tensor:
    """Zeros and ones, one with a probability each, of a tensor's dtype and device, and of its shape or another.

    Made anew and not from the tensor, so that under `torch.func.vmap` its randomness alone decides whether each sample
    has a mask of its own.
    """
    ones = torch.full(shape or like.shape, probability, dtype=like.dtype, device=like.device)
    return torch.bernoulli(ones)
