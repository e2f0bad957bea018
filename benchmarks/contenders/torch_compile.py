"""The loop of `torch_loop`, compiled whole by torch.compile."""

import torch
from torch import Tensor

from benchmarks.contenders import torch_call, torch_loop
from benchmarks.contenders.interface import Contender
from benchmarks.grid import Row
from benchmarks.problem import Problem


def why_not(row: Row) -> str | None:
    """It compiles what torch.nn lacks; `compile_trial` finds out where that takes too long."""
    return torch_loop.why_not(row)


def build(row: Row, problem: Problem) -> Contender:
    """The compiled loop; the first call compiles it."""
    parameters = torch_loop.parameters_of(problem)
    # The limit on code objects counts every row of this process, since all compile the same function.
    torch.compiler.reset()

    def whole(x: Tensor, weights: list[Tensor]) -> Tensor:
        return torch_loop.loop(row, x, weights)

    compiled = torch.compile(whole, fullgraph=True, dynamic=False)
    weights = list(parameters.values())
    return torch_call.contender(row, problem, lambda x: compiled(x, weights), parameters)
