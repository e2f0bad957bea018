"""Many linear classifiers fitted at once on one matrix of features: the solver behind the probes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from deeprnn.analysis.probes.features import CURVATURE, Features, Precondition

_MEMORY = 10
"""Pairs of steps and gradient changes that L-BFGS keeps."""
_ENOUGH = 1e-4
"""Armijo's constant: the share of the promised decrease that a step must bring."""
_HALVINGS = 20


@dataclass(frozen=True)
class Blocks:
    """The columns of all labels' classes in one weight matrix: label b has `sizes[b]` of them.

    >>> Blocks((2, 3)).slices
    (slice(0, 2, None), slice(2, 5, None))
    """

    sizes: tuple[int, ...]

    @property
    def columns(self) -> int:
        return sum(self.sizes)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        ends = torch.tensor((0, *self.sizes)).cumsum(0).tolist()
        return tuple(slice(a, b) for a, b in pairwise(ends))

    @cached_property
    def of_column(self) -> Tensor:
        """(C,) the block of each column."""
        return torch.repeat_interleave(torch.arange(len(self.sizes)), torch.tensor(self.sizes))

    def sum(self, per_column: Tensor) -> Tensor:
        """(blocks,) sums of a (C,)."""
        return per_column.new_zeros(len(self.sizes)).index_add_(0, self.of_column, per_column)


@dataclass(frozen=True)
class Linear:
    """Fitted classifiers.

    Attributes:
        weight: (D, C). bias: (C,).
        blocks: which columns are which label's.
        iterations: how many were made.
        gradient: the largest entry of the objective's gradient at the end, over all labels.
    """

    weight: Tensor
    bias: Tensor
    blocks: Blocks
    iterations: int
    gradient: float

    def log_probabilities(self, features: Features) -> list[Tensor]:
        """(N, K_b) each: ln p(class) for every label."""
        logits = features.times(self.weight) + self.bias
        return [F.log_softmax(logits[:, part], dim=1) for part in self.blocks.slices]

    def only(self, labels: Sequence[int]) -> "Linear":
        """The classifiers of some labels, by index."""
        blocks = Blocks(tuple(self.blocks.sizes[label] for label in labels))
        parts = [self.blocks.slices[label] for label in labels]
        weight = torch.cat([self.weight[:, part] for part in parts], dim=1)
        return Linear(weight, torch.cat([self.bias[part] for part in parts]), blocks, self.iterations, self.gradient)


def fit(
    features: Features,
    labels: Tensor,
    sizes: Sequence[int],
    *,
    penalty: Tensor | float = 1.0,
    start: Linear | None = None,
    tolerance: float = 1e-4,
    iterations: int = 200,
) -> Linear:
    """Softmax regression of every label on the same features, in one go.

    Each label b minimises, on its own, (1/n_b) (sum over its n_b scored rows of -ln p(class) + penalty/2 ||W_b||^2),
    which is scikit-learn's LogisticRegression with C = 1/penalty; the bias is not penalised. The labels share the
    two matrix products of an iteration and nothing else: steps, curvature and line search are each label's own.

    Args:
        features: N rows.
        labels: (M, N) int64, row b holds label b's classes, 0 <= class < sizes[b]; -1 = not scored.
        sizes: M numbers of classes.
        penalty: one for all, or (M,).
        start: where to begin, such as a fit on fewer rows; zeros by default.
        tolerance: stop when no entry of any label's gradient is larger.
        iterations: the most that are done.

    Source: L-BFGS, Nocedal & Wright 2006, algorithm 7.4; each label a problem of its own.

    >>> from deeprnn.analysis.probes.features import Dense
    >>> x = torch.tensor([[-2.0], [-1.0], [1.0], [2.0]])
    >>> fitted = fit(Dense(x), torch.tensor([[0, 0, 1, 1]]), [2])
    >>> fitted.log_probabilities(Dense(x))[0].argmax(1).tolist()
    [0, 0, 1, 1]
    """
    problem = _Problem(features, labels, Blocks(tuple(sizes)), penalty)
    blocks = problem.blocks
    if start is None:
        weight = torch.zeros(features.width + 1, blocks.columns)
    else:
        weight = torch.cat([start.weight, start.bias[None]])
    logits = problem.times(weight)
    loss, errors = problem.losses(weight, logits)
    gradient = problem.gradient(weight, errors)
    history = _History(blocks, problem.precondition())
    done = 0
    while done < iterations and float(gradient.abs().max()) > tolerance:
        direction = history.direction(gradient)
        slope = blocks.sum((direction * gradient).sum(0))
        along = problem.times(direction)
        step, loss, errors = problem.line_search(weight, direction, logits, along, loss, slope, errors)
        of_column = step[blocks.of_column]
        moved = direction * of_column
        weight = weight + moved
        logits = logits + along * of_column[:, None]
        before = gradient
        gradient = problem.gradient(weight, errors)
        history.add(moved, gradient - before)
        done += 1
        if not bool((step > 0).any()):
            break
    return Linear(weight[:-1], weight[-1], blocks, done, float(gradient.abs().max()))


