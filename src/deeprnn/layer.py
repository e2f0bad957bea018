"""One recurrent layer: its parameters and options, around `scan`."""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from deeprnn import scan
from deeprnn.cells import Cell
from deeprnn.initialise import initialise
from deeprnn.kernels import Facts, Scan, ScanResult
from deeprnn.masks import ones_with
from deeprnn.state import State, state_of


class LayerResult(NamedTuple):
    """hidden (T, B, H) or (T, B, 2H); cells likewise, if asked for and the cell has them; the state after."""

    hidden: Tensor
    cells: Tensor | None
    state: State


class RecurrentLayer(nn.Module):
    """A cell's equations with weights, run over sequences in the cell's direction or in both.

    Args:
        cell: the equations and the layer's options.
        input_size: I, features of the sequence that the layer reads.
        one_hot: how many of them, the last ones, are one symbol, one-hot; see `DeepRNN`.

    The parameters are `weight_xh` (G*H, I), `weight_hh` (G*H, H), `bias` (G*H,), what the cell adds, and for a
    second direction the same with `_reverse` at the end. An activation that is a module is a submodule under the name
    of the cell's field, such as `activation`: it is trained, moved and saved with the layer, and both directions, and
    all layers that it was given to, use it together.
    """

    weight_xh: Tensor
    weight_hh: Tensor

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        *,
        one_hot: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.cell = cell
        for suffix in ("", "_reverse")[: cell.directions]:
            for name, shape in self._shapes(cell).items():
                weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                initialise(name, weight, cell, one_hot)
                self.register_parameter(name + suffix, weight)
        for phi in self.children():
            phi.to(device=self.device if self.device.type != "meta" else None, dtype=self.dtype)

    @property
    def cell(self) -> Cell:
        """The equations and the layer's options. Another cell may be put in its place that has the same weights."""
        cell = self._cell
        for name, phi in self._modules.items():
            # A module may have been put in place of the one that the cell was made with, as torch's replicas do.
            if getattr(cell, name, phi) is not phi:
                cell = replace(cell, **{name: phi})
        return cell

    @cell.setter
    def cell(self, cell: Cell) -> None:
        if not isinstance(cell, Cell):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"layer.cell = {cell!r}: expected a cell such as GRU(64).")
        if "_cell" in self.__dict__:
            before, after = self._shapes(self._cell), self._shapes(cell)
            if before != after or self._cell.directions != cell.directions:
                raise ValueError(
                    f"layer.cell = {cell!r}: the layer was built for {self._cell!r}, whose weights are others; "
                    f"build a new DeepRNN with that cell."
                )
        self._cell = cell
        self._names = tuple(self._shapes(cell))
        self._zones_out = any(rate > 0 for rate in _zoneout_rates(cell).values())
        for name, phi in cell.activations.items():
            if isinstance(phi, nn.Module):
                self.add_module(name, phi)
            elif name in self._modules:
                del self._modules[name]

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
        wants_cells: bool = False,
    ) -> LayerResult:
        """The layer over a sequence.

        Args:
            x: (T, B, I), or (T, B) int64 indices below I.
            state: the state before the first step; None for the layer's initial state.
            lengths: (B,) int64, 0..T.
            resets: (T, B) bool, marks the first step of each document.
            wants_cells: also return c_t at every step.
        """
        device = x.device.type
        if device != "meta" and torch.is_autocast_enabled(device):
            # One rule for every kernel: under autocast a layer computes, and returns, in autocast's dtype.
            dtype = torch.get_autocast_dtype(device)
            with torch.autocast(device, enabled=False):
                return self._run(x, state, lengths, resets, wants_cells, dtype)
        return self._run(x, state, lengths, resets, wants_cells, self.dtype)

    @property
    def dtype(self) -> torch.dtype:
        """The weights' dtype."""
        return self._some_weight().dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._some_weight().device

    def facts(self) -> Facts:
        """The kind of a plain call (no lengths, no resets) in the present mode, for tables that name its kernel."""
        return Facts(
            cell=self.cell,
            dtype=self.dtype,
            device=self.device.type,
            recurrent_mask=self.training and self._cell.recurrent_dropout > 0,
            zoneout=self._zones_out,
        )

    def initial_state(self, batch: int) -> State:
        """(B, H) each: the state before the first step when none is given, zeros or the learned one."""
        dtype = self.dtype
        first = self._initial(self.weights("", dtype), batch)
        if self._cell.directions == 1:
            return first
        return State(first.h, first.c, reverse=self._initial(self.weights("_reverse", dtype), batch))

    def weights(self, suffix: str, dtype: torch.dtype) -> dict[str, Tensor]:
        """One direction's weights as a call reads them, by name: parametrised ones computed, all of a dtype.

        Args:
            suffix: "" or "_reverse"; the names come without it.
            dtype: what the call computes in.
        """
        parameters = self._parameters
        weights: dict[str, Tensor] = {}
        for name in self._names:
            # A parametrised weight is an attribute, not a parameter.
            weight = parameters.get(name + suffix)
            weight = getattr(self, name + suffix) if weight is None else weight
            if weight is None:
                raise ValueError(
                    f"{name + suffix} of this layer is None; build the cell without it, as bias=False does."
                )
            weights[name] = weight if weight.dtype == dtype else weight.to(dtype)
        return weights

    def extra_repr(self) -> str:
        return f"{self.cell}, input_size={self.input_size}"

    def _some_weight(self) -> Tensor:
        """weight_hh, or another weight where that one is parametrised, which computes it each time it is looked at."""
        for name in ("weight_hh", *self._names):
            weight = self._parameters.get(name)
            if weight is not None:
                return weight
        return self.weight_hh

    def _shapes(self, cell: Cell) -> dict[str, tuple[int, ...]]:
        """Of one direction's weights, by name."""
        height = len(cell.gates) * cell.width
        shapes: dict[str, tuple[int, ...]] = {
            "weight_xh": (height, self.input_size),
            "weight_hh": (height, cell.width),
        }
        if cell.bias:
            shapes["bias"] = (height,)
        if cell.layer_norm:
            shapes |= {"gain_xh": (height,), "gain_hh": (height,)}
            if "c" in cell.states:
                shapes |= {"gain_c": (cell.width,), "bias_c": (cell.width,)}
        shapes |= cell.extra_weights()
        if cell.learn_initial:
            shapes |= {f"initial_{name}": (cell.width,) for name in cell.states}
        return shapes

    def _run(
        self,
        x: Tensor,
        state: State | None,
        lengths: Tensor | None,
        resets: Tensor | None,
        wants_cells: bool,
        dtype: torch.dtype,
    ) -> LayerResult:
        if x.is_floating_point() and x.dtype != dtype:
            x = x.to(dtype)
        passes: list[ScanResult] = []
        cell = self.cell
        for index in range(cell.directions):
            weights = self.weights("_reverse" if index else "", dtype)
            initial = self._initial(weights, x.shape[1])
            given = None if state is None else state.reverse if index else state
            reverse = cell.direction == "reverse" or index == 1
            passes.append(
                scan.run(
                    Scan(
                        cell=cell,
                        weights=weights,
                        x=x,
                        state=initial if given is None else _one_way(given, dtype),
                        initial=initial,
                        reverse=reverse,
                        lengths=lengths,
                        restarts=restarts_of(resets, lengths, reverse),
                        recurrent_mask=self._recurrent_mask(initial.h),
                        zoneout=self._zoneout(x.shape[0], initial.h),
                        wants_cells=wants_cells,
                    )
                )
            )
        return _join(passes)

    def _initial(self, weights: dict[str, Tensor], batch: int) -> State:
        shape = (batch, self._cell.width)
        if self._cell.learn_initial:
            return state_of({name: weights[f"initial_{name}"].expand(shape) for name in self._cell.states})
        hidden = weights["weight_hh"]
        return State(hidden.new_zeros(shape), hidden.new_zeros(shape) if "c" in self._cell.states else None)

    def _recurrent_mask(self, like: Tensor) -> Tensor | None:
        rate = self._cell.recurrent_dropout
        if not self.training or rate == 0:
            return None
        return ones_with(1 - rate, like) / (1 - rate)

    def _zoneout(self, steps: int, like: Tensor) -> State | None:
        if not self._zones_out:
            return None
        rates = _zoneout_rates(self._cell)
        shape = (steps, *like.shape)
        if self.training:
            return state_of({name: ones_with(rate, like, *shape) for name, rate in rates.items()})
        return state_of({name: like.new_full((), rate).expand(shape) for name, rate in rates.items()})


