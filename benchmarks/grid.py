"""The rows of the grid: which net, in which task, on how many threads."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

Task: TypeAlias = Literal["inference", "training"]

TASKS: tuple[Task, ...] = ("inference", "training")
THREADS = (1, 2)


@dataclass(frozen=True)
class BenchCell:
    """A cell of the grid.

    Attributes:
        name: as tables call it.
        gates: G, blocks of H rows in its weights.
        phi: an Elman cell's activation; None for cells whose activations are torch's.
    """

    name: str
    gates: int
    phi: str | None = None


CELLS: dict[str, BenchCell] = {
    "elman-tanh": BenchCell("Elman tanh", 1, "tanh"),
    "elman-relu": BenchCell("Elman relu", 1, "relu"),
    "elman-softplus": BenchCell("Elman softplus", 1, "softplus"),
    "gru": BenchCell("GRU", 3),
    "lstm": BenchCell("LSTM", 4),
}
"""The grid's cells, by the name that the command line takes."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a net and of its input; the input has as many features as a layer has units, I = H."""

    L: int
    H: int
    B: int
    T: int

    def __str__(self) -> str:
        return f"{self.L},{self.H},{self.B},{self.T}"

    @classmethod
    def parse(cls, text: str) -> "Shape":
        """The shape behind "L,H,B,T".

        Raises:
            ValueError: the text is not four whole numbers from 1 on.

        >>> Shape.parse("2,256,32,100")
        Shape(L=2, H=256, B=32, T=100)
        """
        parts = text.split(",")
        if len(parts) != 4 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
            raise ValueError(f"--rows {text}: a row is L,H,B,T, four whole numbers from 1 on, such as 2,256,32,100.")
        return cls(*map(int, parts))


SHAPES = tuple(
    Shape(*sizes)
    for sizes in (
        (2, 32, 32, 32),
        (1, 64, 1, 1000),
        (4, 128, 16, 256),
        (2, 256, 32, 100),
        (8, 256, 64, 64),
        (2, 650, 20, 35),
        (3, 512, 64, 128),
        (2, 1024, 8, 64),
    )
)
QUICK = (SHAPES[0], SHAPES[3])


@dataclass(frozen=True)
class Row:
    """One line of the table: a net, a task, a number of threads.

    Attributes:
        cell: a key of `CELLS`.
        task: "inference" is the top layer's hidden states for x; "training" is that and the gradients of every
            weight for a given gradient of those states. x is data: its own gradient is not computed.
    """

    cell: str
    shape: Shape
    task: Task
    threads: int

    @property
    def bench_cell(self) -> BenchCell:
        """The row's entry in `CELLS`."""
        return CELLS[self.cell]

    def __str__(self) -> str:
        plural = "" if self.threads == 1 else "s"
        return f"{self.bench_cell.name} {self.shape} {self.task}, {self.threads} thread{plural}"

    def to_json(self) -> dict[str, Any]:
        """The row as JSON holds it; `from_json` reads it back."""
        return {"cell": self.cell, **asdict(self.shape), "task": self.task, "threads": self.threads}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> "Row":
        """The row that `to_json` wrote, whatever else the entry holds."""
        shape = Shape(entry["L"], entry["H"], entry["B"], entry["T"])
        return cls(entry["cell"], shape, entry["task"], entry["threads"])


def rows(
    cells: Sequence[str] = tuple(CELLS),
    shapes: Sequence[Shape] = SHAPES,
    threads: Sequence[int] = THREADS,
) -> list[Row]:
    """The rows of those cells, shapes and threads, in the table's order.

    Raises:
        ValueError: a cell that the grid does not have.
    """
    for cell in cells:
        if cell not in CELLS:
            raise ValueError(f"--cells {cell}: no such cell; there are {', '.join(CELLS)}.")
    return [Row(cell, shape, task, count) for count in threads for cell in cells for shape in shapes for task in TASKS]