class _Problem:
    """The objectives of all labels, (M,), and their gradient, (D + 1, C); the last row is the bias.

    Logits and errors are (C, N): a class's values for all rows lie side by side, so that the softmax over few classes
    runs along the rows.
    """

    def __init__(self, features: Features, labels: Tensor, blocks: Blocks, penalty: Tensor | float) -> None:
        if labels.shape != (len(blocks.sizes), features.rows):
            raise ValueError(
                f"labels has shape {tuple(labels.shape)}, but {len(blocks.sizes)} sizes and {features.rows} rows of "
                f"features need ({len(blocks.sizes)}, {features.rows})."
            )
        self.features, self.blocks = features, blocks
        scored = labels >= 0
        counts = scored.sum(1).clamp(min=1).float()
        self._chosen = labels.clamp(min=0)
        self._share = scored / counts[:, None]
        self._penalty = torch.as_tensor(penalty, dtype=torch.float32).expand(len(blocks.sizes)) / counts

    def times(self, weight: Tensor) -> Tensor:
        return self.features.times(weight[:-1]).T.contiguous() + weight[-1][:, None]

    def precondition(self) -> Precondition:
        inner = self.features.precondition(self._penalty[self.blocks.of_column])
        return lambda gradient: torch.cat([inner(gradient[:-1]), gradient[-1:] / CURVATURE])

    def losses(self, weight: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """(M,) objectives and (C, N) their derivatives by the logits."""
        errors = torch.empty_like(logits)
        losses = [self._softmax(b, logits[part], errors[part]) for b, part in enumerate(self.blocks.slices)]
        return torch.stack(losses) + self._penalties(weight), errors

    def gradient(self, weight: Tensor, errors: Tensor) -> Tensor:
        gradient = torch.cat([self.features.transposed_times(errors.T), errors.sum(1)[None]])
        gradient[:-1] += weight[:-1] * self._penalty[self.blocks.of_column]
        return gradient

    def line_search(
        self,
        weight: Tensor,
        direction: Tensor,
        logits: Tensor,
        along: Tensor,
        loss: Tensor,
        slope: Tensor,
        errors: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(M,) steps that bring each label enough decrease (Armijo), 1 where that does; 0 where none was found.

        With them the objectives and errors where they lead.
        """
        step = torch.where(slope < 0, 1.0, 0.0)
        accepted = slope >= 0
        found, reached = loss.clone(), errors.clone()
        for _ in range(_HALVINGS):
            penalties = self._penalties(weight + direction * step[self.blocks.of_column])
            for b, part in enumerate(self.blocks.slices):
                if not accepted[b]:
                    at = torch.add(logits[part], along[part], alpha=float(step[b]))
                    found[b] = self._softmax(b, at, reached[part]) + penalties[b]
            # Near the minimum a decrease drowns in float32's rounding: what is lost in it is let pass.
            accepted |= found <= loss + _ENOUGH * step * slope + 1e-6 * loss.abs()
            if bool(accepted.all()):
                return step, found, reached
            step = torch.where(accepted, step, step / 2)
        for b, part in enumerate(self.blocks.slices):
            if not accepted[b]:
                reached[part] = errors[part]
        return torch.where(accepted, step, 0.0), torch.where(accepted, found, loss), reached

    def _penalties(self, weight: Tensor) -> Tensor:
        return 0.5 * self._penalty * self.blocks.sum(weight[:-1].square().sum(0))

    def _softmax(self, b: int, logits: Tensor, errors: Tensor) -> Tensor:
        """The mean loss of label b at its logits (K, N); what goes into `errors` (K, N) is its derivative."""
        share, chosen = self._share[b], self._chosen[b][None]
        peak = logits.amax(0)
        torch.sub(logits, peak, out=errors).exp_()
        total = errors.sum(0)
        nats = total.log() + peak - logits.gather(0, chosen)[0]
        errors.mul_(share / total).scatter_add_(0, chosen, -share[None])
        return nats @ share


class _History:
    """L-BFGS's memory; every label has its own inner products."""

    def __init__(self, blocks: Blocks, precondition: Precondition) -> None:
        self._blocks, self._precondition = blocks, precondition
        self._pairs: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, step: Tensor, change: Tensor) -> None:
        curvature = self._blocks.sum((step * change).sum(0))
        inverse = torch.where(curvature > 1e-20, 1 / curvature, 0.0)
        self._pairs = [*self._pairs[-(_MEMORY - 1) :], (step, change, inverse)]

    def direction(self, gradient: Tensor) -> Tensor:
        spread, inner = self._spread, self._inner
        d = -gradient
        factors: list[Tensor] = []
        for step, change, inverse in reversed(self._pairs):
            factor = inverse * inner(step, d)
            factors.append(factor)
            d = d - change * spread(factor)
        d = self._precondition(d)
        if self._pairs:
            _, change, inverse = self._pairs[-1]
            scale = torch.where(inverse > 0, 1 / (inverse * inner(change, self._precondition(change))), 1.0)
            d = d * spread(scale)
        for (step, change, inverse), factor in zip(self._pairs, reversed(factors), strict=True):
            d = d + step * spread(factor - inverse * inner(change, d))
        return d

    def _spread(self, per_block: Tensor) -> Tensor:
        return per_block[self._blocks.of_column]

    def _inner(self, first: Tensor, second: Tensor) -> Tensor:
        return self._blocks.sum((first * second).sum(0))
