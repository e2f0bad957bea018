"""Where everything in the drawing lies: a column a step, a band a layer. Nothing is drawn here.

Within a column, lines keep to tracks of their own. From left to right: the input's way to every layer; the cells, with
the way up at their middle; the residual connections; the layers' way to the output. Within a band, from the bottom:
where the layer's inputs join, its cells, where its directions join, the residual sum, where lines to later layers
leave.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from deeprnn.cells import Cell
from deeprnn.deep import DeepRNN
from deeprnn.diagram import words
from deeprnn.diagram.lettering import fill, text_width, widest, wrap
from deeprnn.diagram.svg import ASIDE
from deeprnn.diagram.words import Label

STEPS = ("1", "2", "3", "T")
"""The steps that are drawn; the ellipsis stands before the last."""

CELL = (64.0, 40.0)
NODE = (50.0, 34.0)
PLUS = 8.0
TEXT = 13.0
LINE = 17.0
LEGEND_SAMPLE = 44.0

_MARGIN = 16.0
_STAGGER = 38.0
_LABEL_LIMIT = 250.0
_TRACK = 15.0
_ARROW = 30.0
_DOTS = 40.0
_BETWEEN = 18.0


@dataclass(frozen=True)
class Row:
    """The cells of one layer in one direction.

    Attributes:
        y: their middle.
        dx: how far right of the column's middle they stand.
        reverse: whether time runs to the left.
    """

    y: float
    dx: float
    reverse: bool


@dataclass(frozen=True)
class Band:
    """One layer's place; heights are y, which grows downward. None where the net has no such point.

    Attributes:
        join: where the layer below and the input come together.
        split: where the way up parts to both directions; merge: where they come together again.
        plus: the residual sum.
        leave_residual, leave_output: where the lines to the next sum and to the output begin.
        leave: the last of all these, where the way up to the next layer begins.
    """

    cell: Cell
    label: Label
    lines: tuple[str, ...]
    top: float
    bottom: float
    rows: tuple[Row, ...]
    join: float | None
    split: float | None
    merge: float | None
    plus: float | None
    leave_residual: float | None
    leave_output: float | None
    leave: float

    @property
    def entry(self) -> float:
        """Where the way up from below ends."""
        for y in (self.join, self.split):
            if y is not None:
                return y
        return self.rows[0].y + CELL[1] / 2


@dataclass(frozen=True)
class Layout:
    """The whole drawing's places.

    Attributes:
        columns: the middle of each step of `STEPS`.
        dots: the middle of the ellipsis.
        start, end: the middle of the initial states, before the first step and after the last.
        input_dx, residual_dx, output_dx: the tracks, from a column's middle.
        input_y, output_y: the middle of X_t and of O_t.
        label_x: where labels begin.
        legend: the top of the legend, and its lines.
    """

    width: float
    height: float
    columns: tuple[float, ...]
    dots: float
    start: float
    end: float
    input_dx: float
    residual_dx: float
    output_dx: float
    input_y: float
    output_y: float | None
    bands: tuple[Band, ...]
    label_x: float
    legend_y: float
    legend: tuple[tuple[words.Mark, tuple[str, ...]], ...]


def lay_out(net: DeepRNN) -> Layout:
    """The places of everything in a net's drawing."""
    labels = [words.layer_label(index, cell) for index, cell in enumerate(net.cells)]
    lines = [_label_lines(label) for label in labels]
    ends = [words.input_label(net)] + ([words.output_label(net)] if net.output is not None else [])
    label_width = max(
        *(widest(part, TEXT) for part in lines),
        *(text_width(label.name, TEXT, bold=True) + ASIDE + text_width(label.place, TEXT) for label in labels),
        *(widest([label.kind, *label.options], TEXT) for label in ends),
    )
    several = len(net.cells) > 1
    input_to_all, residual = net.input_to_all and several, net.residual and several
    output_from_all = net.output_from_all and several and net.output is not None
    half = CELL[0] / 2 + (_STAGGER if any(cell.directions == 2 for cell in net.cells) else 0)
    left = half + (_TRACK if input_to_all else 0)
    residual_dx = half + _TRACK
    output_dx = residual_dx + (_TRACK if residual else 0)
    right = output_dx if output_from_all else residual_dx if residual else half

    begins = max(start_size(cell)[0] for cell in net.cells) / 2
    start = _MARGIN * 2 + label_width + begins + 14
    first = start + begins + _ARROW + left
    pitch = right + left + _ARROW + 10
    third = first + 2 * pitch
    dots = third + right + _ARROW + _DOTS / 2
    last = dots + _DOTS / 2 + _ARROW + left
    backward = any(cell.direction != "forward" for cell in net.cells)
    end = last + right + _ARROW + begins
    width = (end + begins if backward else last + right) + 14 + _MARGIN

    legend: tuple[tuple[words.Mark, tuple[str, ...]], ...] = tuple(
        (mark, tuple(wrap(text, TEXT, width - 2 * _MARGIN - LEGEND_SAMPLE - 8))) for mark, text in words.legend(net)
    )
    legend_height = sum(LINE * len(text) + 5 for _, text in legend) + (12 if legend else 0)
    bands = _stack(net, labels, lines, bottom=0)
    end_height = NODE[1] + _BETWEEN + 10
    output_height = end_height if net.output is not None else 0
    bottom = _MARGIN + output_height - bands[-1].top
    bands = _stack(net, labels, lines, bottom=bottom)
    input_y = bottom + end_height - NODE[1] / 2
    legend_y = input_y + NODE[1] / 2 + 12
    return Layout(
        width=width,
        height=legend_y + legend_height + _MARGIN - 8,
        columns=(first, first + pitch, third, last),
        dots=dots,
        start=start,
        end=end,
        input_dx=-left,
        residual_dx=residual_dx,
        output_dx=output_dx,
        input_y=input_y,
        output_y=_MARGIN + NODE[1] / 2 if net.output is not None else None,
        bands=bands,
        label_x=2 * _MARGIN - 4,
        legend_y=legend_y,
        legend=legend,
    )


