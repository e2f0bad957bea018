"""The drawing: well-formed, complete, and free of overlaps, for every option."""

import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from deeprnn import GRU, LSTM, Cell, DeepRNN, Drawing, Elman, draw
from deeprnn.cli import app

SVG = "{http://www.w3.org/2000/svg}"
STEPS = 4  # 1, 2, 3 and T


def a_function_with_a_name_that_is_longer_than_any_column_should_have_to_be(a: torch.Tensor) -> torch.Tensor:
    return a


ALL_OPTIONS: dict[str, object] = {
    "bias": False,
    "direction": "both",
    "layer_norm": True,
    "recurrent_dropout": 0.25,
    "zoneout": 0.125,
    "learn_initial": True,
    "init": "uniform",
}

NETS = {
    "1-elman": DeepRNN(28, [Elman(64)], 10),
    "1-gru-no-output": DeepRNN(28, [GRU(64)]),
    "1-lstm-every-stack-option": DeepRNN(
        1, [LSTM(64)], 1, dropout=0.5, residual=True, input_to_all=True, output_from_all=True
    ),
    "3-gru": DeepRNN(96, [GRU(256)] * 3, 96, dropout=0.25),
    "3-long-label": DeepRNN(
        28, [GRU(64, activation=a_function_with_a_name_that_is_longer_than_any_column_should_have_to_be)] * 3, 10
    ),
    "12-gru-residual-input-to-all": DeepRNN(96, [GRU(256)] * 12, 96, residual=True, input_to_all=True),
    "12-lstm-everything": DeepRNN(
        123_456,
        [LSTM(64, **ALL_OPTIONS, zoneout_cell=0.5)] * 12,  # type: ignore[arg-type]
        123_456,
        dropout=0.5,
        variational_dropout=True,
        residual=True,
        input_to_all=True,
        output_from_all=True,
        device="meta",
    ),
    "mixed": DeepRNN(
        28,
        [
            Elman(64, "softplus", layer_norm=True),
            GRU(128, reset_after=False, direction="both", zoneout=0.125, learn_initial=True),
            LSTM(256, direction="reverse", learn_initial=True, recurrent_dropout=0.25),
            LSTM(32, direction="both", layer_norm=True),
        ],
        10,
        dropout=0.25,
        input_to_all=True,
        output_from_all=True,
    ),
}


@pytest.fixture(params=NETS, name="net")
def _net(request: pytest.FixtureRequest) -> DeepRNN:
    return NETS[request.param]


