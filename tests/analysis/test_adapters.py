"""A torch.nn.RNN, GRU or LSTM as a DeepRNN: the same outputs, the same states, and all of the analysis."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from deeprnn import Elman
from deeprnn.analysis import as_deep, record, zero

T, B = 6, 3

MODULES: dict[str, Any] = {
    "rnn-tanh": lambda **o: nn.RNN(4, 5, **o),
    "rnn-relu": lambda **o: nn.RNN(4, 5, nonlinearity="relu", **o),
    "gru": lambda **o: nn.GRU(4, 5, **o),
    "lstm": lambda **o: nn.LSTM(4, 5, **o),
    "lstm-projected": lambda **o: nn.LSTM(4, 5, proj_size=2, **o),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "three-layers": {"num_layers": 3},
    "both-ways": {"num_layers": 2, "bidirectional": True},
    "no-bias": {"num_layers": 2, "bias": False},
    "batch-first": {"num_layers": 2, "batch_first": True},
    "dropout": {"num_layers": 2, "dropout": 0.5},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", MODULES)
def test_outputs_and_states_are_the_modules(kind: str, options: str) -> None:
    torch.manual_seed(0)
    module = MODULES[kind](**OPTIONS[options]).double().eval()
    net = as_deep(module)
    x = torch.randn(T, B, 4, dtype=torch.float64)
    if module.batch_first:
        x = x.transpose(0, 1)
    output, state = module(x)
    result = net(x)
    assert len(result.hidden) == module.num_layers
    torch.testing.assert_close(result.hidden[-1], output, rtol=0, atol=1e-12)
    h, c = state if isinstance(module, nn.LSTM) else (state, None)
    parts = [part for layer in result.state for part in (layer, layer.reverse) if part is not None]
    torch.testing.assert_close(torch.stack([part.h for part in parts]), h, rtol=0, atol=1e-12)
    if c is not None:
        torch.testing.assert_close(torch.stack([part.c for part in parts]), c, rtol=0, atol=1e-12)
    assert net.dropout == module.dropout
    assert not net.training
    recorded = record(net, x, "layers.0.*")
    assert recorded["layers.0.hidden"].shape == (B, T, h.shape[-1])


def test_gates_of_a_torch_lstm_are_those_of_its_equations() -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(4, 5).double()
    x = torch.randn(1, B, 4, dtype=torch.float64)
    a = x[0] @ lstm.weight_ih_l0.T + lstm.bias_ih_l0 + lstm.bias_hh_l0
    recording = record(as_deep(lstm), x, "layers.0.*")
    for gate, pre in zip("ifgo", a.split(5, dim=-1), strict=True):
        torch.testing.assert_close(recording[f"layers.0.pre.{gate}"][:, 0], pre.detach(), rtol=0, atol=1e-12)


def test_an_embedding_and_an_output_layer_become_part_of_the_net() -> None:
    torch.manual_seed(0)
    embedding, head = nn.Embedding(11, 4, padding_idx=0).double(), nn.Linear(10, 7).double()
    gru = nn.GRU(4, 5, num_layers=2, bidirectional=True).double()
    net = as_deep(gru, embedding=embedding, output=head)
    ids = torch.randint(11, (T, B))
    torch.testing.assert_close(net(ids).output, head(gru(embedding(ids))[0]), rtol=0, atol=1e-12)
    without = as_deep(nn.GRU(4, 5), output=nn.Linear(5, 7, bias=False))
    assert (without.output.bias == 0).all()  # type: ignore[union-attr]


def test_the_weights_are_a_copy() -> None:
    module = nn.GRU(4, 5)
    net = as_deep(module)
    x = torch.randn(T, B, 4)
    before = module(x)[0]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    assert torch.equal(module(x)[0], before)
    assert all(parameter.requires_grad for parameter in net.parameters())


class HalfDropped(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(weight, 0.5, self.training)


WAYS: dict[str, Any] = {
    "pruned": lambda m, name: prune.l1_unstructured(m, name, amount=0.5),
    "pruned-twice": lambda m, name: [prune.random_unstructured(m, name, amount=0.3) for _ in "12"],
    "weight-norm": parametrizations.weight_norm,
    "weight-norm-of-old": nn.utils.weight_norm,
    "spectral-norm": parametrizations.spectral_norm,
    "spectral-norm-of-old": nn.utils.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "dropped": lambda m, name: parametrize.register_parametrization(m, name, HalfDropped()),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")  # that torch has new ways
@pytest.mark.filterwarnings("ignore:RNN module weights")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", MODULES)
def test_computed_weights_are_those_of_now(kind: str, way: str) -> None:
    torch.manual_seed(0)
    module = MODULES[kind](num_layers=2).double()
    embedding, head = nn.Embedding(11, 4).double(), nn.Linear(module.proj_size or 5, 3).double()
    for part, names in ((module, ("weight_hh_l0", "weight_ih_l1")), (embedding, ("weight",)), (head, ("weight",))):
        for name in names:
            WAYS[way](part, name)
    ids = torch.randint(11, (T, B))
    parts = nn.ModuleList([module, embedding, head])
    optimizer = torch.optim.SGD(parts.parameters(), lr=0.1)
    head(module(embedding(ids))[0]).square().sum().backward()
    optimizer.step()  # what the hooks have put in place is now that of the call before
    state = {name: value.clone() for name, value in parts.state_dict().items()}
    net = as_deep(module, embedding=embedding, output=head)
    assert net.training
    assert all(torch.equal(value, state[name]) for name, value in parts.state_dict().items())
    assert all(part.training for part in parts.modules())
    parts.eval()
    torch.testing.assert_close(net.eval()(ids).output, head(module(embedding(ids))[0]), rtol=0, atol=1e-12)


def test_a_weight_of_unknown_making_is_refused() -> None:
    gru = nn.GRU(4, 5)
    weight = gru.weight_hh_l0.detach()
    del gru.weight_hh_l0
    gru.weight_hh_l0 = 2 * weight
    with pytest.raises(ValueError, match="weight_hh_l0 is not a parameter of the GRU"):
        as_deep(gru)


def test_interventions_act_on_the_view_only() -> None:
    module = nn.LSTM(4, 5, num_layers=2)
    net, x = as_deep(module), torch.randn(T, B, 4)
    before = module(x)[0]
    with zero(net, 0, where="state"):
        assert not torch.allclose(net(x).hidden[1], before)
        assert torch.equal(module(x)[0], before)
    torch.testing.assert_close(net(x).hidden[1], before)


def test_mode_and_dtype_follow_the_module() -> None:
    assert as_deep(nn.GRU(4, 5).train()).training
    assert as_deep(nn.RNN(4, 5).bfloat16()).dtype == torch.bfloat16
    assert as_deep(nn.RNN(4, 5, nonlinearity="relu")).cells == (Elman(5, "relu"),)


class Mine(nn.LSTM):
    pass


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: as_deep(Mine(4, 5)), TypeError, "not a Mine"),
        (lambda: as_deep(nn.GRUCell(4, 5)), TypeError, "not a GRUCell"),  # type: ignore[arg-type]
        (lambda: as_deep(nn.GRU(4, 5), embedding=nn.Embedding(9, 3)), ValueError, "gives 3 features"),
        (lambda: as_deep(nn.GRU(4, 5), embedding=nn.Embedding(9, 4, max_norm=1.0)), ValueError, "max_norm"),
        (lambda: as_deep(nn.GRU(4, 5), output=nn.Linear(4, 2)), ValueError, "reads 4 features"),
    ],
)
def test_what_is_not_the_same_function_is_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