def _zoneout_rates(cell: Cell) -> dict[str, float]:
    rates = {"h": cell.zoneout, "c": float(getattr(cell, "zoneout_cell", 0.0))}
    return {name: rates[name] for name in cell.states}


def _one_way(state: State, dtype: torch.dtype) -> State:
    if state.reverse is None and state.h.dtype == dtype and (state.c is None or state.c.dtype == dtype):
        return state
    return State(state.h, state.c).to(dtype)


def restarts_of(resets: Tensor | None, lengths: Tensor | None, reverse: bool) -> Tensor | None:
    """(T, B): where a pass restarts before step t, in its own direction."""
    if resets is None or not reverse:
        return resets
    # Going back, the step before (in time: after) a document's first step belongs to the next document.
    last = torch.zeros_like(resets[:1])
    restarts = torch.cat([resets[1:], last])
    if lengths is None:
        return restarts
    beyond = torch.arange(1, resets.shape[0] + 1, device=resets.device)[:, None] >= lengths
    return restarts & ~beyond


def _join(passes: list[ScanResult]) -> LayerResult:
    first = passes[0]
    if len(passes) == 1:
        return LayerResult(*first)
    second = passes[1]
    cells = None
    if first.cells is not None and second.cells is not None:
        cells = torch.cat([first.cells, second.cells], dim=-1)
    return LayerResult(
        torch.cat([first.hidden, second.hidden], dim=-1),
        cells,
        State(first.state.h, first.state.c, reverse=second.state),
    )
