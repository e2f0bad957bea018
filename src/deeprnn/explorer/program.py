"""A cell's step as a list of operations on vectors, traced from its Python; the page's JavaScript runs it.

So the page runs every cell whose step is made of these operations, and knows none by name.
"""

from collections.abc import Callable
from operator import getitem
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from deeprnn.cells import Cell, Recur, normalise_gates
from deeprnn.state import State

Operand: TypeAlias = "dict[str, int | str] | float | str | None"
"""{"result": index of an operation}, {"name": what stands before the step, or a weight}, or a constant."""

ELEMENTWISE = frozenset({
    "tanh", "sigmoid", "log_sigmoid", "relu", "exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "reciprocal", "neg",
    "abs", "sin", "cos", "silu", "gelu", "hardsigmoid", "elu", "leaky_relu", "hardtanh", "softplus", "clamp",
    "clamp_min", "clamp_max", "add", "sub", "rsub", "mul", "div", "pow", "maximum", "minimum", "logaddexp", "where",
    "gt", "ge", "lt", "le", "eq",
})  # fmt: skip
"""Operations of torch.ops.aten that the page knows, argument for argument; `Engine.ELEMENTWISE` has the same."""
_SAME = frozenset({
    "view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "expand", "clone", "detach", "alias",
    "lift_fresh_copy", "_to_copy", "t",
})  # fmt: skip
"""What leaves a vector's numbers as they are."""
_FILL = {"zeros": 0.0, "zeros_like": 0.0, "ones": 1.0, "ones_like": 1.0}
_LONGEST_CONSTANT = 1_000


class UntraceableStepError(ValueError):
    """A cell's step does what the page can't; the message ends a sentence that begins with the layer."""


def program_of(cell: Cell, input_size: int) -> dict[str, Any]:
    """One step of a cell in evaluation, zoneout aside.

    Args:
        input_size: I, of the layer.

    Returns:
        "operations": each {"op", "in": operands, "size"}, and for a "product" also "weight" and "first", its first row;
        "after": the operand of each state after the step; "gates": the same for each gate that the cell tells, but for
        one that is a state itself.
        Names that operands refer to are "product" (W_xh x), "state.h" and such, and the layer's weights.

    Raises:
        UntraceableStepError: the step is not made of such operations.

    >>> from deeprnn import Elman
    >>> [one["op"] for one in program_of(Elman(4), 3)["operations"]]
    ['add', 'product', 'add', 'tanh']
    """
    weights = {
        name: torch.zeros(shape, dtype=torch.float64)
        for name, shape in cell.weight_shapes(input_size).items()
        if name != "weight_xh" and not name.startswith("initial_")
    }
    states = {name: torch.zeros(1, size, dtype=torch.float64) for name, size in cell.state_sizes.items()}
    product = torch.zeros(1, len(cell.gates) * cell.width, dtype=torch.float64)
    names = ["product", *(f"state.{name}" for name in states), *weights]
    try:
        graph = make_fx(_step(cell, list(states), list(weights)), tracing_mode="fake", _allow_non_fake_inputs=True)(
            product, *states.values(), *weights.values()
        )
    except Exception as error:  # whatever a cell's own code raises on tensors without values
        raise UntraceableStepError(f"can't be traced ({type(error).__name__}: {error})") from error
    graph.graph.eliminate_dead_code()
    writer = _Writer(graph, names)
    (results,) = (node.args[0] for node in graph.graph.nodes if node.op == "output")
    operands = [writer.operand(node) for node in cast("tuple[fx.Node, ...]", results)]
    after = dict(zip(cell.states, operands[: len(states)], strict=True))
    gates = dict(zip(cell.gates if cell.tells_gates else (), operands[len(states) :], strict=True))
    return {
        "operations": writer.operations,
        "after": after,
        "gates": {name: operand for name, operand in gates.items() if operand not in after.values()},
    }


