"""How much worse the net predicts when a layer's contribution, or its memory, is taken away."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from deeprnn.analysis.interventions.edits import replace, zero
from deeprnn.analysis.probes.scores import NegativeLogLikelihood
from deeprnn.analysis.statistics import Floats, Interval, interval
from deeprnn.deep import DeepRNN

Change: TypeAlias = Literal["zero", "mean", "reset"]

RESETS = (1, 4, 16, 64)
"""Every how many characters a layer's state is reset."""


@dataclass(frozen=True)
class Ablation:
    """One layer changed in one way.

    Attributes:
        layer: 0-based.
        change: what the layer passes upward is "zero" or its "mean", or its state is "reset".
        every: characters between two resets; None for the other changes.
        nll: the negative log-likelihood of the text then.
    """

    layer: int
    change: Change
    every: int | None
    nll: NegativeLogLikelihood

    def bits_lost(self, whole: NegativeLogLikelihood, weights: Floats) -> Interval:
        """Bits a character more than the net as it is; paired bootstrap over files."""
        return interval(lambda drawn: self.nll.bits(drawn) - whole.bits(drawn), weights)


def negative_log_likelihood(net: DeepRNN, x: Tensor, targets: Tensor) -> NegativeLogLikelihood:
    """The negative log-likelihood of the text under the net, file by file.

    Args:
        x: (T, B) ids, a file in each column. targets: (T, B) the id after each; -1 = not scored.
    """
    return _nll(_outputs(net, x), targets)


def ablate(
    net: DeepRNN,
    x: Tensor,
    targets: Tensor,
    *,
    resets: Sequence[int] = RESETS,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NegativeLogLikelihood, tuple[Ablation, ...]]:
    """Takes each layer's contribution, then its memory, away, and measures how the net then predicts.

    Definition: bits a character of the net with one layer changed, for every layer: `zero`, what it passes upward is
    0; `mean`, it is the layer's mean over the text, so that the layers above stay in their range; `reset k`, the
    layer's state goes back to its initial one every k characters, so that it sees k characters at most.

    Args:
        net: takes (T, B) ids, has an output layer.
        x: (T, B) ids of held-out text, a file in each column.
        targets: (T, B) the id after each; -1 = not scored.
        progress: called with runs done and runs in all.

    Returns:
        The net's own figure, and L (2 + resets) changed ones, bottom layer first.

    Cost: one run of the net for each; resets cut torch's runs into pieces of k, so k = 1 runs step by step.

    Pitfalls: the layers above were never trained for what they now get, so the loss is an upper bound of what the
    layer is worth: a net trained without it would do better than this one without it. The bottom layer is the only
    way in: without it nothing is left but the mean. `zero` also shifts what comes above; prefer `mean`. Residual
    paths go around a layer that is silent.

    Source: Morcos et al. 2018 (ablation by zero and by mean); Khandelwal et al. 2018 (context taken away).

    >>> from deeprnn import DeepRNN, GRU
    >>> net, x = DeepRNN(5, [GRU(4), GRU(4)], 5), torch.randint(5, (12, 3))
    >>> whole, changed = ablate(net, x[:-1], x[1:], resets=(2,))
    >>> [(one.layer, one.change, one.every) for one in changed[:3]]
    [(0, 'zero', None), (0, 'mean', None), (0, 'reset', 2)]
    """
    if any(every < 1 for every in resets):
        raise ValueError(f"resets={tuple(resets)}: every how many characters, 1 or more.")
    layers = len(net.recurrent_layers)
    runs = 1 + layers * (2 + len(resets))
    with torch.no_grad():
        result = net(x)
    valid = targets >= 0
    means = [hidden[valid].mean(0) for hidden in result.hidden]
    whole = _nll(_checked(result.output), targets)
    changed: list[Ablation] = []
    if progress is not None:
        progress(1, runs)
    for layer in range(layers):
        for change, every, changing in _changes(net, layer, means[layer], resets):
            with changing:
                changed.append(Ablation(layer, change, every, negative_log_likelihood(net, x, targets)))
            if progress is not None:
                progress(1 + len(changed), runs)
    return whole, tuple(changed)


def _changes(
    net: DeepRNN, layer: int, mean: Tensor, resets: Sequence[int]
) -> Iterator[tuple[Change, int | None, AbstractContextManager[None]]]:
    yield "zero", None, zero(net, layer)
    yield "mean", None, replace(net, layer, mean)
    for every in resets:
        yield "reset", every, reset_every(net, layer, every)


@contextmanager
def reset_every(net: DeepRNN, layer: int, every: int) -> Generator[None]:
    """Within the block, one layer's state goes back to its initial one before steps 0, every, 2 every, ...

    Args:
        net: the net. layer: 0-based. every: 1 or more.
    """
    module = net.recurrent_layers[layer]

    def reset(_module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        steps, batch = args[0].shape[:2]
        resets = (torch.arange(steps, device=args[0].device) % every == 0)[:, None].expand(steps, batch)
        given: Tensor | None = kwargs.get("resets")
        return args, {**kwargs, "resets": resets if given is None else resets | given}

    handle = module.register_forward_pre_hook(reset, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def _outputs(net: DeepRNN, x: Tensor) -> Tensor:
    return _checked(net(x).output)


def _checked(output: Tensor | None) -> Tensor:
    if output is None:
        raise ValueError("the net has no output layer, so it predicts nothing that an ablation could spoil.")
    return output


def _nll(output: Tensor, targets: Tensor) -> NegativeLogLikelihood:
    nats = F.cross_entropy(output.flatten(0, 1).float(), targets.flatten(), ignore_index=-1, reduction="none")
    nats = nats.view_as(targets).double().sum(0)
    return NegativeLogLikelihood((targets >= 0).double().sum(0).cpu().numpy(), nats.cpu().numpy())
