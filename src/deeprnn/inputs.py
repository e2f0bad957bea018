"""What a call may bring (axes, lengths, resets, PackedSequence), brought to one form; and its errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from deeprnn.kernels.interface import is_recorded
from deeprnn.state import DeepState

Lengths: TypeAlias = Tensor | Sequence[int]
"""One whole number for each row; a NumPy array of such does too."""

_INTEGERS = (
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Inputs:
    """A call in the form that the layers read.

    Attributes:
        x: (T, B, I) float, or (T, B) int64.
        lengths: (B,) int64 or None.
        resets: (T, B) bool or None.
        batch_first: whether results go back with batch before time.
        unbatched: whether the batch axis was added here.
    """

    x: Tensor
    lengths: Tensor | None
    resets: Tensor | None
    batch_first: bool
    unbatched: bool

    @property
    def state_axes(self) -> int:
        """How many axes a state of the call has: (B, H), or (H,) unbatched."""
        return 1 if self.unbatched else 2

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
    lengths: Lengths | None,
    resets: Tensor | None,
    *,
    input_size: int,
    dtype: torch.dtype,
    device: torch.device,
    batch_first: bool,
) -> Inputs:
    """Checks a call's arguments and brings them to one form.

    Args:
        x, lengths, resets: as `DeepRNN.forward` takes them.
        input_size, batch_first: of the net.
        dtype, device: the net's weights'.

    Raises:
        ValueError: a shape, a value or a device does not fit; TypeError: a dtype or a kind of object does not.
    """
    if isinstance(x, PackedSequence):
        if lengths is not None:
            raise ValueError("x is a PackedSequence, which has lengths of its own; leave out lengths=.")
        check_plain("x.data", x.data, device)
        x, lengths = pad_packed_sequence(x)
        batch_first = False
    check_plain("x", x, device)
    integers = not x.is_floating_point()
    unbatched = x.dim() == (1 if integers else 2)
    if integers:
        x = _checked_symbols(x, dtype, batch_first)
    else:
        _check_features(x, input_size, dtype, batch_first)
    if resets is not None:
        _check_resets(resets, tuple(x.shape if integers else x.shape[:-1]), device)
    if unbatched:
        x = x.unsqueeze(1)
        resets = None if resets is None else resets.unsqueeze(1)
    elif batch_first:
        x = x.transpose(0, 1)
        resets = None if resets is None else resets.transpose(0, 1)
    if lengths is not None:
        lengths = _checked_lengths(lengths, x.shape[0], x.shape[1], device, unbatched=unbatched)
    if not x.is_floating_point():
        x = _checked_range(x, lengths, input_size)
    return Inputs(x, lengths, resets, batch_first, unbatched)


def check_plain(name: str, given: Any, device: torch.device) -> None:
    """Refuses what is no tensor, no tensor of numbers side by side, or a tensor on another device than the net.

    Args:
        name: what the argument is called, as the message says it.
        given: the argument.
        device: where the net's weights are.

    Raises:
        TypeError: not such a tensor. ValueError: it is elsewhere.
    """
    if not isinstance(given, Tensor):
        raise TypeError(f"{name} is a {type(given).__name__}, expected a tensor{_remedy(name, given)}.")
    if given.is_nested:
        raise TypeError(f"{name} is a nested tensor; pad it ({name}.to_padded_tensor(0.0)) and give lengths=.")
    if given.layout != torch.strided:
        raise TypeError(f"{name} has the layout {given.layout}; pass {name}.to_dense().")
    if given.is_quantized:
        raise TypeError(f"{name} is quantized, {given.dtype}; pass {name}.dequantize().")
    if given.device != device:
        values = "" if device.type != "meta" else " without values (net.to_empty(device=...) makes room for some)"
        raise ValueError(
            f"{name} is on {given.device}, but this DeepRNN's weights are on {device}{values};\n"
            f"  bring both to one device, as {name}.to({str(device)!r}) or net.to({str(given.device)!r}) does."
        )


def values_readable(tensor: Tensor) -> bool:
    """Whether looking at a tensor's values is free: on the CPU, outside of torch.compile, jit.trace and torch.func."""
    if tensor.device.type != "cpu" or torch.compiler.is_compiling() or is_recorded():
        return False
    return torch._C._functorch.peek_interpreter_stack() is None  # pyright: ignore  # no public way to ask


def _remedy(name: str, given: Any) -> str:
    if hasattr(given, "to_numpy"):
        return f"; pass torch.tensor({name}.to_numpy())"
    if hasattr(given, "__array__"):
        return f"; pass torch.as_tensor({name})"
    if isinstance(given, list | tuple):
        stacks = len(given) > 0 and isinstance(given[0], Tensor)
        return f"; pass torch.{'stack' if stacks else 'tensor'}({name})"
    return ""


