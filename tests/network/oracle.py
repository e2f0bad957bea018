"""The formulas once more, in float64 NumPy and plain loops, written from the definitions and not from the package."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import oracle_cells

PHI = {
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "sigmoid": lambda a: 0.5 * (1 + np.tanh(a / 2)),
    "identity": lambda a: a,
    "softplus": lambda a: np.log1p(np.exp(-np.abs(a))) + np.maximum(a, 0),
    "softsign": lambda a: a / (1 + np.abs(a)),
    "elu": lambda a: np.where(a > 0, a, np.expm1(np.minimum(a, 0))),
    "leaky_relu": lambda a: np.where(a > 0, a, 0.01 * a),
    "hardtanh": lambda a: np.clip(a, -1, 1),
    "hardsigmoid": lambda a: np.clip(a / 6 + 0.5, 0, 1),
    "selu": lambda a: 1.0507009873554804934 * np.where(a > 0, a, 1.6732632423543772848 * np.expm1(np.minimum(a, 0))),
    "gelu": lambda a: a * np.vectorize(lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2))), otypes=[float])(a),
    "silu": lambda a: a * 0.5 * (1 + np.tanh(a / 2)),
    "sin": np.sin,
}


@dataclass
class Layer:
    """A layer's equations and one direction's weights, by the names of the state_dict."""

    kind: str
    weights: dict[str, np.ndarray]
    activation: str = "tanh"
    gate_activation: str = "sigmoid"
    reset_after: bool = True
    zoneout: float = 0.0
    zoneout_cell: float = 0.0
    own: dict[str, Any] = field(default_factory=dict)
    """The options of the cells in `oracle_cells`."""

    @property
    def width(self) -> int:
        return len(self.weights["weight_xh"]) // GATES[self.kind]

    @property
    def states(self) -> tuple[str, ...]:
        return STATES.get(self.kind, ("h",))


GATES = {"Elman": 1, "GRU": 3, "LSTM": 4, **oracle_cells.GATES}
STATES = {"LSTM": ("h", "c"), "SLSTM": ("h", "c", "n", "m")}


@dataclass
class Row:
    """One row of the batch: its input, where its documents begin, its given state by name."""

    x: np.ndarray  # (T, I), one-hot already
    length: int
    resets: np.ndarray  # (T,)
    given: dict[str, np.ndarray] | None = None


@dataclass
class Run:
    """hidden and c_t (T, H), zero beyond the length; cells stays zero where there is no c."""

    hidden: np.ndarray
    cells: np.ndarray
    final: dict[str, np.ndarray] = field(default_factory=dict)


def run_row(layer: Layer, row: Row, *, backwards: bool) -> Run:
    """One direction over one row."""
    width = layer.width
    written = len(layer.weights.get("weight_hr", np.zeros(width)))  # h's units
    zero = {name: np.zeros(written if name == "h" else width) for name in layer.states}
    initial = {name: layer.weights.get(f"initial_{name}", zero[name]) for name in layer.states}
    state = dict(initial if row.given is None else row.given)
    hidden, cells = np.zeros((len(row.x), written)), np.zeros((len(row.x), width))
    keep = {"h": layer.zoneout, "c": layer.zoneout_cell}
    order = range(row.length)
    for t in reversed(order) if backwards else order:
        # Forward: a document begins at t. Backward: the step just done, t + 1, began a document.
        begins = row.resets[t] if not backwards else (t + 1 < row.length and row.resets[t + 1])
        if begins:
            state = dict(initial)
        new = step(layer, row.x[t], state)
        state = {name: keep.get(name, 0) * state[name] + (1 - keep.get(name, 0)) * new[name] for name in layer.states}
        hidden[t] = state["h"]
        cells[t] = state.get("c", cells[t])
    return Run(hidden, cells, state)


def step(layer: Layer, x: np.ndarray, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One step of the equations."""
    if layer.kind in oracle_cells.STEPS:
        return oracle_cells.STEPS[layer.kind](layer.weights, layer.own, x, state)
    phi, sigma, w = PHI[layer.activation], PHI[layer.gate_activation], layer.weights
    h = state["h"]
    from_x = _normed(w["weight_xh"] @ x, layer, "gain_xh") + w.get("bias", 0)
    if layer.kind == "Elman":
        return {"h": phi(from_x + _normed(w["weight_hh"] @ h, layer, "gain_hh"))}
    if layer.kind == "LSTM":
        i, f, g, o = np.split(from_x + _normed(w["weight_hh"] @ h, layer, "gain_hh"), 4)
        w_i, w_f, w_o = np.split(w.get("weight_ch", np.zeros(3 * len(i))), 3)
        c = sigma(f + w_f * state["c"]) * state["c"] + sigma(i + w_i * state["c"]) * phi(g)
        shown = _layer_norm(c, w["gain_c"]) + w["bias_c"] if "gain_c" in w else c
        h = sigma(o + w_o * c) * phi(shown)
        return {"h": w["weight_hr"] @ h if "weight_hr" in w else h, "c": c}
    x_r, x_z, x_n = np.split(from_x, 3)
    h_r, h_z, h_n = np.split(_normed(w["weight_hh"] @ h, layer, "gain_hh"), 3)
    r, z = sigma(x_r + h_r), sigma(x_z + h_z)
    if layer.reset_after:
        n = phi(x_n + r * (h_n + w.get("bias_hn", 0)))
    else:
        product = np.split(w["weight_hh"], 3)[2] @ (r * h)
        if "gain_hh" in w:
            product = _layer_norm(product, np.split(w["gain_hh"], 3)[2])
        n = phi(x_n + product)
    return {"h": (1 - z) * n + z * h}


def _normed(product: np.ndarray, layer: Layer, name: str) -> np.ndarray:
    """Layer normalisation: Elman over H, LSTM over all 4H, GRU over the 2H of r and z and over the H of n."""
    if name not in layer.weights:
        return product
    gain, width = layer.weights[name], layer.weights["weight_hh"].shape[1]
    if layer.kind != "GRU":
        return _layer_norm(product, gain)
    first = _layer_norm(product[: 2 * width], gain[: 2 * width])
    return np.concatenate([first, _layer_norm(product[2 * width :], gain[2 * width :])])


def _layer_norm(value: np.ndarray, gain: np.ndarray) -> np.ndarray:
    centred = value - value.mean()
    return gain * centred / np.sqrt((centred**2).mean() + 1e-5)