class TestContents:
    def test_every_label_is_there(self, net: DeepRNN) -> None:
        layers = having(parse(net), "layer")
        assert len(layers) == len(net.cells)
        for index, (layer, cell) in enumerate(zip(layers, net.cells, strict=True)):
            lines = [t for e in layer.iter(SVG + "text") if e.get("class") == "label" for t in [" ".join(e.itertext())]]
            assert lines[0] == f"layer {index + 1} layers.{index}"
            shown = "".join(lines[1:]).replace(" ", "")
            assert shown.startswith(cell.describe().replace(" ", ""))
            for name, value in cell.options().items():
                words = {
                    "direction": f"{value}direction",
                    "init": f"init={value}",
                    "layer_norm": "layernorm",
                    "learn_initial": "learnedinitialstate",
                    "bias": "nobias",
                    "zoneout_cell": f"zoneoutofc{value}",
                }
                assert words.get(name, f"{name.replace('_', '')}{value}") in shown.replace("_", "").replace(
                    "resetafter=", "resetafter"
                )
            title = layer.find(SVG + "title")
            assert title is not None
            assert cell.describe() in (title.text or "")

    def test_cells_are_numbered_by_step_and_layer(self, net: DeepRNN) -> None:
        for index, layer in enumerate(having(parse(net), "layer")):
            symbols = ["".join(e.itertext()) for e in layer.iter(SVG + "text") if e.get("class") == "symbol"]
            wanted = [f"H{step}({index + 1})" for step in "123T"] * net.cells[index].directions
            assert sorted(s for s in symbols if "(" in s) == sorted(wanted)

    def test_numbers_of_cells_and_arrows(self, net: DeepRNN) -> None:
        drawing, cells = parse(net), net.cells
        rows, several = sum(cell.directions for cell in cells), len(cells) > 1
        assert len(having(drawing, "cell")) == STEPS * rows
        # Of each state: from the initial one to step 1, on to 2, to 3, to the ellipsis, to T.
        assert len(having(drawing, "arrow time")) == (STEPS + 1) * sum(c.directions * len(c.states) for c in cells)
        assert len(having(drawing, "start")) + len(having(drawing, "start learned")) == rows
        assert len(having(drawing, "start learned")) == sum(c.directions for c in cells if c.learn_initial)
        assert len(having(drawing, "input-node")) == STEPS
        assert len(having(drawing, "output-node")) == (STEPS if net.output_size else 0)
        above = len(cells) - 1
        sums, joins = above * net.residual, above * net.input_to_all
        ups = rows + sums + (net.output_size is not None)
        assert len(having(drawing, "arrow up")) == STEPS * ups
        assert len(having(drawing, "plus")) == STEPS * sums + bool(sums)  # and one in the legend
        assert len(having(drawing, "arrow residual")) == STEPS * sums
        assert len(having(drawing, "arrow input-to-all")) == STEPS * joins
        assert len(having(drawing, "output-from-all")) == STEPS * above * net.output_from_all
        assert len(having(drawing, "arrow output-from-all")) == STEPS * (several and net.output_from_all)

    def test_time_arrows_point_the_way_the_layer_runs(self) -> None:
        for direction, signs in {"forward": {1}, "reverse": {-1}, "both": {1, -1}}.items():
            drawing = parse(DeepRNN(3, [Elman(5, direction=direction)]))  # type: ignore[arg-type]
            ways = [points(arrow[0]) for arrow in having(drawing, "arrow time")]
            assert {1 if way[-1][0] > way[0][0] else -1 for way in ways} == signs

    def test_a_reader_who_cannot_see_it_is_told_all(self) -> None:
        net = NETS["mixed"]
        drawing = parse(net)
        assert drawing.findtext(SVG + "title") == "Deep RNN of 4 layers, unrolled in time"
        told = drawing.findtext(SVG + "desc") or ""
        for cell in net.cells:
            assert cell.describe() in told
        for part in ("28 features", "10 outputs", "dropout 0.25", "every layer reads the input", "reads all layers"):
            assert part in told


class TestOptionsShow:
    @pytest.mark.parametrize("option", [*ALL_OPTIONS, "reset_after"])
    def test_a_layers_option_changes_the_drawing(self, option: str) -> None:
        value = ALL_OPTIONS.get(option, False)
        changed = replace(GRU(8), **{option: value})
        assert draw(DeepRNN(3, [changed])).svg != draw(DeepRNN(3, [GRU(8)])).svg

    @pytest.mark.parametrize(
        "option", [{"dropout": 0.5}, {"residual": True}, {"input_to_all": True}, {"output_from_all": True}], ids=str
    )
    def test_a_stacks_option_changes_the_arrows(self, option: dict[str, object]) -> None:
        def shapes(net: DeepRNN) -> list[tuple[str | None, str | None]]:
            return [(e.get("class"), e.get("stroke-dasharray")) for e in having(parse(net), "depth")[0].iter()]

        plain = DeepRNN(3, [GRU(8), GRU(8)], 2)
        assert shapes(DeepRNN(3, [GRU(8), GRU(8)], 2, **option)) != shapes(plain)  # type: ignore[arg-type]

    def test_variational_dropout_is_told_from_plain(self) -> None:
        def told(variational: bool) -> str:
            return draw(DeepRNN(3, [GRU(8)], 2, dropout=0.5, variational_dropout=variational)).svg

        assert "one mask for all steps" in told(True)
        assert "a new mask at each step" in told(False)

    def test_dropout_dashes_what_is_dropped_and_nothing_else(self) -> None:
        drawing = parse(DeepRNN(3, [GRU(8), GRU(8)], 2, dropout=0.5))
        ups = [arrow[0] for arrow in having(drawing, "arrow up")]
        lowest = max(points(shaft)[0][1] for shaft in ups)
        for shaft in ups:
            from_input = points(shaft)[0][1] == lowest
            assert (shaft.get("stroke-dasharray") is None) == from_input
        assert all(arrow[0].get("stroke-dasharray") is None for arrow in having(drawing, "arrow time"))

    def test_recurrent_dropout_dashes_h_and_not_c(self) -> None:
        shafts = [arrow[0] for arrow in having(parse(DeepRNN(3, [LSTM(8, recurrent_dropout=0.5)])), "arrow time")]
        upper = min(points(shaft)[0][1] for shaft in shafts)
        for shaft in shafts:
            is_h = points(shaft)[0][1] == upper  # the legend names h first
            assert (shaft.get("stroke-dasharray") is not None) == is_h

    def test_an_option_that_does_nothing_draws_nothing(self) -> None:
        alone = DeepRNN(3, [GRU(8)], 2, residual=True, input_to_all=True)
        assert draw(alone).svg == draw(DeepRNN(3, [GRU(8)], 2)).svg