def start_size(cell: Cell) -> tuple[float, float]:
    """The size of the box for a layer's initial state: room for H_T+1, or for a zero."""
    return (52.0 if cell.learn_initial else 34.0, 28.0)


def _label_lines(label: Label) -> tuple[str, ...]:
    """What a label says below its name."""
    return tuple(wrap(label.kind, TEXT, _LABEL_LIMIT) + fill(label.options, TEXT, _LABEL_LIMIT))


def _stack(
    net: DeepRNN, labels: Sequence[Label], lines: Sequence[tuple[str, ...]], *, bottom: float
) -> tuple[Band, ...]:
    bands: list[Band] = []
    for index, (label, text) in enumerate(zip(labels, lines, strict=True)):
        band = _band(net, index, label, text, bottom)
        bands.append(band)
        bottom = band.top - _BETWEEN
    return tuple(bands)


def _band(net: DeepRNN, index: int, label: Label, lines: tuple[str, ...], bottom: float) -> Band:
    cell, top_layer = net.cells[index], index == len(net.cells) - 1
    plain = CELL[1] + 2 * 14 + sum((12 if cell.directions == 2 else 0, 0))
    spare = max(0.0, (len(lines) + 1) * LINE + 16 - plain)
    y = bottom - 14 - spare / 2
    join = split = merge = plus = leave_residual = leave_output = None
    if net.input_to_all and index > 0:
        join, y = y, y - 20
    if cell.directions == 2:
        split, y = y, y - 20
    rows: list[Row] = []
    for number in range(cell.directions):
        dx = (-_STAGGER, _STAGGER)[number] if cell.directions == 2 else 0.0
        rows.append(Row(y - CELL[1] / 2, dx, reverse=cell.direction == "reverse" or number == 1))
        y -= CELL[1] + (16 if number + 1 < cell.directions else 0)
    leave = y
    if cell.directions == 2:
        merge = leave = y = y - 14
    if net.residual and index > 0:
        plus = y - 12 - PLUS
        leave = y = plus - PLUS
    if net.residual and not top_layer:
        leave_residual = leave = y = y - 10
    if net.output_from_all and net.output is not None and not top_layer:
        leave_output = leave = y = y - 10
    top = min(y - 14, bottom - (len(lines) + 1) * LINE - 16)
    return Band(
        cell, label, lines, top, bottom, tuple(rows), join, split, merge, plus, leave_residual, leave_output, leave
    )
