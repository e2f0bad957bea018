"""The names under which a net's values can be recorded: those of its state_dict, with what is there for each."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from deeprnn.analysis.interventions.edited_cell import own_cell
from deeprnn.deep import DeepRNN


@dataclass(frozen=True)
class Name:
    """One recordable value of one direction of one layer.

    Attributes:
        layer: its index.
        kind: "hidden", "cell", "gate.f", "pre.f", ..., with "_reverse" at the end for a second direction: the name
            without the layer.
        width: H, its units.
    """

    layer: int
    kind: str
    width: int

    def __str__(self) -> str:
        return f"layers.{self.layer}.{self.kind}"

    @property
    def reverse(self) -> bool:
        """Whether it belongs to the second direction of a layer that runs both ways."""
        return self.kind.endswith("_reverse")

    @property
    def quantity(self) -> str:
        """ "hidden", "cell", "gate" or "pre"."""
        return self.kind.removesuffix("_reverse").partition(".")[0]

    @property
    def gate(self) -> str:
        """The gate's name where the quantity is "gate" or "pre", else ""."""
        return self.kind.removesuffix("_reverse").partition(".")[2]


def names_of(net: DeepRNN) -> tuple[Name, ...]:
    """All that `record` can record of a net, bottom layer first.

    >>> from deeprnn import DeepRNN, GRU
    >>> [str(name) for name in names_of(DeepRNN(3, [GRU(4)]))][:3]
    ['layers.0.hidden', 'layers.0.gate.r', 'layers.0.pre.r']
    """
    found: list[Name] = []
    for index, outer in enumerate(net.cells):
        cell = own_cell(outer)
        widths = {"hidden": cell.state_sizes["h"]}
        if cell.cell_state is not None:
            widths["cell"] = cell.state_sizes[cell.cell_state]
        if cell.tells_gates:
            widths |= {f"{quantity}.{gate}": cell.width for gate in cell.gates for quantity in ("gate", "pre")}
        for suffix in ("", "_reverse")[: cell.directions]:
            found += [Name(index, kind + suffix, width) for kind, width in widths.items()]
    return tuple(found)


def matching(net: DeepRNN, patterns: str | Iterable[str]) -> tuple[Name, ...]:
    """The names that the patterns stand for, in the net's order.

    Raises:
        ValueError: a pattern stands for nothing; the message lists what there is.
    """
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    available = names_of(net)
    for pattern in patterns:
        if not any(fnmatchcase(str(name), pattern) for name in available):
            raise ValueError(
                f"names: {pattern!r} is nothing of this net. In a name, * stands for any characters: "
                f"'layers.*.hidden' is every layer's\n  hidden states, 'layers.1.gate.*' all gates of layer 2. "
                f"There are:\n{_listing(net, available)}"
            )
    if not patterns:
        raise ValueError(f"names is empty; name at least one of:\n{_listing(net, available)}")
    return tuple(name for name in available if any(fnmatchcase(str(name), pattern) for pattern in patterns))


def _listing(net: DeepRNN, available: tuple[Name, ...]) -> str:
    lines: list[str] = []
    for index, cell in enumerate(net.cells):
        kinds = ", ".join(name.kind for name in available if name.layer == index)
        known = "" if own_cell(cell).tells_gates else f" (the gates of a {type(own_cell(cell)).__name__} are not known)"
        lines.append(f"  layers.{index}. {kinds}{known}")
    return "\n".join(lines)