class TestGeometry:
    def test_nothing_overlaps(self, net: DeepRNN) -> None:
        check_geometry(parse(net))

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_nothing_overlaps_in_any_net(self, data: st.DataObject) -> None:
        check_geometry(parse(data.draw(nets())))


class TestText:
    @pytest.mark.parametrize(
        "name", ['<lambda>&"]]>', "a\x00b\x1b[0m", "漢字の関数", "\ud800", " ", "f\ng", "x" * 500, "GATED_" * 50]
    )
    def test_any_name_of_a_function(self, name: str) -> None:
        def phi(a: torch.Tensor) -> torch.Tensor:
            return a

        phi.__name__ = name
        svg = draw(DeepRNN(3, [Elman(5, phi)])).svg
        drawing = ElementTree.parse(io.BytesIO(svg.encode("utf-8"))).getroot()
        check_geometry(drawing)
        shown = "".join("".join(e.itertext()) for e in drawing.iter(SVG + "text"))
        for character in name:
            if character.isalnum() and character.isprintable():
                assert character in shown

    def test_a_foreign_cell(self) -> None:
        assert len(having(parse(DeepRNN(3, [Foreign(hidden_size=5)])), "cell")) == STEPS


class TestFiles:
    def test_a_notebook_shows_it(self) -> None:
        drawing = draw(NETS["mixed"])
        assert isinstance(drawing, Drawing)
        assert drawing._repr_svg_() == str(drawing) == drawing.svg
        assert len(repr(drawing)) < 100

    def test_saved(self, tmp_path: Path) -> None:
        drawing = draw(NETS["mixed"], tmp_path / "net.svg")
        assert (tmp_path / "net.svg").read_text(encoding="utf-8") == drawing.svg
        drawing.save(str(tmp_path / "again.SVG"))
        assert (tmp_path / "again.SVG").read_text(encoding="utf-8") == drawing.svg

    def test_another_format_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"call the file net\.svg"):
            draw(NETS["mixed"], tmp_path / "net.png")
        assert list(tmp_path.iterdir()) == []

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError, match=r"could not be written.*net\.svg"):
            draw(NETS["mixed"], tmp_path / "file" / "net.svg")

    def test_a_module_of_another_kind_is_refused(self) -> None:
        with pytest.raises(TypeError, match="not LSTM"):
            draw(torch.nn.LSTM(3, 5))  # type: ignore[arg-type]

    def test_the_same_net_gives_the_same_drawing(self) -> None:
        assert draw(NETS["mixed"]).svg == draw(NETS["mixed"]).svg


