"""One step of each cell that came after the LSTM, in float64 NumPy, from the equations of its paper.

Each function takes the weights of one direction by name, the cell's options, one x (I,) and the state by name, and
returns the new state.
"""

from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(a / 2))


def layer_norm(value: np.ndarray, gain: np.ndarray) -> np.ndarray:
    centred = value - value.mean()
    return gain * centred / np.sqrt((centred**2).mean() + 1e-5)


def from_input(w: Arrays, x: np.ndarray, *, groups: int) -> np.ndarray:
    """W x + b; with layer normalisation, of `groups` equal parts of W x."""
    product = w["weight_xh"] @ x
    if "gain_xh" in w:
        parts = zip(np.split(product, groups), np.split(w["gain_xh"], groups), strict=True)
        product = np.concatenate([layer_norm(part, gain) for part, gain in parts])
    return product + w.get("bias", 0)


def normed(product: np.ndarray, w: Arrays, *, groups: int) -> np.ndarray:
    """A recurrent product, normalised in `groups` equal parts where the layer has layer normalisation."""
    if "gain_hh" not in w:
        return product
    parts = zip(np.split(product, groups), np.split(w["gain_hh"], groups), strict=True)
    return np.concatenate([layer_norm(part, gain) for part, gain in parts])


def indrnn(w: Arrays, options: dict[str, Any], x: np.ndarray, state: Arrays) -> Arrays:
    """Li et al. 2018, equation (2): h_t = sigma(W x_t + u . h_{t-1} + b)."""
    phi = {"relu": lambda a: np.maximum(a, 0), "tanh": np.tanh}[options["activation"]]
    return {"h": phi(from_input(w, x, groups=1) + normed(w["weight_hh"] * state["h"], w, groups=1))}


def mingru(w: Arrays, options: dict[str, Any], x: np.ndarray, state: Arrays) -> Arrays:
    """Feng et al. 2024, section 3.1.3; with g of its appendix B.3: h_t = (1 - z_t) . h_{t-1} + z_t . h~_t."""
    z, candidate = np.split(from_input(w, x, groups=2), 2)
    z = sigmoid(z)
    return {"h": (1 - z) * state["h"] + z * _candidate(candidate, options)}


def minlstm(w: Arrays, options: dict[str, Any], x: np.ndarray, state: Arrays) -> Arrays:
    """Feng et al. 2024, section 3.2.4: f' = f / (f + i), i' = i / (f + i), h_t = f' . h_{t-1} + i' . h~_t."""
    f, i, candidate = np.split(from_input(w, x, groups=3), 3)
    f, i = sigmoid(f), sigmoid(i)
    return {"h": f / (f + i) * state["h"] + i / (f + i) * _candidate(candidate, options)}


def _candidate(a: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    """The candidate as it is, or through g: a + 0.5 from 0 on, sigmoid(a) below."""
    return np.where(a >= 0, a + 0.5, sigmoid(a)) if options["positive"] else a


def slstm(w: Arrays, options: dict[str, Any], x: np.ndarray, state: Arrays) -> Arrays:
    """Beck et al. 2024, equations (8) to (17), in their stabilised form; rows i, f, z, o, each a block a head."""
    heads = options["heads"]
    product = np.concatenate(
        [
            block @ part
            for gate in np.split(w["weight_hh"], 4)
            for block, part in zip(np.split(gate, heads), np.split(state["h"], heads), strict=True)
        ]
    )
    i, f, z, o = np.split(from_input(w, x, groups=1) + normed(product, w, groups=1), 4)
    log_f = f if options["forget_gate"] == "exp" else -np.log1p(np.exp(-f))
    m = np.where(state["n"] == 0, i, np.maximum(log_f + state["m"], i))
    kept, written = np.exp(log_f + state["m"] - m), np.exp(i - m)
    c = kept * state["c"] + written * np.tanh(z)
    n = kept * state["n"] + written
    return {"h": sigmoid(o) * c / n, "c": c, "n": n, "m": m}


def slstm_unstabilised(w: Arrays, options: dict[str, Any], x: np.ndarray, state: Arrays) -> Arrays:
    """Beck et al. 2024, equations (8) to (14): no m, and c and n as large as they get. One head."""
    i, f, z, o = np.split(w["weight_xh"] @ x + w["weight_hh"] @ state["h"] + w["bias"], 4)
    f = np.exp(f) if options["forget_gate"] == "exp" else sigmoid(f)
    c = f * state["c"] + np.exp(i) * np.tanh(z)
    n = f * state["n"] + np.exp(i)
    return {"h": sigmoid(o) * c / n, "c": c, "n": n}


def ligru(w: Arrays, options: dict[str, Any], x: np.ndarray, state: Arrays) -> Arrays:
    """Ravanelli et al. 2018, equations (5): z_t . h_{t-1} + (1 - z_t) . relu(...), without the batch normalisation."""
    assert options["activation"] == "relu"
    from_h = normed(w["weight_hh"] @ state["h"], w, groups=2)
    z, candidate = np.split(from_input(w, x, groups=2) + from_h, 2)
    z = sigmoid(z)
    return {"h": z * state["h"] + (1 - z) * np.maximum(candidate, 0)}


def rglru(w: Arrays, _options: dict[str, Any], x: np.ndarray, state: Arrays) -> Arrays:
    """De et al. 2024, equations (1) to (4), c = 8, with what the layer reads projected to H features first."""
    r, i, projected = np.split(from_input(w, x, groups=3), 3)
    a = sigmoid(w["decay_logit"]) ** (8 * sigmoid(r))
    return {"h": a * state["h"] + np.sqrt(1 - a**2) * (sigmoid(i) * projected)}


STEPS = {
    "IndRNN": indrnn,
    "MinGRU": mingru,
    "MinLSTM": minlstm,
    "SLSTM": slstm,
    "LiGRU": ligru,
    "RGLRU": rglru,
}

GATES = {"IndRNN": 1, "MinGRU": 2, "MinLSTM": 3, "SLSTM": 4, "LiGRU": 2, "RGLRU": 3}
"""Blocks of H rows in W_xh."""
