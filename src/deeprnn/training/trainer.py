"""A network in training, one window at a time: what a checkpoint holds, in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from deeprnn.deep import DeepRNN
from deeprnn.tasks.text import Streams
from deeprnn.training.device import choose_device
from deeprnn.training.schedule import Course
from deeprnn.training.settings import Settings


class NextSymbol(nn.Module):
    """A network and its loss over one window, with tensors alone going in and out, as Fabric wants them."""

    def __init__(self, net: DeepRNN) -> None:
        super().__init__()
        self.net = net
        _, self._form = pytree.tree_flatten(net.initial_state(1))

    def forward(
        self, inputs: Tensor, targets: Tensor, resets: Tensor | None, state: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """The mean of -ln p(target) over a window (T, B), and the state after it as a list of tensors."""
        result = self.net(inputs, pytree.tree_unflatten(state, self._form), resets=resets)
        assert result.output is not None
        loss = F.cross_entropy(result.output.flatten(0, 1).float(), targets.flatten())
        after, _ = pytree.tree_flatten(result.state.detach())
        return loss, after


@dataclass(frozen=True)
class Step:
    """What one step gives: the loss in nats a character, the gradient's norm before clipping, the rate."""

    loss: Tensor
    gradient_norm: Tensor
    learning_rate: float


class Trainer:
    """Weights, AdamW's moments, carried state and random generators, advanced window by window.

    Args:
        net: trained in place.
        streams: the text.
        settings: how.
        course: all steps, which the learning rate depends on.
    """

    def __init__(self, net: DeepRNN, streams: Streams, settings: Settings, course: Course) -> None:
        self.net = net
        self.step = 0
        self.course = course
        self.characters = streams.characters
        self._streams = streams
        self._settings = settings
        self._fabric = make_fabric(settings)
        for weight in net.parameters():
            # Into memory of torch's own alignment, which a file's is not: a product's last bits can depend on it.
            weight.data = weight.data.clone()
        self._module = self._fabric.setup_module(NextSymbol(net))
        self._optimizer = self._fabric.setup_optimizers(_adamw(net, settings))
        # The first window's first step is a reset everywhere: a learned state is reached from there.
        self._state: list[Tensor] = pytree.tree_flatten(net.initial_state(streams.batch).detach())[0]
        net.train()
        torch.manual_seed(settings.seed)

    @property
    def steps(self) -> int:
        """All steps."""
        return self.course.steps

    def advance(self) -> Step:
        """Trains on the next window."""
        window, settings = self._streams[self.step], self._settings
        rate = self.course.learning_rate(self.step, highest=settings.learning_rate, warm_up=settings.warm_up)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        device = self._fabric.device
        resets = None if window.resets is None else window.resets.to(device)
        loss, state = self._module(window.inputs.to(device), window.targets.to(device), resets, self._state)
        self._state = [part.to(self.net.dtype) for part in state]
        self._fabric.backward(loss)
        norm = self._fabric.clip_gradients(
            self._module, self._optimizer, max_norm=settings.clip, error_if_nonfinite=False
        )
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.step += 1
        return Step(loss.detach(), norm, rate)

    def tensors(self) -> dict[str, Tensor]:
        """All that goes on, by name: the very tensors where they exist, not copies. Shared weights are named once."""
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
        """Goes back to where `tensors()` was taken, after `step` steps."""
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


def make_fabric(settings: Settings) -> Any:
    """Lightning Fabric for the settings' device and precision.

    Raises:
        ValueError: there is no such device here.
    """
    from lightning_fabric import Fabric

    device = choose_device(settings.device)
    try:
        return Fabric(
            accelerator=device.type,
            devices=[device.index or 0] if device.type == "cuda" else 1,
            precision=settings.precision,
        )
    except Exception as error:
        raise ValueError(f"--device {settings.device}, --precision {settings.precision}: {error}") from error


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
