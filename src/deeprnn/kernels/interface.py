"""What every kernel is given and gives back: one layer, over one sequence, in one direction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd import forward_ad

from deeprnn.cells import Cell
from deeprnn.state import State


class CallSpec(NamedTuple):
    """What decides which kernel can run a call: its kind and its sizes, nothing of its values.

    Attributes:
        steps, batch, input_size: T, B, I.
        integer_input: x holds indices, read as one-hot.
        lengths, restarts: whether the call has them.
        recurrent_mask, zoneout: whether the state is masked in this call.
        return_cell_states: the cell's `cell_state` is asked for at every step.
        tracing: torch.compile, torch.export or torch.jit.trace reads the call.
        transforms: the torch.func transforms that surround the call, outermost first, such as ("vmap", "grad");
            forward-mode derivatives are "jvp", with torch.func or without.
    """

    cell: Cell
    dtype: torch.dtype
    device: str
    steps: int = 1
    batch: int = 1
    input_size: int = 1
    integer_input: bool = False
    lengths: bool = False
    restarts: bool = False
    recurrent_mask: bool = False
    zoneout: bool = False
    return_cell_states: bool = False
    tracing: bool = False
    transforms: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether x has no element."""
        return 0 in (self.steps, self.batch, self.input_size)


@dataclass(eq=False, slots=True)
class LayerCall:
    """One layer over one sequence in one direction: what every kernel is given.

    Attributes:
        cell: the layer's equations.
        weights: the direction's weights by name: weight_xh (G*H, I), weight_hh (G*H, H), bias (G*H,), and what
            the cell and its options add (bias_hn (H,); gain_xh, gain_hh (G*H,), gain_c, bias_c (H,)).
        x: (T, B, I), or (T, B) int64 indices below I; beyond a row's length anything.
        state: (B, H) each, the state before the first step of this direction; of a row of length 0 anything.
        initial: (B, H) each, the state that a restart goes back to; None where there are no restarts.
        reverse: steps run from T-1 to 0.
        lengths: (B,) int64 in 0..T; steps at and beyond a row's length leave its state alone. None: all T.
        restarts: (T, B) bool; where it holds, and the step lies within the row's length, the state becomes
            `initial` before step t is computed (in this direction's order). None: nowhere.
        recurrent_mask: (B, H), multiplies h on its way into W_hh. None: no mask.
        zoneout: (T, B, H) for each state, in 0..1, often of stride 0: new = keep * old + (1 - keep) * new. None: none.
        return_cell_states: whether to return the cell's `cell_state` at every step.
    """

    cell: Cell
    weights: Mapping[str, Tensor]
    x: Tensor
    state: State
    initial: State | None = None
    reverse: bool = False
    lengths: Tensor | None = None
    restarts: Tensor | None = None
    recurrent_mask: Tensor | None = None
    zoneout: State | None = None
    return_cell_states: bool = False

    @property
    def steps(self) -> int:
        """T."""
        return self.x.shape[0]

    def valid(self) -> Tensor | None:
        """(T, B, 1): whether step t lies within the row's length; None where every step does."""
        if self.lengths is None:
            return None
        return (torch.arange(self.steps, device=self.x.device)[:, None] < self.lengths).unsqueeze(-1)

    def readable_x(self) -> Tensor:
        """x, with zeros beyond each row's length: what lies there (NaN, indices that don't exist) is never read."""
        valid = self.valid()
        if valid is None:
            return self.x
        return torch.where(valid if self.x.is_floating_point() else valid.squeeze(-1), self.x, self.x.new_zeros(()))

    def spec(self) -> CallSpec:
        """The kind and the sizes of this call."""
        x, weight = self.x, self.weights["weight_xh"]
        steps, batch = x.shape[:2]
        return CallSpec(
            cell=self.cell,
            dtype=weight.dtype,
            device=x.device.type,
            steps=steps,
            batch=batch,
            input_size=weight.shape[1],
            integer_input=not x.is_floating_point(),
            lengths=self.lengths is not None,
            restarts=self.restarts is not None,
            recurrent_mask=self.recurrent_mask is not None,
            zoneout=self.zoneout is not None,
            return_cell_states=self.return_cell_states and self.cell.cell_state is not None,
            tracing=torch.compiler.is_compiling() or is_recorded(),
            transforms=transforms(),
        )


class LayerOutput(NamedTuple):
    """What a layer returns: of one direction from a kernel, of both from `functional.recurrent_layer`.

    Attributes:
        hidden: (T, B, H), or (T, B, 2H) where the layer runs both ways; zero beyond a row's length.
        state: (B, H) each, after each row's last valid step in its direction.
        cell_states: the cell's `cell_state` at every step, likewise; None unless asked for, and for a cell without one.
    """

    hidden: Tensor
    state: State
    cell_states: Tensor | None = None


class Kernel(Protocol):
    """A way to run one layer over a sequence: an object, or a module, that `deeprnn.kernels.register` was given."""

    @property
    def NAME(self) -> str:
        """How the kernel is called in tables and by `force`."""
        ...

    def why_not(self, spec: CallSpec) -> str | None:
        """Why this kernel cannot run such a call, in a few words; None if it can."""
        ...

    def run(self, call: LayerCall) -> LayerOutput:
        """Runs it, differentiably in x, the state, the initial state and every weight."""
        ...


def is_recorded() -> bool:
    """Whether torch.jit.trace records the call."""
    return torch._C._get_tracing_state() is not None  # pyright: ignore  # the public way is a function that it hides


def transforms() -> tuple[str, ...]:
    """The torch.func transforms that surround the caller, outermost first; see `CallSpec`."""
    if torch.compiler.is_compiling():
        return ()
    # There is no public way to ask.
    stack: Any = torch._C._functorch.get_interpreter_stack()  # pyright: ignore
    names = () if stack is None else tuple(level.key().name.lower() for level in stack)
    return (*names, "jvp") if forward_ad._current_level >= 0 and "jvp" not in names else names