def _step(cell: Cell, states: list[str], weights: list[str]) -> Callable[..., tuple[Tensor, ...]]:
    """The step as a function of tensors alone, to those of its states and of its gates."""

    def step(product: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        before = State.of(dict(zip(states, tensors, strict=False)))
        own = dict(zip(weights, tensors[len(states) :], strict=True))
        if "gain_xh" in own:
            product = normalise_gates(cell, product, own["gain_xh"], cell.gates)
        x_part = product + own["bias"] if "bias" in own else product
        recur = Recur(cell, own, None)
        after = cell.step(x_part, before, recur)
        gates = cell.gate_values(x_part, before, recur) if cell.tells_gates else {}
        return (*(after.parts[name] for name in states), *(gates[name].value for name in gates))

    return step


class _Writer:
    """Turns a traced graph into operations; those that are equal are written once."""

    def __init__(self, graph: fx.GraphModule, names: list[str]) -> None:
        self.operations: list[dict[str, Any]] = []
        self._graph = graph
        self._written: dict[str, Operand] = {}
        self._known: dict[fx.Node, Operand] = {}
        placeholders = [node for node in graph.graph.nodes if node.op == "placeholder"]
        self._names = dict(zip(placeholders, names, strict=True))

    def operand(self, value: Any) -> Operand:
        """What an operation that reads this value is given."""
        if not isinstance(value, fx.Node):
            return value
        if value not in self._known:
            self._known[value] = self._operand(value)
        return self._known[value]

    def _operand(self, node: fx.Node) -> Operand:
        if node.op == "placeholder":
            _check_vector(node)
            return {"name": self._names[node]}
        if node.op == "get_attr":
            values = cast("Tensor", getattr(self._graph, str(node.target))).detach().double().flatten()
            if values.numel() > _LONGEST_CONSTANT:
                raise UntraceableStepError(f"has {values.numel():,} numbers that are not among its weights")
            return self._write("constant", [], node, values=values.tolist())
        if node.target is getitem:
            return self._part(cast("fx.Node", node.args[0]), cast("int", node.args[1]), node)
        name, arguments = _called(node)
        if name in _SAME:
            _check_vector(node)
            return self.operand(arguments[0])
        if name in ("mm", "addmm"):
            if name == "addmm" and arguments[3:] != [1, 1]:
                raise UntraceableStepError("scales a product, as torch.addmm can")
            *added, read, weight = arguments[: 3 if name == "addmm" else 2]
            product = self._product(self.operand(read), weight, node)
            return self._write("add", [product, self.operand(added[0]), 1], node) if added else product
        if name in _FILL or name in ("full", "full_like", "scalar_tensor"):
            value = _FILL.get(name, arguments[0] if name == "scalar_tensor" else arguments[1])
            return self._write("constant", [], node, values=[value])
        if name == "slice":
            if arguments[4] != 1:
                raise UntraceableStepError("takes every so many numbers of a vector")
            return self._slice(arguments[0], arguments[1], arguments[2] or 0, node)
        if name == "cat":
            _check_axis(node, arguments[1])
            return self._write("cat", [self.operand(part) for part in arguments[0]], node)
        if name in ELEMENTWISE:
            return self._write(name, [self.operand(argument) for argument in arguments], node)
        raise UntraceableStepError(f"computes with {name}, which the page does not know")

    def _part(self, whole: fx.Node, index: int, node: fx.Node) -> Operand:
        """One of the results of an operation that has several."""
        name, arguments = _called(whole)
        if name == "native_layer_norm" and index == 0:
            read, _, gain, bias, epsilon = arguments
            return self._write("normalise", [self.operand(one) for one in (read, gain, bias, epsilon)], node)
        if name == "log_sigmoid_forward" and index == 0:
            return self._write("log_sigmoid", [self.operand(arguments[0])], node)
        if name in ("split", "split_with_sizes"):
            sizes = arguments[1]
            first = index * sizes if isinstance(sizes, int) else sum(sizes[:index])
            return self._slice(arguments[0], arguments[2], first, node)
        raise UntraceableStepError(f"computes with {name}, which the page does not know")

    def _slice(self, whole: fx.Node, axis: int, first: int, node: fx.Node) -> Operand:
        _check_axis(whole, axis)
        first = first if first >= 0 else first + whole.meta["val"].numel()
        return self._write("slice", [self.operand(whole)], node, first=first)

    def _product(self, read: Operand, transposed: Any, node: fx.Node) -> Operand:
        """Rows of a weight times a vector."""
        first, weight = 0, cast("fx.Node", transposed)
        if weight.op != "call_function" or _called(weight)[0] != "t":
            raise UntraceableStepError("multiplies by a matrix that is not the transpose of a weight")
        weight = cast("fx.Node", weight.args[0])
        while weight.op == "call_function" and _called(weight)[0] == "slice":
            whole, axis, start, *_ = _called(weight)[1]
            if axis != 0:
                raise UntraceableStepError("multiplies by columns of a weight")
            first, weight = first + (start or 0), cast("fx.Node", whole)
        if weight not in self._names:
            raise UntraceableStepError("multiplies by a matrix that it computes")
        return self._write("product", [read], node, weight=self._names[weight], first=first)

    def _write(self, op: str, operands: list[Operand], node: fx.Node, **more: Any) -> Operand:
        one = {"op": op, "in": operands, "size": node.meta["val"].numel(), **more}
        key = repr(one)
        if key not in self._written:
            self._written[key] = {"result": len(self.operations)}
            self.operations.append(one)
        return self._written[key]


def _called(node: fx.Node) -> tuple[str, list[Any]]:
    """The name of a torch.ops.aten operation and all of its arguments, in the order of its schema."""
    target = cast("torch._ops.OpOverload", node.target)
    if not isinstance(target, torch._ops.OpOverload):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UntraceableStepError(f"computes with {node.target}, which the page does not know")
    arguments = [
        node.args[place] if place < len(node.args) else node.kwargs.get(argument.name, argument.default_value)
        for place, argument in enumerate(target._schema.arguments)
    ]
    return target._schema.name.removeprefix("aten::"), arguments


def _check_vector(node: fx.Node) -> None:
    shape = node.meta["val"].shape
    if sum(size != 1 for size in shape) > 1:
        raise UntraceableStepError(f"computes with a matrix, {tuple(shape)}, that is not the weight of a product")


def _check_axis(node: fx.Node, axis: int) -> None:
    """That a part along this axis is a part of the vector."""
    value = node.meta["val"]
    if value.numel() != value.shape[axis]:
        raise UntraceableStepError(f"takes parts of a matrix, {tuple(value.shape)}")
