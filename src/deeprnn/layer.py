"""One recurrent layer: parameters for `functional.recurrent_layer`."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from deeprnn import functional
from deeprnn.cells import Cell
from deeprnn.kernels import CallSpec, LayerCall, LayerOutput
from deeprnn.state import State


class RecurrentLayer(nn.Module):
    """A cell's equations with weights, run over sequences in the cell's direction or in both.

    Args:
        cell: the equations and the layer's options.
        input_size: I, features of the sequence that the layer reads.
        one_hot: how many of them, the last ones, are one symbol, one-hot; see `DeepRNN`.

    The parameters are those that the cell declares (`cell.weight_shapes`), `weight_xh` (G*H, I) among them, and for a
    second direction the same with `_reverse` at the end. An activation that is a module is a submodule under the name
    of the cell's field, such as `activation`: it is trained, moved and saved with the layer, and both directions, and
    all layers that it was given to, use it together.
    """

    weight_xh: Tensor

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
            for name, shape in cell.weight_shapes(input_size).items():
                weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                with torch.no_grad():
                    cell.initialise(name, weight, one_hot=one_hot)
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
            before, after = self._cell.weight_shapes(self.input_size), cell.weight_shapes(self.input_size)
            if before != after or self._cell.directions != cell.directions:
                raise ValueError(
                    f"layer.cell = {cell!r}: the layer was built for {self._cell!r}, whose weights are others; "
                    f"build a new DeepRNN with that cell."
                )
        self._cell = cell
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
        return_cell_states: bool = False,
    ) -> LayerOutput:
        """The layer over a sequence; see `functional.recurrent_layer`.

        Args:
            x: (T, B, I), or (T, B) int64 indices below I.
            state: the state before the first step; None for the layer's initial state.
            lengths: (B,) int64, 0..T.
            resets: (T, B) bool, marks the first step of each document.
            return_cell_states: also return the cell's `cell_state` at every step.
        """
        return functional.recurrent_layer(
            self.cell,
            self.weights(),
            x,
            state,
            lengths=lengths,
            resets=resets,
            training=self.training,
            return_cell_states=return_cell_states,
        )

    def calls(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
    ) -> list[LayerCall]:
        """What `forward` gives to the kernels in the layer's present mode, for each direction: for recomputing it."""
        return functional.layer_calls(
            self.cell, self.weights(), x, state, lengths=lengths, resets=resets, training=self.training
        )

    @property
    def dtype(self) -> torch.dtype:
        """The weights' dtype."""
        return self.some_weight().dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.some_weight().device

    def spec(self) -> CallSpec:
        """The kind of a plain call (no lengths, no resets) in the present mode, for tables that name its kernel."""
        cell = self.cell
        return CallSpec(
            cell=cell,
            dtype=self.dtype,
            device=self.device.type,
            input_size=self.input_size,
            recurrent_mask=self.training and cell.recurrent_dropout > 0,
            zoneout=any(cell.zoneout_rates.values()),
        )

    def initial_state(self, batch: int) -> State:
        """(B, H) each: the state before the first step when none is given, zeros or the learned one."""
        return functional.initial_states(self.cell, self.weights(), batch)

    def weights(self) -> dict[str, Tensor]:
        """The weights as a call reads them, by name: parametrised ones computed."""
        parameters = self._parameters
        weights: dict[str, Tensor] = {}
        for name in self._cell.weight_names:
            # A parametrised weight is an attribute, not a parameter.
            weight = parameters.get(name)
            weight = getattr(self, name) if weight is None else weight
            if weight is None:
                raise ValueError(f"{name} of this layer is None; build the cell without it, as bias=False does.")
            weights[name] = weight
        return weights

    def extra_repr(self) -> str:
        return f"{self.cell}, input_size={self.input_size}"

    def some_weight(self) -> Tensor:
        """A weight to ask for dtype and device; not one that is parametrised, which is computed at each look."""
        for name in self._cell.weight_names:
            weight = self._parameters.get(name)
            if weight is not None:
                return weight
        for weight in self.parameters():
            return weight
        return self.weight_xh