class TestCommand:
    def test_a_saved_net(self, tmp_path: Path) -> None:
        NETS["mixed"].save(tmp_path / "run")
        result = CliRunner().invoke(app, ["draw", str(tmp_path / "run")])
        assert result.exit_code == 0, result.output
        assert result.stdout.strip() == str(tmp_path / "run" / "net.svg")
        assert (tmp_path / "run" / "net.svg").read_text(encoding="utf-8") == draw(NETS["mixed"]).svg

    def test_layers_and_options(self, tmp_path: Path) -> None:
        out = tmp_path / "new" / "net.svg"
        words = ["--layers", "2x gru:64:zoneout=0.1", "--residual", "--dropout", "0.25", "--input-size", "7"]
        result = CliRunner().invoke(app, ["draw", *words, "--output-size", "0", "--out", str(out)])
        assert result.exit_code == 0, result.output
        net = DeepRNN(7, [GRU(64, zoneout=0.1)] * 2, residual=True, dropout=0.25)
        assert out.read_text(encoding="utf-8") == draw(net).svg

    @pytest.mark.parametrize(
        ("words", "status", "says"),
        [
            ([], 2, "give either RUN"),
            (["run", "--layers", "gru:3"], 2, "give either RUN"),
            (["run", "--residual"], 2, "own network"),
            (["run"], 1, "config.json"),
            (["--layers", "grru:3"], 1, "did you mean"),
            (["--layers", "gru:3 gru:4", "--residual"], 1, "equal widths"),
            (["--layers", "gru:3", "--out", "net.png"], 1, "net.svg"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else None,
    )
    def test_complaints(
        self, words: list[str], status: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        result = CliRunner().invoke(app, ["draw", *words])
        assert result.exit_code == status
        assert says in " ".join(result.output.replace("│", " ").split())
        assert list(tmp_path.iterdir()) == []


class Foreign(Elman):
    """A cell of the user's own."""


Box = tuple[float, float, float, float]
Segment = tuple[float, float, float, float]


def parse(net: DeepRNN) -> Element:
    return ElementTree.fromstring(draw(net).svg)


def having(drawing: Element, meaning: str) -> list[Element]:
    return [element for element in drawing.iter() if element.get("class") == meaning]


def points(path: Element) -> list[tuple[float, float]]:
    numbers = (path.get("d") or "").replace("M", "").split(" L")
    return [(float(x), float(y)) for x, y in (pair.split() for pair in numbers)]


def check_geometry(drawing: Element) -> None:
    """No box on another, no line through a box, no two lines on each other, nothing outside, no text over its edge."""
    width, height = float(drawing.get("width", 0)), float(drawing.get("height", 0))
    boxes = [box_of(rect) for rect in drawing.iter(SVG + "rect") if rect.get("class") not in ("ground", "band")]
    bands = [box_of(rect) for rect in having(drawing, "band")]
    rounds = [disc_of(disc) for disc in having(drawing, "plus")]
    labels = [label_of(text) for text in having(drawing, "label")]
    symbols = [symbol_of(text) for text in having(drawing, "symbol")]
    for name, parts in {"bands": bands, "things": [*boxes, *rounds, *labels]}.items():
        for first, second in combinations(parts, 2):
            assert not overlap(first, second), f"{name} {first} and {second} overlap"
        for left, top, right, bottom in parts:
            assert left >= 0
            assert top >= 0
            assert right <= width
            assert bottom <= height
    for symbol in symbols:
        assert sum(within(symbol, box) for box in boxes) == 1, f"the symbol {symbol} does not lie in a box"
    for layer, band in zip(having(drawing, "layer"), bands, strict=True):
        for part in [box_of(r) for r in layer.iter(SVG + "rect")] + [label_of(t) for t in having(layer, "label")]:
            assert within(part, band), f"{part} stands out of its band {band}"
    lines = list(segments(drawing))
    for line in lines:
        for box in (*boxes, *labels):
            inner = shrink(box, 6)
            assert not overlap(as_box(line), inner), f"the line {line} runs through {box}"
    for first, second in combinations(lines, 2):
        assert not lie_on_each_other(first, second), f"the lines {first} and {second} lie on each other"


def segments(drawing: Element) -> Iterator[Segment]:
    for path in drawing.iter(SVG + "path"):
        if path.get("class") not in ("over", "sign"):
            way = points(path)
            for (x0, y0), (x1, y1) in pairwise(way):
                assert x0 == x1 or y0 == y1, "a slanting line"
                yield min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def lie_on_each_other(first: Segment, second: Segment) -> bool:
    """Whether two lines run along each other, closer than 3 pixels, for more than 1."""
    wide = [s[2] - s[0] > 0.5 for s in (first, second)]
    if wide[0] != wide[1]:
        return False
    along, across = (0, 1) if wide[0] else (1, 0)
    apart = abs(first[across] - second[across])
    shared = min(first[along + 2], second[along + 2]) - max(first[along], second[along])
    return apart < 3 and shared > 1


def box_of(rect: Element) -> Box:
    x, y, w, h = (float(rect.get(name, "nan")) for name in ("x", "y", "width", "height"))
    return x, y, x + w, y + h


def disc_of(disc: Element) -> Box:
    x, y, r = (float(disc.get(name, "nan")) for name in ("cx", "cy", "r"))
    return x - r, y - r, x + r, y + r


def label_of(text: Element) -> Box:
    size, x, y = (float(text.get(name, "nan")) for name in ("font-size", "x", "y"))
    width = glyphs(text.text or "", bold=text.get("font-weight") == "bold") * size
    for part in text:
        width += float(part.get("dx", 0)) + glyphs(part.text or "") * size
    return x, y - 0.76 * size, x + width, y + 0.24 * size


def symbol_of(text: Element) -> Box:
    size, x, y = (float(text.get(name, "nan")) for name in ("font-size", "x", "y"))
    right = x + 0.73 * size
    for part in text:
        begin = float(part.get("x", right + float(part.get("dx", 0))))
        right = max(right, begin + 0.55 * float(part.get("font-size", "nan")) * len(part.text or ""))
    return x, y - 0.7 * size, right, y + 8


def glyphs(text: str, *, bold: bool = False) -> float:
    """The width of a text in DejaVu Sans, as wide a font as is common, in parts of its size."""
    return sum(DEJAVU_SANS.get(c, 1.0) for c in text) * (1.15 if bold else 1.0)


# The widest advance of each group of glyphs in DejaVu Sans 2.37, in thousandths of the font's size.
DEJAVU_SANS = {
    character: width / 1000
    for width, characters in {
        295: "'ijlIJ", 337: " ,./:;\\|", 411: "f-()[]t!r", 531: '"*_`sz?', 579: "cLFk", 615: "vxyPTYoae",
        636: "EhnuSbdgpq$0123456789{}", 698: "KAVXZBRC", 787: "UNHDG&OQ", 863: "w#+<=>^~M", 1000: "%mW@",
    }.items()
    for character in characters
}  # fmt: skip


def overlap(first: Box, second: Box) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def within(inner: Box, outer: Box) -> bool:
    return inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def shrink(box: Box, by: float) -> Box:
    return box[0] + by, box[1] + by, box[2] - by, box[3] - by


def as_box(line: Segment) -> Box:
    return line[0] - 0.75, line[1] - 0.75, line[2] + 0.75, line[3] + 0.75


@st.composite
def nets(draw_from: st.DrawFn) -> DeepRNN:
    def one_of(*values: object) -> object:
        return draw_from(st.sampled_from(values))

    residual = bool(one_of(True, False))
    cells: list[Cell] = []
    for _ in range(draw_from(st.integers(1, 6))):
        options = {name: value for name, value in ALL_OPTIONS.items() if one_of(True, False)}
        options["direction"] = "both" if residual else one_of("forward", "reverse", "both")
        kind: type[Cell] = one_of(Elman, GRU, LSTM)  # type: ignore[assignment]
        phi = one_of("tanh", a_function_with_a_name_that_is_longer_than_any_column_should_have_to_be)
        cells.append(kind(hidden_size=8, activation=phi, **options))  # type: ignore[call-arg,arg-type]
    return DeepRNN(
        3,
        cells,
        one_of(None, 7),  # type: ignore[arg-type]
        residual=residual,
        dropout=0.5 * bool(one_of(True, False)),
        input_to_all=bool(one_of(True, False)),
        output_from_all=bool(one_of(True, False)),
        device="meta",
    )
