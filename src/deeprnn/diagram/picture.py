"""The drawing itself: the layout's places, filled with shapes."""

from itertools import pairwise

from deeprnn.deep import DeepRNN
from deeprnn.diagram import palette, words
from deeprnn.diagram.layout import CELL, LEGEND_SAMPLE, LINE, NODE, PLUS, STEPS, TEXT, Band, Layout, Row, start_size
from deeprnn.diagram.svg import Group, Point, document, written

_STATE_GAP = 14.0
_HIDDEN = 5.0
"""How far an arrow begins within the round end of a box that is painted over it."""


def paint(net: DeepRNN, layout: Layout) -> str:
    """The drawing of a net as SVG text."""
    drawing = document(layout.width, layout.height, words.title(net), words.description(net))
    drawing.field(0, 0, (layout.width, layout.height), palette.GROUND, "ground")
    layers = [drawing.group("layer", band.label.sentence) for band in layout.bands]
    for group, band in zip(layers, layout.bands, strict=True):
        group.field(8, band.top, (layout.width - 16, band.bottom - band.top), palette.BAND, "band")
    ways = drawing.group("depth")
    for x in layout.columns:
        _way_up(ways, net, layout, x)
        if net.input_to_all:
            _input_to_all(ways, layout, x)
        if net.residual:
            _residuals(ways, layout, x)
        if net.output_from_all and layout.output_y is not None:
            _output_from_all(ways, net, layout, x, layout.output_y)
    for index, (group, band) in enumerate(zip(layers, layout.bands, strict=True)):
        for row in band.rows:
            _row(group, layout, band, row, index)
        _label(group, band, layout)
    _ends(drawing, net, layout)
    _legend(drawing, layout)
    return written(drawing)


def _way_up(group: Group, net: DeepRNN, layout: Layout, x: float) -> None:
    """From X_t through every layer to O_t."""
    below = layout.input_y - NODE[1] / 2
    for index, band in enumerate(layout.bands):
        dropped = net.dropout > 0 and index > 0
        if band.join is None and band.split is None:
            group.arrow([(x, below), (x, band.entry)], "up", dashed=dropped)
        else:
            group.line([(x, below), (x, band.entry)], "way", dashed=dropped)
        _through(group, band, x)
        below = band.leave
    if layout.output_y is not None:
        group.arrow([(x, below), (x, layout.output_y + NODE[1] / 2)], "up", dashed=net.dropout > 0)


def _through(group: Group, band: Band, x: float) -> None:
    """From where the layer's inputs have joined, to where its output leaves."""
    if band.join is not None:
        group.disc((x, band.join), 3, palette.LINE, "join")
    entry, tops = band.split if band.join is None else band.join, [row.y - CELL[1] / 2 for row in band.rows]
    if band.split is not None:
        if band.join is not None:
            group.line([(x, band.join), (x, band.split)], "way")
        group.disc((x, band.split), 3, palette.LINE, "split")
        for row in band.rows:
            bend = x + row.dx
            group.arrow([(x, band.split), (bend, band.split), (bend, row.y + CELL[1] / 2)], "up")
    elif entry is not None:
        group.arrow([(x, entry), (x, band.rows[0].y + CELL[1] / 2)], "up")
    above = tops[0]
    if band.merge is not None:
        above = band.merge
        for row, top in zip(band.rows, tops, strict=True):
            group.line([(x + row.dx, top), (x + row.dx, above), (x, above)], "way")
        group.disc((x, above), 3, palette.LINE, "merge")
    if band.plus is not None:
        group.arrow([(x, above), (x, band.plus + PLUS)], "up")
        _plus(group, (x, band.plus))
        above = band.plus - PLUS
    if band.leave < above:
        group.line([(x, above), (x, band.leave)], "way")


def _plus(group: Group, at: Point) -> None:
    x, y = at
    group.disc(at, PLUS, palette.GROUND, "plus", stroke=palette.LINE)
    group.line([(x - 4, y), (x + 4, y)], "sign")
    group.line([(x, y - 4), (x, y + 4)], "sign")


def _input_to_all(group: Group, layout: Layout, x: float) -> None:
    joins = [band.join for band in layout.bands if band.join is not None]
    if not joins:
        return
    colour, track = palette.INPUT.stroke, x + layout.input_dx
    group.line([(x - NODE[0] / 2, layout.input_y), (track, layout.input_y), (track, joins[-1])], "way", colour=colour)
    for y in joins:
        group.arrow([(track, y), (x - 3, y)], "input-to-all", colour=colour)


def _residuals(group: Group, layout: Layout, x: float) -> None:
    track = x + layout.residual_dx
    for lower, upper in pairwise(layout.bands):
        if lower.leave_residual is not None and upper.plus is not None:
            begin, end = (x, lower.leave_residual), (x + PLUS, upper.plus)
            group.disc(begin, 2.5, palette.LINE, "leave")
            group.arrow([begin, (track, begin[1]), (track, end[1]), end], "residual")


def _output_from_all(group: Group, net: DeepRNN, layout: Layout, x: float, output_y: float) -> None:
    colour, track, dashed = palette.OUTPUT.stroke, x + layout.output_dx, net.dropout > 0
    leaves = [band.leave_output for band in layout.bands if band.leave_output is not None]
    for y in leaves:
        group.disc((x, y), 2.5, colour, "leave")
        group.line([(x, y), (track, y)], "output-from-all", colour=colour, dashed=dashed)
    if leaves:
        end = (x + NODE[0] / 2, output_y)
        group.arrow([(track, leaves[0]), (track, output_y), end], "output-from-all", colour=colour, dashed=dashed)


