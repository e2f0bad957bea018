"""What a call may bring (axes, lengths, resets, PackedSequence), brought to one form; and its errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from deeprnn.state import DeepState


@dataclass(frozen=True, eq=False)
class Inputs:
    """A call in the form that the layers read.

    Attributes:
        x: (T, B, I) float, or (T, B) int64.
        state: the given states with a batch axis; None where none was given.
        lengths: (B,) int64 or None.
        resets: (T, B) bool or None.
        batch_first: whether results go back with batch before time.
        unbatched: whether the batch axis was added here.
    """

    x: Tensor
    state: DeepState | None
    lengths: Tensor | None
    resets: Tensor | None
    batch_first: bool
    unbatched: bool

    def restore(self, sequence: Tensor) -> Tensor:
        """A (T, B, F) result with the axes of the call's x."""
        if self.unbatched:
            return sequence.squeeze(1)
        return sequence.transpose(0, 1) if self.batch_first else sequence

    def time_first(self, sequence: Tensor) -> Tensor:
        """What `restore` was given, as a view of what it returned."""
        if self.unbatched:
            return sequence.unsqueeze(1)
        return sequence.transpose(0, 1) if self.batch_first else sequence

    def restore_state(self, state: DeepState) -> DeepState:
        """The states without a batch axis if the call had none."""
        return state.rows(0) if self.unbatched else state


def prepare(
    x: Tensor | PackedSequence,
    state: DeepState | None,
    lengths: Tensor | Sequence[int] | None,
    resets: Tensor | None,
    *,
    input_size: int,
    dtype: torch.dtype,
    batch_first: bool,
) -> Inputs:
    """Checks a call's arguments and brings them to one form.

    Raises:
        ValueError: a shape or a value does not fit; TypeError: a dtype does not.
    """
    if isinstance(x, PackedSequence):
        if lengths is not None:
            raise ValueError("x is a PackedSequence, which has lengths of its own; leave out lengths=.")
        x, lengths = pad_packed_sequence(x)
        batch_first = False
    integers = not x.is_floating_point()
    unbatched = x.dim() == (1 if integers else 2)
    _check_x(x, input_size, dtype, batch_first, integers)
    if unbatched:
        x = x.unsqueeze(1)
        state = None if state is None else state.map(lambda tensor: tensor.unsqueeze(0))
        resets = None if resets is None else resets.unsqueeze(-1)
    elif batch_first:
        x = x.transpose(0, 1)
        resets = None if resets is None else resets.transpose(0, 1)
    steps, batch = x.shape[:2]
    if lengths is not None:
        lengths = torch.as_tensor(lengths, device=x.device)
        lengths = _checked_lengths(lengths.reshape(1) if unbatched and lengths.dim() == 0 else lengths, steps, batch)
    if resets is not None:
        _check_resets(resets, steps, batch, batch_first=batch_first and not unbatched)
    return Inputs(x.long() if integers else x, state, lengths, resets, batch_first, unbatched)


def values_readable(tensor: Tensor) -> bool:
    """Whether looking at a tensor's values is free: on the CPU, outside torch.compile and torch.func."""
    if tensor.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return torch._C._functorch.peek_interpreter_stack() is None  # pyright: ignore  # no public way to ask


def _check_x(x: Tensor, input_size: int, dtype: torch.dtype, batch_first: bool, integers: bool) -> None:
    axes = "(B, T, I) = (batch, time, features)" if batch_first else "(T, B, I) = (time, batch, features)"
    shape = tuple(x.shape)
    if integers:
        if x.dtype == torch.bool or x.is_complex():
            raise TypeError(f"x has dtype {x.dtype}; it holds floats {axes}, or integers without the last axis.")
        if x.dim() not in (1, 2):
            raise ValueError(
                f"x has shape {shape} and dtype {x.dtype}: integers are read as one-hot and have no feature axis,\n"
                f"  {axes.replace(', I)', ')').replace(', features)', ')')}. For numeric features pass x.to({dtype})."
            )
        if values_readable(x) and x.numel() and not 0 <= int(x.min()) <= int(x.max()) < input_size:
            raise ValueError(
                f"x holds integers from {int(x.min())} to {int(x.max())}, read as one-hot,\n"
                f"  but this DeepRNN(input_size={input_size}) knows 0 to {input_size - 1}."
            )
        return
    if x.dim() not in (2, 3):
        raise ValueError(f"x has shape {shape}: {x.dim()} axes, expected {axes}, or (T, I) unbatched.")
    if x.shape[-1] != input_size:
        other = "(time, batch, features)" if batch_first else "(batch, time, features)"
        raise ValueError(
            f"x has shape {shape}: {x.shape[-1]} features, "
            f"but this DeepRNN(input_size={input_size}) reads {input_size}.\n"
            f"  x is {axes}; for {other} build it with batch_first={not batch_first}."
        )
    if x.dtype != dtype and not torch.is_autocast_enabled(x.device.type):
        raise TypeError(f"x has dtype {x.dtype}, but this DeepRNN's weights are {dtype}; pass x.to({dtype}).")


def _checked_lengths(lengths: Tensor, steps: int, batch: int) -> Tensor:
    if lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise TypeError(f"lengths has dtype {lengths.dtype}; it holds one whole number for each of the B={batch} rows.")
    if tuple(lengths.shape) != (batch,):
        raise ValueError(f"lengths has shape {tuple(lengths.shape)}, expected (B,) = ({batch},), one for each row.")
    if values_readable(lengths) and batch and not 0 <= int(lengths.min()) <= int(lengths.max()) <= steps:
        raise ValueError(
            f"lengths runs from {int(lengths.min())} to {int(lengths.max())}, "
            f"but x has T={steps} steps; each lies in 0..{steps}."
        )
    return lengths.long()


def _check_resets(resets: Tensor, steps: int, batch: int, *, batch_first: bool) -> None:
    if resets.dtype != torch.bool:
        raise TypeError(f"resets has dtype {resets.dtype}, expected torch.bool: True at the first step of a document.")
    if tuple(resets.shape) != (steps, batch):
        axes = f"(B, T) = ({batch}, {steps})" if batch_first else f"(T, B) = ({steps}, {batch})"
        given = tuple(reversed(resets.shape)) if batch_first else tuple(resets.shape)
        raise ValueError(f"resets has shape {given}, expected {axes}, as x.")
