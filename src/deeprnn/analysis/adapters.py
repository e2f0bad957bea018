"""torch.nn.RNN, GRU and LSTM as a DeepRNN, so that all of the analysis works on them."""

import torch
from torch import Tensor, nn

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
        ValueError: an LSTM with proj_size, which no cell here computes; or sizes that do not fit.

    >>> lstm = nn.LSTM(3, 4, num_layers=2)
    >>> x = torch.randn(5, 2, 3)
    >>> torch.allclose(as_deep(lstm)(x).hidden[1], lstm(x)[0], atol=1e-6)
    True
    """
    if type(module) not in (nn.RNN, nn.GRU, nn.LSTM):
        raise TypeError(f"as_deep() takes a torch.nn.RNN, GRU or LSTM, not a {type(module).__name__}.")
    if module.proj_size:
        raise ValueError(
            f"as_deep(): this LSTM has proj_size={module.proj_size}: its state is a projection of o * tanh(c), "
            f"which no cell of deeprnn computes."
        )
    if embedding is not None:
        _check_embedding(module, embedding)
    width = module.hidden_size * (2 if module.bidirectional else 1)
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
                weights[name] = weights[name] @ embedding.weight.T
    if output is not None:
        weights["output.weight"] = output.weight
        weights["output.bias"] = torch.zeros_like(output.weight[:, 0]) if output.bias is None else output.bias  # pyright: ignore[reportUnnecessaryComparison]
    net.load_state_dict(weights)
    return net.train(module.training)


def _cell(module: nn.RNN | nn.GRU | nn.LSTM) -> Cell:
    direction = "both" if module.bidirectional else "forward"
    if isinstance(module, nn.LSTM):
        return LSTM(module.hidden_size, bias=module.bias, direction=direction)
    if isinstance(module, nn.GRU):
        return GRU(module.hidden_size, bias=module.bias, direction=direction)
    return Elman(module.hidden_size, module.nonlinearity, bias=module.bias, direction=direction)


def _weights(module: nn.RNN | nn.GRU | nn.LSTM) -> dict[str, Tensor]:
    """The module's weights by the names of a DeepRNN's state_dict."""
    theirs, H = dict(module.named_parameters()), module.hidden_size
    ours: dict[str, Tensor] = {}
    for layer in range(module.num_layers):
        for suffix in ("", "_reverse")[: 2 if module.bidirectional else 1]:
            place = f"l{layer}{suffix}"
            ours[f"layers.{layer}.weight_xh{suffix}"] = theirs[f"weight_ih_{place}"]
            ours[f"layers.{layer}.weight_hh{suffix}"] = theirs[f"weight_hh_{place}"]
            if not module.bias:
                continue
            bias, recurrent = theirs[f"bias_ih_{place}"], theirs[f"bias_hh_{place}"]
            if isinstance(module, nn.GRU):
                ours[f"layers.{layer}.bias_hn{suffix}"] = recurrent[2 * H :]
                recurrent = torch.cat([recurrent[: 2 * H], torch.zeros_like(recurrent[2 * H :])])
            ours[f"layers.{layer}.bias{suffix}"] = bias + recurrent
    return ours


def _check_embedding(module: nn.RNN | nn.GRU | nn.LSTM, embedding: nn.Embedding) -> None:
    if embedding.embedding_dim != module.input_size:
        raise ValueError(
            f"embedding gives {embedding.embedding_dim} features, but the module reads {module.input_size}."
        )
    if embedding.max_norm is not None:
        raise ValueError("embedding has max_norm, which changes its weights as it is used; as_deep() can't copy that.")