def _row(group: Group, layout: Layout, band: Band, row: Row, index: int) -> None:
    """One direction's initial state, cells, and arrows in time."""
    half, sign = CELL[0] / 2, -1 if row.reverse else 1
    colours = palette.of_kind(type(band.cell).__name__)
    middles = [x + row.dx for x in layout.columns]
    stops = [(x - half, x + half) for x in middles]
    stops.insert(len(stops) - 1, (layout.dots - 14, layout.dots + 14))
    begin = layout.end if row.reverse else layout.start
    if row.reverse:
        stops.reverse()
    begins = start_size(band.cell)[0] / 2 - _HIDDEN
    stops.insert(0, (begin - begins, begin + begins))
    states = len(band.cell.states)
    for before, after in pairwise(stops):
        here, there = (before[0], after[1]) if row.reverse else (before[1], after[0])
        for number in range(states):
            y = row.y + (number - (states - 1) / 2) * _STATE_GAP
            group.arrow([(here, y), (there, y)], "time", dashed=number == 0 and band.cell.recurrent_dropout > 0)
    _start(group, band, (begin, row.y), colours, reverse=row.reverse)
    over = sign if band.cell.directions == 2 else 0
    for x, step in zip(middles, STEPS, strict=True):
        group.box((x, row.y), CELL, colours, "cell")
        group.symbol((x, row.y), "H", step, f"({index + 1})", over=over)
    _dots(group, (layout.dots, row.y))


def _start(group: Group, band: Band, at: Point, colours: palette.Paint, *, reverse: bool) -> None:
    """The state before the first step: learned, or zeros."""
    if band.cell.learn_initial:
        group.box(at, start_size(band.cell), colours, "start learned", radius=14)
        group.symbol(at, "H", "T+1" if reverse else "0")
    else:
        group.box(at, start_size(band.cell), palette.START, "start", radius=14)
        group.text((at[0], at[1] + 4.5), "0", TEXT, anchor="middle", colour=palette.MUTED, meaning="zero")


def _dots(group: Group, at: Point) -> None:
    for dx in (-7, 0, 7):
        group.disc((at[0] + dx, at[1]), 1.8, palette.LINE, "dots")


def _label(group: Group, band: Band, layout: Layout) -> None:
    rows = len(band.lines) + 1
    y = (band.top + band.bottom) / 2 - rows * LINE / 2 + 0.75 * LINE
    group.text((layout.label_x, y), band.label.name, TEXT, bold=True, aside=band.label.place)
    for number, line in enumerate(band.lines, start=1):
        group.text((layout.label_x, y + number * LINE), line, TEXT)


def _ends(drawing: Group, net: DeepRNN, layout: Layout) -> None:
    """The inputs and the outputs."""
    ends = [("input", "X", layout.input_y, palette.INPUT, words.input_label(net))]
    if layout.output_y is not None:
        ends.append(("output", "O", layout.output_y, palette.OUTPUT, words.output_label(net)))
    for meaning, letter, y, colours, label in ends:
        group = drawing.group(meaning, label.sentence)
        for x, step in zip(layout.columns, STEPS, strict=True):
            group.box((x, y), NODE, colours, f"{meaning}-node", radius=17)
            group.symbol((x, y), letter, step)
        _dots(group, (layout.dots, y))
        lines = [label.kind, *label.options]
        baseline = y - (len(lines) + 1) * LINE / 2 + 0.75 * LINE
        group.text((layout.label_x, baseline), label.name, TEXT, bold=True)
        for number, line in enumerate(lines, start=1):
            group.text((layout.label_x, baseline + number * LINE), line, TEXT)


def _legend(drawing: Group, layout: Layout) -> None:
    if not layout.legend:
        return
    group = drawing.group("legend")
    left, y = layout.label_x, layout.legend_y
    for mark, lines in layout.legend:
        _sample(group, mark, (left, y + LINE / 2))
        for line in lines:
            group.text((left + LEGEND_SAMPLE + 8, y + 0.75 * LINE), line, TEXT, colour=palette.MUTED)
            y += LINE
        y += 5


def _sample(group: Group, mark: words.Mark, at: Point) -> None:
    """A mark as it looks in the drawing."""
    x, y = at
    right = x + LEGEND_SAMPLE
    if mark == "several-states":
        for dy in (-4, 4):
            group.arrow([(x, y + dy), (right, y + dy)], "sample")
    elif mark == "residual":
        group.arrow([(x, y), (x + LEGEND_SAMPLE / 2 - PLUS, y)], "sample")
        _plus(group, (x + LEGEND_SAMPLE / 2, y))
        group.line([(x + LEGEND_SAMPLE / 2 + PLUS, y), (right, y)], "sample")
    else:
        colours: dict[words.Mark, str] = {
            "input-to-all": palette.INPUT.stroke,
            "output-from-all": palette.OUTPUT.stroke,
        }
        dashed = mark in ("dropout", "recurrent-dropout")
        group.arrow([(x, y), (right, y)], "sample", colour=colours.get(mark, palette.LINE), dashed=dashed)
