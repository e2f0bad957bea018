"""`draw`, and what it returns."""

from dataclasses import dataclass, field
from pathlib import Path

from deeprnn.deep import DeepRNN
from deeprnn.diagram.layout import lay_out
from deeprnn.diagram.picture import paint
from deeprnn.disk import atomic, marks


@dataclass(frozen=True)
class Drawing:
    """A drawn network. A notebook shows it by itself; `save` writes it, and `str` gives the SVG text.

    Attributes:
        svg: the whole SVG document.
        width, height: its size in pixels.
    """

    svg: str = field(repr=False)
    width: float
    height: float

    def save(self, path: str | Path) -> None:
        """Writes the SVG, whole or not at all; makes the directory. A drawing that stands there is replaced.

        Raises:
            ValueError: the file's name does not end in .svg.
            FileExistsError: a file that is not such a drawing stands there. OSError: it can't be written.
        """
        path = Path(path)
        if path.suffix.lower() != ".svg":
            raise ValueError(f"{path}: the drawing is SVG; call the file {path.with_suffix('.svg').name}.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_text(path, self.svg, marks.DRAWING)
        except marks.ForeignFileError:
            raise
        except OSError as error:
            raise OSError(error.errno, f"the drawing could not be written: {error.strerror}", str(path)) from error

    def __str__(self) -> str:
        return self.svg

    def _repr_svg_(self) -> str:
        return self.svg


def draw(net: DeepRNN, path: str | Path | None = None) -> Drawing:
    """The network unrolled: time to the right, layers upward, X_t at the bottom, O_t on top.

    Each layer is a row of cells H_t^(l), two rows where it runs both ways, with its kind, width, phi and options
    beside it; arrows are what is read: the state in time, the layer below, and whatever the net's options add.

    Args:
        net: any DeepRNN; nothing is computed with it, and its weights may lie on the meta device.
        path: also write the drawing to this .svg file.

    Raises:
        TypeError: `net` is not a DeepRNN. ValueError: `path` does not end in .svg.
        FileExistsError: a file that is not such a drawing stands at `path`.

    >>> from deeprnn import DeepRNN, GRU, draw
    >>> drawing = draw(DeepRNN(28, [GRU(64), GRU(64)], 10, residual=True))
    >>> drawing.svg[:4], "layers.1" in drawing.svg
    ('<svg', True)
    """
    if not isinstance(net, DeepRNN):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"draw(net) takes a DeepRNN, not {type(net).__name__}.")
    layout = lay_out(net)
    drawing = Drawing(paint(net, layout), layout.width, layout.height)
    if path is not None:
        drawing.save(path)
    return drawing