def _checked_symbols(x: Tensor, dtype: torch.dtype, batch_first: bool) -> Tensor:
    """Symbols as int64; torch compares the smaller unsigned integers with nothing."""
    axes = "(B, T)" if batch_first else "(T, B)"
    if x.dtype not in _INTEGERS:
        raise TypeError(
            f"x has dtype {x.dtype}; it holds floats ({axes[1:-1]}, I), or integers {axes}, read as one-hot."
        )
    if x.dim() not in (1, 2):
        raise ValueError(
            f"x has shape {tuple(x.shape)} and dtype {x.dtype}: integers are read as one-hot and have no feature "
            f"axis,\n  {axes} = {'(batch, time)' if batch_first else '(time, batch)'}. "
            f"For numeric features pass x.to({dtype})."
        )
    return x.long()


def _checked_range(x: Tensor, lengths: Tensor | None, input_size: int) -> Tensor:
    """(T, B) symbols; what pads them beyond their lengths, such as -100, becomes 0, which is not read either."""
    if lengths is not None:
        x = torch.where(torch.arange(x.shape[0], device=x.device)[:, None] < lengths, x, 0)
    if values_readable(x) and x.numel():
        least, most = (int(value) for value in x.aminmax())
        if not 0 <= least <= most < input_size:
            raise ValueError(
                f"x holds integers from {least} to {most}, read as one-hot,\n"
                f"  but this DeepRNN(input_size={input_size}) knows 0 to {input_size - 1}."
            )
    return x


def _check_features(x: Tensor, input_size: int, dtype: torch.dtype, batch_first: bool) -> None:
    axes = "(B, T, I) = (batch, time, features)" if batch_first else "(T, B, I) = (time, batch, features)"
    shape = tuple(x.shape)
    if x.dim() not in (2, 3):
        raise ValueError(f"x has shape {shape}: {x.dim()} axes, expected {axes}, or (T, I) unbatched.")
    if x.shape[-1] != input_size:
        other = "(time, batch, features)" if batch_first else "(batch, time, features)"
        raise ValueError(
            f"x has shape {shape}: {x.shape[-1]} features, "
            f"but this DeepRNN(input_size={input_size}) reads {input_size}.\n"
            f"  x is {axes}; for {other} build it with batch_first={not batch_first}."
        )
    autocast = x.device.type != "meta" and torch.is_autocast_enabled(x.device.type)
    if x.dtype != dtype and not autocast:
        raise TypeError(f"x has dtype {x.dtype}, but this DeepRNN's weights are {dtype}; pass x.to({dtype}).")


def _checked_lengths(lengths: Any, steps: int, batch: int, device: torch.device, *, unbatched: bool) -> Tensor:
    kind = f"one whole number for each of the B={batch} rows"
    if not isinstance(lengths, Tensor):
        try:
            lengths = torch.as_tensor(lengths, device=device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"lengths is a {type(lengths).__name__}, expected {kind}: {error}") from error
        lengths = lengths if lengths.numel() else lengths.long()  # an empty list has no dtype of its own
    # torch.nn wants lengths on the CPU, wherever x is.
    check_plain("lengths", lengths, lengths.device if lengths.device.type == "cpu" else device)
    if unbatched and lengths.dim() == 0:
        lengths = lengths.reshape(1)
    if lengths.dtype not in _INTEGERS:
        raise TypeError(f"lengths has dtype {lengths.dtype}, expected {kind}.")
    if tuple(lengths.shape) != (batch,):
        raise ValueError(f"lengths has shape {tuple(lengths.shape)}, expected (B,) = ({batch},), one for each row.")
    lengths = lengths.long()
    if values_readable(lengths) and batch and not 0 <= int(lengths.min()) <= int(lengths.max()) <= steps:
        raise ValueError(
            f"lengths runs from {int(lengths.min())} to {int(lengths.max())}, "
            f"but x has T={steps} steps; each lies in 0..{steps}."
        )
    return lengths.to(device)


def _check_resets(resets: Tensor, shape: tuple[int, ...], device: torch.device) -> None:
    """`shape` is that of x, without features."""
    check_plain("resets", resets, device)
    if resets.dtype != torch.bool:
        raise TypeError(
            f"resets has dtype {resets.dtype}, expected torch.bool: True at the first step of a document; "
            f"pass resets.bool()."
        )
    if tuple(resets.shape) != shape:
        raise ValueError(f"resets has shape {tuple(resets.shape)}, expected {shape}, one for each step of x.")
