"""JAX: lax.scan over the steps of each layer, the whole stack under one jit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.contenders.interface import Answer, Contender
from benchmarks.grid import Row
from benchmarks.problem import Array, Problem

_PHI: dict[str | None, Any] = {"tanh": jnp.tanh, "relu": jax.nn.relu, "softplus": jax.nn.softplus}


def why_not(row: Row) -> str | None:  # noqa: ARG001  # every contender is asked alike
    """It computes every row."""
    return None


def build(row: Row, problem: Problem) -> Contender:
    """The input's projection is taken out of the scan: one product for all steps of a layer."""
    step = {"gru": _gru_step, "lstm": _lstm_step}.get(row.cell, _elman_step(_PHI.get(row.bench_cell.phi)))

    def top_hidden(weights: Any, x: Any) -> Any:
        for layer in weights:
            x = _layer(step, row, layer, x)
        return x

    def training(weights: Any, x: Any, upstream: Any) -> Any:
        hidden, pull = jax.vjp(lambda w: top_hidden(w, x), weights)
        return hidden, pull(upstream)[0]

    # JAX's layers hold (features in, features out), which its products read faster than the transpose.
    weights = [{name: jnp.asarray(value.T) for name, value in layer.items()} for layer in problem.weights]
    x, upstream = jnp.asarray(problem.x), jnp.asarray(problem.upstream)
    compiled = jax.jit(top_hidden if row.task == "inference" else training)
    arguments = (weights, x) if row.task == "inference" else (weights, x, upstream)

    def run() -> Any:
        return jax.block_until_ready(compiled(*arguments))

    def read(result: Any) -> Answer:
        if row.task == "inference":
            return {"hidden": np.asarray(result)}
        hidden, gradients = result
        return {"hidden": np.asarray(hidden), **_by_name(gradients)}

    return Contender(run, read)


def _layer(step: Any, row: Row, weights: Any, x: Any) -> Any:
    h = jnp.zeros((row.shape.B, row.shape.H), x.dtype)
    state = (h, h) if row.cell == "lstm" else (h,)
    projected = x @ weights["weight_xh"] + weights["bias"]

    def scanned(state: Any, x_part: Any) -> Any:
        state = step(weights, x_part, state)
        return state, state[0]

    return jax.lax.scan(scanned, state, projected)[1]


def _elman_step(phi: Any) -> Any:
    def step(weights: Any, x_part: Any, state: Any) -> Any:
        return (phi(x_part + state[0] @ weights["weight_hh"]),)

    return step


def _gru_step(weights: Any, x_part: Any, state: Any) -> Any:
    (h,) = state
    x_r, x_z, x_n = jnp.split(x_part, 3, axis=-1)
    h_r, h_z, h_n = jnp.split(h @ weights["weight_hh"], 3, axis=-1)
    n = jnp.tanh(x_n + jax.nn.sigmoid(x_r + h_r) * (h_n + weights["bias_hn"]))
    z = jax.nn.sigmoid(x_z + h_z)
    return ((1 - z) * n + z * h,)


def _lstm_step(weights: Any, x_part: Any, state: Any) -> Any:
    h, c = state
    i, f, g, o = jnp.split(x_part + h @ weights["weight_hh"], 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def _by_name(gradients: Any) -> dict[str, Array]:
    return {
        f"layers.{index}.{name}": np.asarray(value).T
        for index, layer in enumerate(gradients)
        for name, value in layer.items()
    }
