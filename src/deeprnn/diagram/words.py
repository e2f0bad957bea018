"""What the drawing says in words: each layer's label, the legend, and the description that is read aloud."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from deeprnn.cells import Cell
from deeprnn.deep import DeepRNN
from deeprnn.diagram.lettering import printable

Mark: TypeAlias = Literal[
    "dropout", "recurrent-dropout", "residual", "input-to-all", "output-from-all", "several-states"
]

_SWITCHES: dict[tuple[str, bool | str], str] = {
    ("bias", False): "no bias",
    ("direction", "both"): "both directions",
    ("direction", "reverse"): "reverse direction",
    ("layer_norm", True): "layer norm",
    ("learn_initial", True): "learned initial state",
}
_COUNTS = {2: "two", 3: "three", 4: "four"}
_VALUES = {"zoneout": "zoneout", "zoneout_cell": "zoneout of c", "recurrent_dropout": "recurrent dropout"}


@dataclass(frozen=True)
class Label:
    """A row's label: its name, where it lies in the net, and what it is."""

    name: str
    place: str
    kind: str
    options: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """All of it on one line."""
        place = f" ({self.place})" if self.place else ""
        return f"{self.name}{place}: " + ", ".join((self.kind, *self.options))


def layer_label(index: int, cell: Cell) -> Label:
    """A layer's label: "layer 1", "layers.0", "GRU 256 tanh, sigmoid", ("zoneout 0.1", "layer norm").

    >>> from deeprnn import Elman
    >>> layer_label(0, Elman(8, "relu", zoneout=0.1)).sentence
    'layer 1 (layers.0): Elman 8 relu, zoneout 0.1'
    """
    options = tuple(printable(_option(name, value)) for name, value in cell.options().items())
    return Label(f"layer {index + 1}", f"layers.{index}", printable(cell.describe()), options)


def input_label(net: DeepRNN) -> Label:
    """The inputs' label."""
    return Label("input", "", f"{net.input_size:,} {'feature' if net.input_size == 1 else 'features'}")


def output_label(net: DeepRNN) -> Label:
    """The outputs' label."""
    reads = "reads all layers" if net.output_from_all else "reads the top layer"
    return Label("output", "", f"{net.output_size:,} {'output' if net.output_size == 1 else 'outputs'}", (reads,))


def legend(net: DeepRNN) -> list[tuple[Mark, str]]:
    """The marks that the drawing uses, each with its meaning; nothing that it does not use."""
    above = len(net.cells) > 1
    lines: list[tuple[Mark, str]] = []
    for states in dict.fromkeys(tuple(cell.states) for cell in net.cells if len(cell.states) > 1):
        count = _COUNTS.get(len(states), str(len(states)))
        lines.append(("several-states", f"{count} arrows in time: {', '.join(states[:-1])} and {states[-1]}"))
    if net.dropout and (above or net.output is not None):
        masks = "one mask for all steps" if net.variational_dropout else "a new mask at each step"
        lines.append(("dropout", f"dropout {net.dropout:g} on the way up, {masks}"))
    if any(cell.recurrent_dropout for cell in net.cells):
        lines.append(("recurrent-dropout", "recurrent dropout, one mask for all steps"))
    if net.residual and above:
        lines.append(("residual", "residual: a layer passes up its state plus what it read"))
    if net.input_to_all and above:
        lines.append(("input-to-all", "every layer reads the input"))
    if net.output_from_all and above and net.output is not None:
        lines.append(("output-from-all", "the output reads all layers"))
    return lines


def title(net: DeepRNN) -> str:
    """The drawing's name."""
    count = len(net.cells)
    return f"Deep RNN of {count} {'layer' if count == 1 else 'layers'}, unrolled in time"


def description(net: DeepRNN) -> str:
    """The drawing in sentences, for a reader who cannot see it."""
    parts = [input_label(net).sentence]
    parts += [layer_label(index, cell).sentence for index, cell in enumerate(net.cells)]
    if net.output is not None:
        parts.append(output_label(net).sentence)
    parts += [text for _, text in legend(net)]
    return "Time runs to the right, layers upward. " + "; ".join(parts) + "."


def _option(name: str, value: object) -> str:
    if isinstance(value, bool | str) and (name, value) in _SWITCHES:
        return _SWITCHES[name, value]
    return f"{_VALUES[name]} {value:g}" if name in _VALUES else f"{name}={value}"
