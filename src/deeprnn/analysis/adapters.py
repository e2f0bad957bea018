"""torch.nn.RNN, GRU and LSTM as a DeepRNN, so that all of the analysis works on them."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from deeprnn.analysis.evaluation import evaluated
from deeprnn.cells import GRU, LSTM, Cell, Elman
from deeprnn.deep import DeepRNN


@torch.no_grad()
def as_deep(
    module: nn.RNN | nn.GRU | nn.LSTM,
    *,
    embedding: nn.Embedding | None = None,
    output: nn.Linear | None = None,
) -> DeepRNN:
    """A DeepRNN that computes what a torch.nn.RNN, GRU or LSTM computes, with a copy of its weights.

    Its `layers.{l}.weight_xh` is torch's `weight_ih_l{l}`, `.weight_hh` is `weight_hh_l{l}`; torch's two biases are
    summed, but for a GRU's b_hn, which stands inside the reset product and stays apart as `.bias_hn`. Later training
    of the module does not reach the copy: call this again. A top layer's `result.hidden` is the module's output.
    Weights that are parametrised, pruned or normed (torch.nn.utils) are copied as what they are now, in evaluation.
    In training the DeepRNN's dropout also stands between the top layer and `output`; evaluated there is none.

    Args:
        module: any depth, either direction or both, batch_first, dropout, with or without bias.
        embedding: what the module's input comes from, if that is an embedding: the DeepRNN then reads the ids
            themselves. One-hot ids times W_xh E^T is the same function, so the embedding becomes part of
            `layers.0.weight_xh`, (G*H, ids).
        output: the layer that reads the top one's states at each step, if any.

    Returns:
        The DeepRNN, of the module's dtype, on its device, in its mode.

    Raises:
        TypeError: not one of these modules (a subclass may compute anything).
        ValueError: sizes that do not fit, or a weight that is computed by something else than torch.nn.utils.

    >>> lstm = nn.LSTM(3, 4, num_layers=2)
    >>> x = torch.randn(5, 2, 3)
    >>> torch.allclose(as_deep(lstm)(x).hidden[1], lstm(x)[0], atol=1e-6)
    True
    """
    if parametrize.type_before_parametrizations(module) not in (nn.RNN, nn.GRU, nn.LSTM):
        raise TypeError(f"as_deep() takes a torch.nn.RNN, GRU or LSTM, not a {type(module).__name__}.")
    if embedding is not None:
        _check_embedding(module, embedding)
    width = (module.proj_size or module.hidden_size) * (2 if module.bidirectional else 1)
    if output is not None and output.in_features != width:
        raise ValueError(f"output reads {output.in_features} features, but the module writes {width}.")
    first = next(module.parameters())
    net = DeepRNN(
        module.input_size if embedding is None else embedding.num_embeddings,
        [_cell(module) for _ in range(module.num_layers)],
        None if output is None else output.out_features,
        batch_first=module.batch_first,
        dropout=float(module.dropout),
        device=first.device,
        dtype=first.dtype,
    )
    weights = _weights(module)
    if embedding is not None:
        for name in ("layers.0.weight_xh", "layers.0.weight_xh_reverse"):
            if name in weights:
                weights[name] = weights[name] @ _weight(embedding, "weight").T
    if output is not None:
        weights["output.weight"] = _weight(output, "weight")
        biased = output.bias is not None  # pyright: ignore[reportUnnecessaryComparison]
        zero = weights["output.weight"].new_zeros(output.out_features)
        weights["output.bias"] = _weight(output, "bias") if biased else zero
    net.load_state_dict(weights)
    return net.train(module.training)


def _cell(module: nn.RNN | nn.GRU | nn.LSTM) -> Cell:
    direction = "both" if module.bidirectional else "forward"
    if isinstance(module, nn.LSTM):
        return LSTM(module.hidden_size, proj_size=module.proj_size, bias=module.bias, direction=direction)
    if isinstance(module, nn.GRU):
        return GRU(module.hidden_size, bias=module.bias, direction=direction)
    return Elman(module.hidden_size, module.nonlinearity, bias=module.bias, direction=direction)


def _weights(module: nn.RNN | nn.GRU | nn.LSTM) -> dict[str, Tensor]:
    """The module's weights by the names of a DeepRNN's state_dict."""
    H = module.hidden_size
    ours: dict[str, Tensor] = {}
    for layer in range(module.num_layers):
        for suffix in ("", "_reverse")[: 2 if module.bidirectional else 1]:
            place = f"l{layer}{suffix}"
            ours[f"layers.{layer}.weight_xh{suffix}"] = _weight(module, f"weight_ih_{place}")
            ours[f"layers.{layer}.weight_hh{suffix}"] = _weight(module, f"weight_hh_{place}")
            if module.proj_size:
                ours[f"layers.{layer}.weight_hr{suffix}"] = _weight(module, f"weight_hr_{place}")
            if not module.bias:
                continue
            bias, recurrent = _weight(module, f"bias_ih_{place}"), _weight(module, f"bias_hh_{place}")
            if isinstance(module, nn.GRU):
                ours[f"layers.{layer}.bias_hn{suffix}"] = recurrent[2 * H :]
                recurrent = torch.cat([recurrent[: 2 * H], torch.zeros_like(recurrent[2 * H :])])
            ours[f"layers.{layer}.bias{suffix}"] = bias + recurrent
    return ours


def _weight(module: nn.Module, name: str) -> Tensor:
    """One weight as it is now in evaluation, whichever way of torch.nn.utils computes it."""
    if name in module._parameters:
        return getattr(module, name)
    with evaluated(module):
        if parametrize.is_parametrized(module, name):
            return getattr(module, name)
        for hook in module._forward_pre_hooks.values():
            # They set the weight before each call of the module: what stands there now is of the last call.
            if isinstance(hook, prune.BasePruningMethod) and hook._tensor_name == name:
                return hook.apply_mask(module)
            if isinstance(hook, WeightNorm) and hook.name == name:
                return hook.compute_weight(module)
            if isinstance(hook, SpectralNorm) and hook.name == name:
                return hook.compute_weight(module, do_power_iteration=False)
    raise ValueError(
        f"{name} is not a parameter of the {type(module).__name__}, and nothing of torch.nn.utils computes it; "
        f"make what it computes a parameter of the module before as_deep()."
    )


def _check_embedding(module: nn.RNN | nn.GRU | nn.LSTM, embedding: nn.Embedding) -> None:
    if embedding.embedding_dim != module.input_size:
        raise ValueError(
            f"embedding gives {embedding.embedding_dim} features, but the module reads {module.input_size}."
        )
    if embedding.max_norm is not None:
        raise ValueError("embedding has max_norm, which changes its weights as it is used; as_deep() can't copy that.")
