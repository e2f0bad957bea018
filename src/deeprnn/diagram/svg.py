"""The few shapes that a drawing is made of, as SVG elements.

Only presentation attributes, no style sheet, identifiers or markers: several drawings can stand in one page, and
every viewer shows them alike. Classes name what a shape means, for programs that read the drawing.
"""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias
from xml.etree import ElementTree

from deeprnn.diagram.lettering import printable, text_width
from deeprnn.diagram.palette import INK, LINE, MUTED, Paint

Point: TypeAlias = tuple[float, float]
Anchor: TypeAlias = Literal["start", "middle", "end"]

_SANS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_SERIF = "'Times New Roman', Times, 'Liberation Serif', 'DejaVu Serif', serif"
_HEAD_LENGTH, _HEAD_HALF = 8.0, 3.6
ASIDE = 7.0
"""The space before an aside."""

_SYMBOL = 17.0
_INDEX = 11.0
_LETTERS = {"H": 0.76, "X": 0.66, "O": 0.74}
"""The widths of the slanted letters, in parts of their size."""


class Group:
    """An SVG element that shapes are added to.

    Args:
        element: the element itself.
    """

    def __init__(self, element: ElementTree.Element) -> None:
        self.element = element

    def group(self, meaning: str, title: str = "") -> "Group":
        """A group within this one; its title is a tooltip, and read aloud."""
        element = ElementTree.SubElement(self.element, "g", {"class": meaning})
        if title:
            ElementTree.SubElement(element, "title").text = printable(title)
        return Group(element)

    def box(self, centre: Point, size: Point, paint: Paint, meaning: str, *, radius: float = 6) -> None:
        """A rounded rectangle around a centre."""
        (x, y), (width, height) = centre, size
        self._add(
            "rect",
            meaning,
            x=x - width / 2,
            y=y - height / 2,
            width=width,
            height=height,
            rx=radius,
            fill=paint.fill,
            stroke=paint.stroke,
            stroke_width=1.5,
        )

    def field(self, left: float, top: float, size: Point, fill: str, meaning: str) -> None:
        """A rectangle without an outline."""
        self._add("rect", meaning, x=left, y=top, width=size[0], height=size[1], rx=8, fill=fill)

    def line(self, points: Sequence[Point], meaning: str, *, colour: str = LINE, dashed: bool = False) -> None:
        """A line through points."""
        path = "M" + " L".join(f"{_number(x)} {_number(y)}" for x, y in points)
        dashes = {"stroke_dasharray": "5 4"} if dashed else {}
        style = {"fill": "none", "stroke": colour, "stroke_width": 1.5, "stroke_linejoin": "round"}
        self._add("path", meaning, d=path, **style, **dashes)

    def arrow(self, points: Sequence[Point], meaning: str, *, colour: str = LINE, dashed: bool = False) -> None:
        """A line through points with a head at its end."""
        (x0, y0), (x, y) = points[-2:]
        length = math.hypot(x - x0, y - y0)
        dx, dy = (x - x0) / length, (y - y0) / length
        neck = (x - dx * _HEAD_LENGTH, y - dy * _HEAD_LENGTH)
        arrow = self.group(f"arrow {meaning}")
        arrow.line([*points[:-1], neck], "shaft", colour=colour, dashed=dashed)
        sides = [(neck[0] + s * dy * _HEAD_HALF, neck[1] - s * dx * _HEAD_HALF) for s in (1, -1)]
        corners = " ".join(f"{_number(a)},{_number(b)}" for a, b in [(x, y), *sides])
        arrow._add("polygon", "head", points=corners, fill=colour)

    def disc(self, centre: Point, radius: float, fill: str, meaning: str, *, stroke: str = "none") -> None:
        """A circle."""
        self._add("circle", meaning, cx=centre[0], cy=centre[1], r=radius, fill=fill, stroke=stroke, stroke_width=1.5)

    def text(
        self,
        at: Point,
        text: str,
        size: float,
        *,
        colour: str = INK,
        bold: bool = False,
        anchor: Anchor = "start",
        meaning: str = "label",
        aside: str = "",
    ) -> None:
        """A line of text, its baseline at `at`; the aside follows on the same line, not bold."""
        style = {"font_weight": "bold"} if bold else {}
        element = self._add(
            "text",
            meaning,
            x=at[0],
            y=at[1],
            font_family=_SANS,
            font_size=size,
            fill=colour,
            text_anchor=anchor,
            **style,
        )
        element.text = printable(text)
        if aside:
            style = {"dx": _number(ASIDE), "fill": MUTED, "font-weight": "normal"}
            ElementTree.SubElement(element, "tspan", style).text = printable(aside)

    def symbol(self, centre: Point, letter: str, low: str, high: str = "", *, over: int = 0) -> None:
        """A letter with an index and a superscript, one above the other; `over` 1 or -1 puts an arrow above it."""
        x, y = centre
        letter_width = _LETTERS[letter] * _SYMBOL
        left = x - (letter_width + max(_index_width(low), _index_width(high))) / 2
        baseline = y + 0.34 * _SYMBOL
        element = self._add(
            "text", "symbol", x=left, y=baseline, font_family=_SERIF, font_size=_SYMBOL, font_style="italic", fill=INK
        )
        element.text = letter
        for text, drop in ((low, 4.0), (high, -7.5)):
            if text:
                # Of two, each has an x of its own: they stand above each other in every font.
                place = {"x": left + letter_width + 1, "y": baseline + drop} if low and high else {"dx": 1, "dy": drop}
                style = {"font-size": _INDEX, "font-style": "italic" if text[0].isalpha() else "normal"}
                written = {name: _number(value) for name, value in (place | style).items()}
                ElementTree.SubElement(element, "tspan", written).text = text
        if over:
            y_over, half = baseline - 0.87 * _SYMBOL, 5.0
            middle = left + letter_width / 2
            tip, tail = middle + over * half, middle - over * half
            barb = tip - over * 3
            self._add(
                "path",
                "over",
                d=f"M{_number(tail)} {_number(y_over)} H{_number(tip)} M{_number(barb)} {_number(y_over - 2.2)} "
                f"L{_number(tip)} {_number(y_over)} L{_number(barb)} {_number(y_over + 2.2)}",
                fill="none",
                stroke=INK,
                stroke_width=1,
            )

    def _add(self, tag: str, meaning: str, **attributes: float | str) -> ElementTree.Element:
        written = {name.replace("_", "-"): _number(value) for name, value in attributes.items()}
        return ElementTree.SubElement(self.element, tag, {"class": meaning, **written})


def document(width: float, height: float, title: str, description: str) -> Group:
    """An empty drawing."""
    size = {"width": _number(width), "height": _number(height), "viewBox": f"0 0 {_number(width)} {_number(height)}"}
    root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "role": "img"})
    ElementTree.SubElement(root, "title").text = printable(title)
    ElementTree.SubElement(root, "desc").text = printable(description)
    return Group(root)


def written(drawing: Group) -> str:
    """The document as text."""
    ElementTree.indent(drawing.element)
    for text in drawing.element.iter("text"):
        for part in text:
            part.tail = None  # a line break here would be drawn as a space
    return ElementTree.tostring(drawing.element, encoding="unicode") + "\n"


def _index_width(text: str) -> float:
    return text_width(text, _INDEX)


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{round(value, 2):g}"
