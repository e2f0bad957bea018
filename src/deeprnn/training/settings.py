"""How a network is trained: the numbers that a run keeps."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias, get_args

Precision: TypeAlias = Literal["32-true", "bf16-mixed", "bf16-true", "64-true"]
"""Lightning Fabric's names: float32; bfloat16 arithmetic on float32 weights; all bfloat16; float64."""


@dataclass(frozen=True)
class Settings:
    """The settings of a run, all with defaults that suit a small network on a CPU.

    Attributes:
        batch: B, the sequences in a batch.
        bptt: T, the steps of backpropagation through time; the state is carried beyond them.
        learning_rate: the peak learning rate of AdamW.
        weight_decay: the weight decay of AdamW, for weight matrices; biases and gains have none.
        warm_up: the steps in which the learning rate rises, at most a tenth of all; then it falls straight to 0.
        max_grad_norm: the norm that the gradient is clipped to.
        seed: the seed of the data's order and of dropout.
        threads: torch's threads; None leaves them as they are.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        precision: see `Precision`.
        checkpoint_seconds: the seconds between two checkpoints: the work that a crash may cost.
    """

    batch: int = 32
    bptt: int = 64
    learning_rate: float = 4e-3
    weight_decay: float = 0.01
    warm_up: int = 100
    max_grad_norm: float = 1.0
    seed: int = 0
    threads: int | None = None
    device: str = "auto"
    precision: Precision = "32-true"
    checkpoint_seconds: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, _as_declared(field.name, getattr(self, field.name), field.default))
        self._need("batch", self.batch >= 1, "at least 1")
        self._need("bptt", self.bptt >= 1, "at least 1")
        self._need("learning_rate", 0 < self.learning_rate < float("inf"), "a finite number greater than 0")
        self._need("weight_decay", 0 <= self.weight_decay < float("inf"), "a finite number, 0 or more")
        self._need("warm_up", self.warm_up >= 0, "0 or more")
        self._need("max_grad_norm", self.max_grad_norm > 0, "greater than 0")
        self._need("seed", 0 <= self.seed < 2**63, "0 or more, below 2**63")
        self._need("threads", self.threads is None or 1 <= self.threads <= 1024, "1 to 1024")
        self._need("precision", self.precision in get_args(Precision), f"one of {', '.join(get_args(Precision))}")
        self._need("checkpoint_seconds", 0 <= self.checkpoint_seconds < float("inf"), "a finite number, 0 or more")

    def to_json(self) -> dict[str, Any]:
        """The settings by name; JSON has no infinity, so that is "inf"."""
        return {name: "inf" if value == math.inf else value for name, value in asdict(self).items()}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Settings":
        """The settings that `to_json` gave.

        Raises:
            TypeError, ValueError: a name is missing, or a name or a value that no settings have.
        """
        names = {field.name for field in fields(Settings)}
        if set(values) != names:
            unknown, missing = sorted(set(values) - names), sorted(names - set(values))
            raise TypeError(f"settings have unknown entries {unknown}, and lack {missing}")
        given: dict[str, Any] = {name: math.inf if value == "inf" else value for name, value in values.items()}
        return Settings(**given)

    def _need(self, name: str, holds: bool, what: str) -> None:
        if not holds:
            raise ValueError(f"`{name}` must be {what}, got {getattr(self, name)}.")


def _as_declared(name: str, value: Any, default: Any) -> Any:
    """A value as the type that the setting has: whole numbers where fractions are meant, and NumPy's, are accepted.

    Raises:
        TypeError: it is of another type. ValueError: no float is as large.
    """
    if name == "threads":
        if value is None:
            return None
        default = 1
    if isinstance(default, str):
        if not isinstance(value, str):
            raise TypeError(f"Settings({name}={value!r}): expected text, such as {default!r}.")
        return str(value)
    kind = ("a whole number", Integral) if isinstance(default, int) else ("a number", Real)
    if isinstance(value, bool) or not isinstance(value, kind[1]):
        raise TypeError(f"Settings({name}={value!r}): expected {kind[0]}, such as {default!r}.")
    number: Any = value
    try:
        return int(number) if isinstance(default, int) else float(number)
    except OverflowError:
        raise ValueError(f"Settings({name}=...): expected a number below 1e308, such as {default!r}.") from None
