"""DeepRNN: the stack of layers, what joins them, and the output layer."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils import _pytree as pytree

from deeprnn import onecall, saving
from deeprnn.activations import Function
from deeprnn.cells import Cell
from deeprnn.consistency import cells_of, check_build, check_layer, check_output
from deeprnn.inputs import Inputs, Lengths, prepare
from deeprnn.kernels import LayerOutput
from deeprnn.layer import RecurrentLayer
from deeprnn.loadable import check_loadable
from deeprnn.masks import ones_with
from deeprnn.quantities import flag, probability, whole
from deeprnn.sharing import distinct_state, freeze, share, shared_places, without
from deeprnn.state import DeepState, State
from deeprnn.stateforms import StateForm, one_a_layer
from deeprnn.summary import summarise

_OPTIONS = ("batch_first", "dropout", "variational_dropout", "residual", "input_to_all", "output_from_all", "one_hot")
"""The stack's options: arguments of DeepRNN that a saved net's configuration repeats."""
_ENTRIES: dict[str, tuple[type, ...]] = {
    "format": (str,),
    "input_size": (int,),
    "output_size": (int, type(None)),
    "layers": (list,),
    "dtype": (str,),
    **dict.fromkeys(_OPTIONS, (bool,)),
    "dropout": (int, float),
    "shared": (dict,),
    "frozen": (list,),
}
"""A configuration's entries, and what each may be."""


class Result(NamedTuple):
    """What a `DeepRNN` returns.

    Attributes:
        output: (T, B, Q), O_t; None where the net has no output layer.
        hidden: L tensors (T, B, H_l), H_t^(l) at every step; (T, B, 2H_l) where the layer runs both ways. The layers
            above are computed from these very tensors: `torch.autograd.grad(loss, result.hidden)` is the loss's
            gradient at every layer and step, along what the layer passes up.
        state: what the next call continues from: `net(x_next, result.state)`.
        cell_states: L entries, an LSTM layer's c_t (T, B, H_l), None for a cell that has no such state; None unless
            asked for.
    """

    output: Tensor | None
    hidden: tuple[Tensor, ...]
    state: DeepState
    cell_states: tuple[Tensor | None, ...] | None = None


# torch knows named tuples, but saves an exported program only where their names are registered.
torch.serialization.add_safe_globals([Result])
pytree._register_namedtuple(Result, serialized_type_name="deeprnn.Result")  # pyright: ignore[reportPrivateUsage]


