"""Changing a layer while the net runs: zero, replace, add, erase a direction, as context managers.

Knowing is not using: a probe shows that a layer's states hold something, an intervention shows whether the net
needs it. Each says where it acts:

- `where="up"`: on what the layer passes upward, after its own recurrence. The layer's own future is untouched, and
  the fused kernels stay. `net(x).hidden` shows the changed values, `record` the layer's true states.
- `where="state"`: on h_t, after every step: the layer itself, and all above it, go on from the changed value. This
  runs step by step on the reference kernel.
- `where="cell"`: on the cell state, such as an LSTM's c_t, after every step, as the next step reads it; h_t of the same
  step has been computed already. Reference kernel too.

A state given to the net, or its initial state, is not changed before the first step. Blocks nest: the changes are
made in the order in which the blocks were entered. After the block the net is as before.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from deeprnn.analysis.interventions.edited_cell import EditedCell
from deeprnn.deep import DeepRNN
from deeprnn.kernels import LayerOutput
from deeprnn.layer import RecurrentLayer

Where: TypeAlias = Literal["up", "state", "cell"]
Units: TypeAlias = Sequence[int] | Tensor | None
Value: TypeAlias = float | Sequence[float] | Tensor


@contextmanager
def zero(net: DeepRNN, layer: int, *, units: Units = None, where: Where = "up") -> Generator[None]:
    """Within the block, a layer's units are 0.

    Args:
        net: the net; it is changed for the length of the block, not copied.
        layer: index of the layer, 0 for the bottom one.
        units: indices among the features that the layer writes (0 to H-1; where it runs both ways 0 to 2H-1, the
            forward direction's first); None for all.
        where: "up", "state" or "cell"; see the module.

    Raises:
        IndexError: no such layer or unit. ValueError: `where` is unknown, or the layer has no such state.

    >>> from deeprnn import DeepRNN, GRU
    >>> net = DeepRNN(3, [GRU(4), GRU(4)])
    >>> with zero(net, 0, units=[1, 2]):
    ...     net(torch.randn(5, 2, 3)).hidden[0][..., 1:3].abs().max()
    tensor(0., grad_fn=<MaxBackward1>)
    """
    target = _Target(net, layer, units, where)
    with target.changed(_Edit(target.units, lambda old, new: new.expand_as(old), _NOTHING)):
        yield


@contextmanager
def replace(net: DeepRNN, layer: int, value: Value, *, units: Units = None, where: Where = "up") -> Generator[None]:
    """Within the block, a layer's units have a given value: their mean, or what another text put there.

    Args:
        net, layer, units, where: as in `zero`.
        value: a number; or (U,), one for each of `units`; or (T, U) or (T, B, U), one for each step too, with
            the net's own axes ((B, T, U) with batch_first), such as another run's `result.hidden[layer]`.

    Raises:
        IndexError, ValueError: as `zero`; or `value` does not fit the units, or (when the net runs) the sequence.

    >>> from deeprnn import DeepRNN, GRU
    >>> net, x = DeepRNN(3, [GRU(4), GRU(4)], 2), torch.randn(5, 2, 3)
    >>> mean = net(x).hidden[0].detach().mean((0, 1))
    >>> with replace(net, 0, mean):
    ...     patched = net(x).output
    """
    target = _Target(net, layer, units, where)
    with target.changed(_Edit(target.units, lambda old, new: new.expand_as(old), target.checked(value))):
        yield


@contextmanager
def add(net: DeepRNN, layer: int, value: Value, *, units: Units = None, where: Where = "up") -> Generator[None]:
    """Within the block, `value` is added to a layer's units: a push along a direction.

    Args:
        net, layer, units, where: as in `zero`.
        value: as in `replace`.

    Raises:
        IndexError, ValueError: as `replace`.

    >>> from deeprnn import DeepRNN, GRU
    >>> net, x = DeepRNN(3, [GRU(4), GRU(4)]), torch.randn(5, 2, 3)
    >>> before = net(x).hidden[1]
    >>> with add(net, 1, 0.5):
    ...     torch.allclose(net(x).hidden[1], before + 0.5)
    True
    """
    target = _Target(net, layer, units, where)
    with target.changed(_Edit(target.units, lambda old, new: old + new, target.checked(value))):
        yield


@contextmanager
def erase(net: DeepRNN, layer: int, direction: Tensor, *, units: Units = None, where: Where = "up") -> Generator[None]:
    """Within the block, a layer's values have no component along a direction: h - d (d . h) / |d|^2.

    Args:
        net, layer, units, where: as in `zero`.
        direction: (U,), or (k, U) for k directions whose whole span is projected out, such as a probe's weights.

    Raises:
        IndexError, ValueError: as `zero`; or the direction does not fit the units, or is zero; or (in "state" and
            "cell") the units belong to both directions of a layer, which are never there at the same time.

    Source: the projection of Ravfogel et al. 2020, "Null It Out", one round of it.

    >>> from deeprnn import DeepRNN, GRU
    >>> net, d = DeepRNN(3, [GRU(4)]), torch.randn(4)
    >>> with erase(net, 0, d, where="state"):
    ...     bool((net(torch.randn(5, 2, 3)).hidden[0] @ d).abs().max() < 1e-5)
    True
    """
    target = _Target(net, layer, units, where)
    basis = target.basis(direction)
    target.needs_one_direction()
    with target.changed(_Edit(target.units, lambda old, _: _without(old, basis), _NOTHING)):
        yield


_NOTHING = torch.zeros(())


def _without(old: Tensor, basis: Tensor) -> Tensor:
    basis = basis.to(old)
    return old - (old @ basis) @ basis.mT


@dataclass(frozen=True, eq=False)
class _Edit:
    """One change: the units it reaches (U,), what it makes of their old values, and the value it needs for that.

    `value` is one number, (U,) or (T, B or 1, U); `change(old, value)` gets the part of it that stands beside `old`.
    """

    units: Tensor
    change: Callable[[Tensor, Tensor], Tensor]
    value: Tensor

    def of_sequence(self, values: Tensor) -> Tensor:
        """(T, B, W), all steps of what a layer writes."""
        self._check_fits(values.shape[0], values.shape[1])
        return self._put(values, self.units, self.value)

    def of_step(self, values: Tensor, t: int, steps: int, offset: int) -> Tensor:
        """(B, H), step t of one direction, whose first unit is the layer's unit `offset`."""
        self._check_fits(steps, values.shape[0])
        here = (self.units >= offset) & (self.units < offset + values.shape[1])
        if not here.any():
            return values
        value = self.value[t] if self.value.dim() == 3 else self.value
        return self._put(values, self.units[here] - offset, value[..., here] if value.dim() else value)

    def _put(self, values: Tensor, units: Tensor, value: Tensor) -> Tensor:
        units = units.to(values.device)
        changed = self.change(values[..., units], value.to(values))
        return values.index_copy(-1, units, changed.to(values.dtype))

    def _check_fits(self, steps: int, batch: int) -> None:
        if self.value.dim() == 3 and (self.value.shape[0] != steps or self.value.shape[1] not in (1, batch)):
            raise ValueError(
                f"the intervention's value has T={self.value.shape[0]} steps and B={self.value.shape[1]} rows, "
                f"but the net runs over T={steps} and B={batch}.\n"
                f"  record() cuts long sequences in pieces; give it chunk=T to run this one whole."
            )


class _Target:
    """The layer, units and place that an intervention names, checked."""

    def __init__(self, net: DeepRNN, layer: int, units: Units, where: Where) -> None:
        if not isinstance(net, DeepRNN):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"an intervention acts on a DeepRNN, not on {type(net).__name__}; "
                f"for a torch.nn.RNN, GRU or LSTM, act on analysis.as_deep(module)."
            )
        layers = net.recurrent_layers
        if not 0 <= layer < len(layers):
            raise IndexError(f"layer={layer}: this DeepRNN has layers 0 to {len(layers) - 1}, the bottom one first.")
        if where not in ("up", "state", "cell"):
            raise ValueError(
                f"where={where!r}: an intervention acts on 'up' (what the layer passes upward), "
                f"'state' (h_t) or 'cell' (the cell state, such as an LSTM's c_t)."
            )
        self.module: RecurrentLayer = layers[layer]
        self._name = f"layer {layer + 1} (layers.{layer}), {self.module.cell.describe()}"
        if where == "cell" and self.module.cell.cell_state is None:
            raise ValueError(f"where='cell': {self._name}, has no cell state c_t; use 'state' or 'up'.")
        self._where: Where = where
        self._batch_first = net.batch_first
        self.units = self._checked_units(units)

    def checked(self, value: Value) -> Tensor:
        """A value as 1 number, (U,) or (T, B or 1, U)."""
        tensor = torch.as_tensor(value).detach()
        if (tensor.dim() and tensor.shape[-1] != len(self.units)) or tensor.dim() > 3:
            raise ValueError(
                f"value has shape {tuple(tensor.shape)}, but the intervention reaches {len(self.units)} units of "
                f"{self._name}.\n  It is one number, (U,), (T, U) or "
                f"{'(B, T, U)' if self._batch_first else '(T, B, U)'} with U={len(self.units)}."
            )
        if tensor.dim() == 2:
            return tensor.unsqueeze(1)
        return tensor.transpose(0, 1) if tensor.dim() == 3 and self._batch_first else tensor

    def basis(self, direction: Tensor) -> Tensor:
        """(U, k'), orthonormal columns that span the directions."""
        rows = torch.atleast_2d(direction.detach())
        if rows.dim() != 2 or rows.shape[-1] != len(self.units):
            raise ValueError(
                f"direction has shape {tuple(direction.shape)}, but the intervention reaches {len(self.units)} units "
                f"of {self._name}; it is (U,) or (k, U) with U={len(self.units)}."
            )
        rows = rows.double()
        _, sizes, basis = torch.linalg.svd(rows, full_matrices=False)
        kept = sizes > sizes.max() * max(rows.shape) * torch.finfo(torch.float32).eps
        if not bool(kept.any()):
            raise ValueError("direction is zero; there is nothing to project out.")
        return basis[kept].mT

    def needs_one_direction(self) -> None:
        """Refuses units of both directions where the change couples them within a step."""
        width = self.module.cell.state_sizes["h"]
        directions = set((self.units // width).tolist())
        if self._where != "up" and len(directions) > 1:
            raise ValueError(
                f"erase(where={self._where!r}): {self._name}, runs both ways, and the two directions are at different "
                f"steps;\n  give units of one direction (0 to {width - 1} are the forward one's), "
                f"or act on 'up'."
            )

    @contextmanager
    def changed(self, edit: _Edit) -> Generator[None]:
        """Within the block, the edit is made."""
        if self._where == "up":
            handle = self.module.register_forward_hook(_hook(edit), with_kwargs=True)
            try:
                yield
            finally:
                handle.remove()
            return
        cell = EditedCell.around(self.module)
        part = "h" if self._where == "state" else str(cell.cell_state)
        cell.add(part, edit.of_step)
        try:
            yield
        finally:
            cell.remove(self.module, part, edit.of_step)

    def _checked_units(self, units: Units) -> Tensor:
        width = self.module.cell.output_width
        if units is None:
            return torch.arange(width)
        indices = torch.as_tensor(units)
        if indices.dim() != 1 or not len(indices) or indices.is_floating_point() or indices.dtype == torch.bool:
            raise ValueError(f"units={units!r}: a list of at least one whole number, such as [3, 5].")
        if not 0 <= int(indices.min()) <= int(indices.max()) < width:
            raise IndexError(f"units={units!r}: {self._name}, writes units 0 to {width - 1}.")
        if len(set(indices.tolist())) < len(indices):
            raise ValueError(f"units={units!r}: each unit is named once.")
        return indices.long().cpu()


def _hook(edit: _Edit) -> Callable[..., LayerOutput]:
    def change(_layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: LayerOutput) -> LayerOutput:
        hidden = edit.of_sequence(result.hidden)
        lengths: Tensor | None = kwargs.get("lengths")
        if lengths is not None:
            # Beyond its length a row stays zero, also where a value is added.
            valid = torch.arange(args[0].shape[0], device=hidden.device)[:, None] < lengths
            hidden = torch.where(valid.unsqueeze(-1), hidden, result.hidden)
        return result._replace(hidden=hidden)

    return change
