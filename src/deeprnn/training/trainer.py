"""A network in training, one batch at a time: what a checkpoint holds, in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from deeprnn.deep import DeepRNN
from deeprnn.training.schedule import Schedule
from deeprnn.training.settings import Settings
from deeprnn.training.task import Batches, Loss, rows_of_rank

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class NetWithLoss(nn.Module):
    """A network and its loss over one batch, with nothing but tensors going in and out, as Fabric wants them."""

    def __init__(self, net: DeepRNN, loss: Loss) -> None:
        super().__init__()
        self.net = net
        self.loss = loss
        _, self._form = pytree.tree_flatten(net.initial_state(1))

    def forward(
        self,
        inputs: Tensor,
        targets: Tensor,
        resets: Tensor | None,
        lengths: Tensor | None,
        state: list[Tensor],
    ) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        """The loss, its metrics, and the state after the batch as a list of tensors."""
        result = self.net(inputs, pytree.tree_unflatten(state, self._form), resets=resets, lengths=lengths)
        loss, metrics = self.loss(result, targets)
        if missing := [name for name in self.loss.metrics if name not in metrics]:
            name = type(self.loss).__name__
            raise ValueError(f"{name} names the metric {missing[0]!r} and gives {', '.join(metrics)}.")
        after, _ = pytree.tree_flatten(result.state.detach())
        return loss, {name: metrics[name].detach() for name in self.loss.metrics}, after


@dataclass(frozen=True)
class Step:
    """What one step gives: the loss, its metrics, the gradient's norm before clipping, the learning rate."""

    loss: Tensor
    metrics: Mapping[str, Tensor]
    gradient_norm: Tensor
    learning_rate: float


class Trainer:
    """Weights, AdamW's moments, carried state and random generators, advanced batch by batch.

    Args:
        net: trained in place.
        batches: the data.
        loss: what is minimised.
        settings: how.
        schedule: the steps, which the learning rate depends on.
        fabric: from `make_fabric(settings)`.

    Raises:
        ValueError: the rows of a batch can't be divided evenly over the processes.
    """

    def __init__(
        self, net: DeepRNN, batches: Batches, loss: Loss, settings: Settings, schedule: Schedule, fabric: "Fabric"
    ) -> None:
        self.net = net
        self.step = 0
        self.schedule = schedule
        self.batches = batches
        self._settings = settings
        self._fabric = fabric
        for weight in net.parameters():
            # Into memory of torch's own alignment, which a file's is not: a product's last bits can depend on it.
            weight.data = weight.data.clone()
        self._module = fabric.setup_module(NetWithLoss(net, loss))
        self._optimizer: Any = fabric.setup_optimizers(_adamw(net, settings))
        rows = rows_of_rank(batches.batch_size, fabric.global_rank, fabric.world_size)
        # The first batch's first step is a reset everywhere: a learned state is reached from there.
        self._state: list[Tensor] = pytree.tree_flatten(net.initial_state(rows.stop - rows.start).detach())[0]
        net.train()
        torch.manual_seed(settings.seed)

    @property
    def steps(self) -> int:
        """All steps."""
        return self.schedule.steps

    def advance(self) -> Step:
        """Trains on the next batch."""
        settings, fabric = self._settings, self._fabric
        batch = self.batches.batch(self.step, fabric.global_rank, fabric.world_size)
        rate = self.schedule.learning_rate(self.step, peak=settings.learning_rate, warm_up=settings.warm_up)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        inputs, targets, resets, lengths = (None if part is None else part.to(fabric.device) for part in batch)
        loss, metrics, state = self._module(inputs, targets, resets, lengths, self._state)
        self._state = [part.to(self.net.dtype) for part in state]
        fabric.backward(loss)
        norm = fabric.clip_gradients(
            self._module, self._optimizer, max_norm=settings.max_grad_norm, error_if_nonfinite=False
        )
        assert norm is not None
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.step += 1
        return Step(loss.detach(), metrics, norm, rate)

    def tensors(self) -> dict[str, Tensor]:
        """All that is carried from step to step, by name: the very tensors where they exist, not copies.

        Shared weights are named once.
        """
        named: dict[str, Tensor] = {f"net.{name}": weight.detach() for name, weight in self.net.named_parameters()}
        named |= {f"net.{name}": buffer for name, buffer in self.net.named_buffers()}
        for name, weight in self.net.named_parameters():
            moments: Mapping[str, Tensor] = self._optimizer.state[weight]
            named |= {f"adamw.{name}.{moment}": moments[moment] for moment in _MOMENTS}
        named |= {f"state.{index}": part for index, part in enumerate(self._state)}
        named["random.cpu"] = torch.get_rng_state()
        if self._fabric.device.type == "cuda":
            named["random.cuda"] = torch.cuda.get_rng_state(self._fabric.device)
        return named

    def not_finite(self) -> str | None:
        """The name of a tensor that holds infinity or NaN, from which no training continues; None where none does."""
        for name, tensor in self.tensors().items():
            if tensor.is_floating_point():
                plain = tensor.detach().cpu()
                # NumPy's, on one thread: torch's threads take longer to meet than these few values need.
                if not np.isfinite((plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()).all():
                    return name
        return None

    def load(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Returns to where `tensors()` was taken, after `step` steps."""
        with torch.no_grad():
            for name, tensor in self.tensors().items():
                if name.startswith(("net.", "adamw.")):
                    tensor.copy_(tensors[name])
        self._state = [torch.empty_like(part).copy_(tensors[f"state.{i}"]) for i, part in enumerate(self._state)]
        torch.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], self._fabric.device)
        self.step = step


_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def _adamw(net: DeepRNN, settings: Settings) -> torch.optim.AdamW:
    """AdamW with its moments in place from the start, so that every checkpoint holds the same names."""
    weights = list(net.parameters())
    groups = [
        {"params": [w for w in weights if w.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [w for w in weights if w.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=0.0, betas=(0.9, 0.99), fused=True)
    for weight in weights:
        optimizer.state[weight] = {
            "step": torch.zeros((), dtype=torch.float32, device=weight.device),
            "exp_avg": torch.zeros_like(weight),
            "exp_avg_sq": torch.zeros_like(weight),
        }
    return optimizer