class DeepRNN(nn.Module):
    """A network that is deep in time and in layers.

        H_t^(l) = phi_l( H_t^(l-1) W_xh^(l) + H_{t-1}^(l) W_hh^(l) + b_h^(l) )      H_t^(0) = X_t
        O_t     = H_t^(L) W_hq + b_q

    Args:
        input_size: I, features of the input, or the number of symbols where x holds integers.
        layers: the cells, bottom layer first; each has its own kind, width, phi and options.
        output_size: Q; None for no output layer.
        batch_first: x, output, hidden and resets are (B, T, ...) instead of (T, B, ...). States never change.
        dropout: probability of dropping a unit on its way up from one layer to the next, and from the top to the
            output layer. `result.hidden` holds the states before it.
        variational_dropout: one dropout mask for all steps of a sequence (Gal & Ghahramani 2016), instead of a new
            one at each step.
        residual: each layer from the second on passes up its hidden state plus what it read (Wu et al. 2016,
            section 3.1); all layers then write equally many features. `result.hidden` holds the states themselves.
        input_to_all: every layer reads X_t beside the layer below (Graves 2013).
        output_from_all: the output layer reads all layers instead of the top one (DRNN-AO instead of DRNN-1O,
            Hermans & Schrauwen 2013).
        one_hot: x holds symbols, as integers or one-hot. The weights that read it then start with a standard deviation
            of 0.5, since one of them is all that a unit gets from x, instead of as if I features added up (Glorot &
            Bengio 2010). Nothing else depends on it, and cells with init="uniform" do not.
        device, dtype: where and as what the parameters are made.

    Raises:
        ValueError: no layers, a size below 1, or widths that the options cannot join.

    >>> from deeprnn import DeepRNN, Elman, GRU
    >>> net = DeepRNN(28, [Elman(64, "tanh"), GRU(128)], 10)
    >>> result = net(torch.randn(35, 20, 28))
    >>> result.output.shape, [h.shape for h in result.hidden]
    (torch.Size([35, 20, 10]), [torch.Size([35, 20, 64]), torch.Size([35, 20, 128])])
    """

    def __init__(
        self,
        input_size: int,
        layers: Iterable[Cell],
        output_size: int | None = None,
        *,
        batch_first: bool = False,
        dropout: float = 0.0,
        variational_dropout: bool = False,
        residual: bool = False,
        input_to_all: bool = False,
        output_from_all: bool = False,
        one_hot: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        cells = cells_of(layers)
        self.input_size = input_size = whole("DeepRNN(input_size)", input_size)
        self.output_size = None if output_size is None else whole("DeepRNN(output_size)", output_size)
        self.batch_first = flag("DeepRNN(batch_first)", batch_first)
        self.dropout = probability("DeepRNN(dropout)", dropout)
        self.variational_dropout = flag("DeepRNN(variational_dropout)", variational_dropout)
        self.residual = flag("DeepRNN(residual)", residual)
        self.input_to_all = flag("DeepRNN(input_to_all)", input_to_all)
        self.output_from_all = flag("DeepRNN(output_from_all)", output_from_all)
        self.one_hot = flag("DeepRNN(one_hot)", one_hot)
        check_build(cells, dtype, residual=self.residual)
        below = [input_size] + [cell.output_width + (input_size if input_to_all else 0) for cell in cells[:-1]]
        self.layers = nn.ModuleList(
            RecurrentLayer(
                cell,
                size,
                one_hot=input_size if one_hot and (index == 0 or input_to_all) else 0,
                device=device,
                dtype=dtype,
            )
            for index, (cell, size) in enumerate(zip(cells, below, strict=True))
        )
        self.output: nn.Linear | None = None
        if self.output_size is not None:
            width = sum(cell.output_width for cell in cells) if output_from_all else cells[-1].output_width
            self.output = nn.Linear(width, self.output_size, device=device, dtype=dtype)
            nn.init.xavier_uniform_(self.output.weight)
            nn.init.zeros_(self.output.bias)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The layers' cells, bottom layer first."""
        return tuple(layer.cell for layer in self.recurrent_layers)

    @property
    def recurrent_layers(self) -> tuple[RecurrentLayer, ...]:
        """`layers`, typed."""
        return cast("tuple[RecurrentLayer, ...]", tuple(self.layers))

    @property
    def dtype(self) -> torch.dtype:
        """The bottom layer's dtype, which x has."""
        return self.recurrent_layers[0].dtype

    @property
    def device(self) -> torch.device:
        """Where the bottom layer's weights are, and x."""
        return self.recurrent_layers[0].device

    def forward(
        self,
        x: Tensor | PackedSequence,
        state: StateForm | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Tensor | None = None,
        return_cell_states: bool = False,
    ) -> Result:
        """The net over a sequence.

        Args:
            x: (T, B, I) float, or (T, B) integers below I, read as one-hot; unbatched (T, I) or (T,). With
                batch_first, (B, T, I) or (B, T). A PackedSequence brings its own lengths; the result is padded,
                (T, B, ...), in the rows' original order.
            state: the states before the first step, as `result.state` gave them, (B, H_l) each; or a list with an
                entry for each layer: a `State`, h, (h, c), or None for the layer's initial state (zeros, or learned);
                or torch.nn's layout, h or (h, c) of (L, B, H), layers and directions along the first axis. They are
                cast to the layer's dtype. None for each layer's initial state.
            lengths: (B,) whole numbers in 0..T. Beyond its length a row's hidden is zero and its output is b_q;
                its state is the one after its last valid step.
            resets: (T, B) bool, or (B, T) with batch_first: True at the first step of a document. The state
                returns to the layer's initial state, not to the one given, before that step.
            return_cell_states: also return every layer's cell state at every step, an LSTM's c_t.

        Raises:
            ValueError, TypeError: an argument's kind, shape, range, dtype or device does not fit; the message says how.
        """
        alone = lengths is None and resets is None and not return_cell_states and self._only_stacks()
        # A call that comes as the layers read it needs none of what `prepared` does; what is wrong with it, that says.
        ready = not self.batch_first and (state is None or type(state) is DeepState)
        if alone and ready and type(x) is Tensor and x.dim() == 3:
            together = onecall.run(self.layers, x, None if state is None else cast("DeepState", state).layers)
            if together is not None:
                return self._result_of(*together)
            alone = False
        inputs, given = self.prepared(x, state, lengths=lengths, resets=resets)
        if alone and inputs.lengths is None:
            together = onecall.run(self.layers, inputs.x, given)
            if together is not None:
                return self._result_of(*together, inputs)
        joined = self._joined_input(inputs.x) if self.input_to_all else None
        hidden, passed, states, cell_states = [], [], [], []
        for index, layer in enumerate(self.recurrent_layers):
            read = self._joined(self._drop(passed[-1]), joined) if index else inputs.x
            check_layer(index, layer, read.device)
            result = layer(
                read,
                given[index],
                lengths=inputs.lengths,
                resets=inputs.resets,
                return_cell_states=return_cell_states,
            )
            if not (isinstance(result, LayerOutput) and isinstance(result.hidden, Tensor)):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(
                    f"a forward hook of layers.{index} returned a {type(result).__name__}, expected a LayerOutput of "
                    f"tensors; to change what the layer passes up, return result._replace(hidden=...)."
                )
            # What is returned lies on the way to the output, so gradients with respect to it are those of the path.
            hidden.append(inputs.restore(result.hidden))
            states.append(result.state)
            cell_states.append(result.cell_states)
            upward = inputs.time_first(hidden[-1])
            passed.append(upward + passed[-1] if self.residual and passed else upward)
        return Result(
            output=None if self.output is None else inputs.restore(self._output(self.output, passed)),
            hidden=tuple(hidden),
            state=inputs.restore_state(DeepState(tuple(states))),
            cell_states=tuple(None if c is None else inputs.restore(c) for c in cell_states)
            if return_cell_states
            else None,
        )

    def _only_stacks(self) -> bool:
        """Whether each layer reads what the one below writes, and nothing else."""
        return not (self.residual or self.input_to_all or (self.training and self.dropout))

    def _result_of(self, hidden: tuple[Tensor, ...], states: tuple[State, ...], inputs: Inputs | None = None) -> Result:
        """The result of such a stack; `inputs` where the call's axes are others than the layers'."""
        output, state = None if self.output is None else self._output(self.output, hidden), DeepState(states)
        if inputs is None:
            return Result(output, hidden, state)
        output = None if output is None else inputs.restore(output)
        return Result(output, tuple([inputs.restore(h) for h in hidden]), inputs.restore_state(state))

    def prepared(
        self,
        x: Tensor | PackedSequence,
        state: StateForm | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Inputs, tuple[State | None, ...]]:
        """The arguments of a call as the layers read them, checked; each layer's state, None for its initial one.

        Raises:
            ValueError, TypeError: as `forward`.
        """
        weight = self.recurrent_layers[0].some_weight()
        inputs = prepare(
            x,
            lengths,
            resets,
            input_size=self.input_size,
            dtype=weight.dtype,
            device=weight.device,
            batch_first=self.batch_first,
        )
        return inputs, (None,) * len(self.layers) if state is None else one_a_layer(state, self.cells, inputs)

    def initial_state(self, batch_size: int | None = None) -> DeepState:
        """The state before the first step when none is given: zeros, or the learned one.

        Args:
            batch_size: B; None for unbatched states (H_l,).
        """
        batch = 1 if batch_size is None else batch_size
        if not isinstance(batch, int) or batch < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"initial_state({batch_size!r}): the number of rows B, at least 0, or None for unbatched.")
        state = DeepState(tuple(layer.initial_state(batch) for layer in self.recurrent_layers))
        return state.rows(0) if batch_size is None else state

    def summary(self) -> str:
        """A row a layer: what it is, its shapes and parameters, the kernel that runs it, and why no faster one does.

        >>> from deeprnn import DeepRNN, GRU
        >>> "layer 1 (layers.0)" in DeepRNN(3, [GRU(8)]).summary()
        True
        """
        reads = "reads all layers" if self.output_from_all else "reads the top layer"
        return summarise(self.recurrent_layers, self.output, output_reads=reads)

    def save(self, directory: str | Path, *, metadata: Mapping[str, str] | None = None) -> None:
        """Writes `model.safetensors` and `config.json`, each whole or not at all; makes the directory.

        Both carry a digest, and the weights that of their configuration, so that `load` finds damage. What is loaded
        computes the same and is trained the same: layers and weights that are shared stay shared, and parameters that
        require no gradient stay frozen.

        Args:
            directory: where they go. A network that was saved there before is replaced; files of these names that
                are not DeepRNN's are left as they are.
            metadata: strings that stay with the weights, such as where they came from.

        Raises:
            ValueError: the net would not load as it is: a weight is pruned, normed or parametrised, its parts have
                several dtypes or no values, something was added to it, it is within an intervention; the message says
                what to do.
            FileExistsError: the directory holds another library's `config.json` or `model.safetensors`.
            OSError: it can't be written.

        Warns:
            UserWarning: the net has activations that are not names; they can't be written, and `load` asks for them.
        """
        config, tensors = self._to_save()
        saving.write_net(Path(directory), config, tensors, metadata or {})

    def check_savable(self) -> None:
        """Raises ValueError where `save` would refuse the net as it is; writes nothing."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of functions, which `save` itself warns of
            self._to_save()

    def _to_save(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        config, tensors = self.config(), distinct_state(self)
        config |= {
            "shared": shared_places(self),
            "frozen": [name for name, weight in self.named_parameters() if not weight.requires_grad],
        }
        check_loadable(self, tensors, self._expected_state(config))
        return config, tensors

    @classmethod
    def load(
        cls,
        directory: str | Path,
        *,
        functions: Mapping[str, Function] | None = None,
        device: torch.device | str | None = None,
    ) -> "DeepRNN":
        """The net that `save` wrote.

        Args:
            directory: where `model.safetensors` and `config.json` lie.
            functions: the activations that could not be written, by the place that the error names, such as
                {"layers.0.activation": my_phi}.
            device: where the parameters go; None for the CPU.

        Raises:
            FileNotFoundError, ValueError: a file is missing, damaged, or does not fit; the message names it.

        Warns:
            UserWarning: a file carries no digest, since an older version or another program wrote it.
        """
        directory = Path(directory)
        config = saving.read_config(directory)
        path = directory / saving.CONFIG
        # Absent from nets that were saved before there was such a thing, or there by an earlier name.
        entries: dict[str, Any] = {"one_hot": False, "shared": {}, "frozen": [], **config}
        if "variational" in entries:
            entries["variational_dropout"] = entries.pop("variational")
        saving.check_entries(entries, _ENTRIES, path)
        net = cls._built(entries, functions or {}, str(path), "meta")
        expected = without(net.state_dict(), entries["shared"])
        if merged := sorted(expected.keys() - distinct_state(net).keys()):
            raise ValueError(
                f"functions=...: one module is given for several places, but {merged[0]} had a value of its own when "
                f"the net was saved.\n  Give each of these places a module of its own."
            )
        tensors = saving.read_weights(directory, config, expected, device)
        net.load_state_dict(tensors, strict=False, assign=True)
        try:
            share(net, entries["shared"])
            freeze(net, entries["frozen"])
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} does not describe a DeepRNN: {error}") from error
        return net

    def config(self) -> dict[str, Any]:
        """The arguments that build such a net, as JSON: see `from_config`.

        Warns:
            UserWarning: the net has activations that are not names; JSON can't hold them.
        """
        return {
            "input_size": self.input_size,
            "output_size": self.output_size,
            "layers": saving.cells_to_json(self.cells),
            "dtype": str(self.dtype).removeprefix("torch."),
            **{name: flag(f"net.{name}", getattr(self, name)) for name in _OPTIONS if name != "dropout"},
            "dropout": probability("net.dropout", self.dropout),
        }

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        *,
        functions: Mapping[str, Function] | None = None,
        device: torch.device | str | None = None,
    ) -> "DeepRNN":
        """A net with new weights, built as `config()` says.

        Args:
            config: what `config()` gave; entries that are left out take the defaults of `DeepRNN`.
            functions: the activations that it can't hold, by place, such as {"layers.0.activation": my_phi}.
            device: where the parameters go.

        Raises:
            ValueError: it does not describe a DeepRNN; the message says why.

        >>> from deeprnn import DeepRNN, GRU
        >>> DeepRNN.from_config(DeepRNN(3, [GRU(8)], 2).config()).cells
        (GRU(8),)
        """
        return cls._built(config, functions or {}, "config", device)

    @classmethod
    def _built(
        cls,
        entries: Mapping[str, Any],
        functions: Mapping[str, Function],
        source: str,
        device: torch.device | str | None,
    ) -> "DeepRNN":
        """`source` is named in errors."""
        cells = saving.cells_from_json(entries.get("layers"), functions, source)
        try:
            dtype = saving.dtype_of(entries["dtype"]) if "dtype" in entries else None
            names = [name for name in ("input_size", "output_size", *_OPTIONS) if name in entries]
            return cls(layers=cells, device=device, dtype=dtype, **{name: entries[name] for name in names})
        except (TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{source} does not describe a DeepRNN: {error}") from error

    def _expected_state(self, config: Mapping[str, Any]) -> dict[str, Tensor]:
        """The state of the net that `load` would build from a configuration, without values."""
        expected: dict[str, Tensor] = {}
        cells: list[Cell] = []
        for index, layer in enumerate(self.recurrent_layers):
            # The twin must not take the activations' modules from this net.
            modules = {name: phi for name, phi in layer.cell.activations.items() if isinstance(phi, nn.Module)}
            cells.append(replace(layer.cell, **dict.fromkeys(modules, "identity")))
            for field, phi in modules.items():
                for name, tensor in phi.state_dict().items():
                    dtype = self.dtype if tensor.is_floating_point() else tensor.dtype
                    expected[f"layers.{index}.{field}.{name}"] = tensor.to("meta", dtype)
        arguments = {name: config[name] for name in ("input_size", "output_size", *_OPTIONS)}
        try:
            twin = type(self)(layers=cells, device="meta", dtype=self.dtype, **arguments)
        except TypeError:  # a subclass that takes other arguments: what it is saved as is a DeepRNN
            twin = DeepRNN(layers=cells, device="meta", dtype=self.dtype, **arguments)
        expected |= twin.state_dict()
        return without(expected, config["shared"])

    def _drop(self, hidden: Tensor) -> Tensor:
        if not self.training or self.dropout == 0:
            return hidden
        if not self.variational_dropout:
            return F.dropout(hidden, self.dropout)
        keep = 1 - self.dropout
        return hidden * ones_with(keep, hidden, 1, *hidden.shape[1:]) / keep if hidden.numel() else hidden

    def _joined_input(self, x: Tensor) -> Tensor:
        """X_t as the layers above the first read it, once for all of them."""
        return x if x.is_floating_point() else F.one_hot(x, self.input_size).to(self.dtype)

    @staticmethod
    def _joined(below: Tensor, x: Tensor | None) -> Tensor:
        return below if x is None else torch.cat([below, x.to(below.dtype)], dim=-1)

    def _output(self, output: nn.Linear, passed: Sequence[Tensor]) -> Tensor:
        every = [self._drop(hidden) for hidden in (passed if self.output_from_all else passed[-1:])]
        read = every[0] if len(every) == 1 else torch.cat(every, dim=-1)
        check_output(output, read)
        return output(read)
