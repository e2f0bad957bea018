"""ONNX Runtime: its RNN, GRU and LSTM operators, inference only."""

from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from benchmarks.contenders.interface import Answer, Contender
from benchmarks.grid import Row
from benchmarks.problem import Array, Problem, second_bias

# ONNX's order of gates, as places in torch's (GRU r z n to z r n, LSTM i f g o to i o f g).
_GATES = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}
_OPERATORS = {"gru": "GRU", "lstm": "LSTM"}
_PHI = {"tanh": "Tanh", "relu": "Relu", "softplus": "Softplus"}


def why_not(row: Row) -> str | None:
    """It has no backward pass for these operators."""
    return "inference only" if row.task == "training" else None


def build(row: Row, problem: Problem) -> Contender:
    """A graph of one recurrent operator a layer; x and y stay where they are (input and output are bound)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = row.threads
    options.inter_op_num_threads = 1
    session: Any = onnxruntime.InferenceSession(
        model_of(row, problem).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    binding = session.io_binding()
    x = onnxruntime.OrtValue.ortvalue_from_numpy(problem.x)
    y = onnxruntime.OrtValue.ortvalue_from_numpy(np.empty_like(problem.x))
    binding.bind_ortvalue_input("layer0", x)
    binding.bind_ortvalue_output("y", y)

    def run() -> None:
        session.run_with_iobinding(binding)

    def read(result: None) -> Answer:  # noqa: ARG001  # the answer lies in the bound output
        return {"hidden": y.numpy().copy()}

    return Contender(run, read)


def model_of(row: Row, problem: Problem) -> ModelProto:
    """The stack as an ONNX model from "layer0" (T, B, I) to "y" (T, B, H)."""
    nodes: list[NodeProto] = []
    initializers: list[TensorProto] = [numpy_helper.from_array(np.array([1], np.int64), "direction_axis")]
    for index, weights in enumerate(problem.weights):
        below, above = f"layer{index}", "y" if index == row.shape.L - 1 else f"layer{index + 1}"
        both = np.concatenate([_reordered(row, weights["bias"]), _reordered(row, second_bias(weights))])
        constants = {
            f"W{index}": _reordered(row, weights["weight_xh"])[None],
            f"R{index}": _reordered(row, weights["weight_hh"])[None],
            f"B{index}": both[None],
        }
        initializers += [numpy_helper.from_array(value, name) for name, value in constants.items()]
        nodes.append(
            helper.make_node(
                _OPERATORS.get(row.cell, "RNN"), [below, *constants], [f"hidden{index}"], **_attributes(row)
            )
        )
        # The operator writes (T, directions, B, H).
        nodes.append(helper.make_node("Squeeze", [f"hidden{index}", "direction_axis"], [above]))
    shape = [row.shape.T, row.shape.B, row.shape.H]
    graph = helper.make_graph(
        nodes,
        "stack",
        [helper.make_tensor_value_info("layer0", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _attributes(row: Row) -> dict[str, Any]:
    attributes: dict[str, Any] = {"hidden_size": row.shape.H}
    if row.cell == "gru":
        attributes["linear_before_reset"] = 1
    if row.bench_cell.phi is not None:
        attributes["activations"] = [_PHI[row.bench_cell.phi]]
    return attributes


def _reordered(row: Row, weight: Array) -> Array:
    order = _GATES.get(row.cell, (0,))
    return np.concatenate([np.split(weight, len(order))[gate] for gate in order])
