"""What a saved net is beyond its values: what is shared, what is frozen; and what is refused when it is saved."""

import copy
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compare import randomise
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from deeprnn import GRU, LSTM, DeepRNN, Elman
from deeprnn.sharing import shared_places

H = 6


def build(**options: Any) -> DeepRNN:
    """Layers that read and write H features each, so that any two may be one."""
    return randomise(DeepRNN(H, [Elman(H), GRU(H), Elman(H), GRU(H)], H, **options))


def x(net: DeepRNN) -> Tensor:
    return torch.randn(5, 3, H, dtype=net.dtype, generator=torch.Generator().manual_seed(1))


def one_layer(net: DeepRNN) -> None:
    net.layers[2] = net.layers[0]


def two_layers(net: DeepRNN) -> None:
    net.layers[2], net.layers[3] = net.layers[0], net.layers[1]


def one_weight(net: DeepRNN) -> None:
    net.layers[3].weight_hh = net.layers[1].weight_hh


def within_a_layer(net: DeepRNN) -> None:
    net.layers[0].weight_hh = net.layers[0].weight_xh


def with_the_output(net: DeepRNN) -> None:
    net.output.weight = net.layers[0].weight_xh
    net.layers[2].bias = net.output.bias


SHARINGS: dict[str, tuple[Callable[[DeepRNN], None], dict[str, str]]] = {
    "nothing": (lambda _: None, {}),
    "layer": (one_layer, {"layers.2": "layers.0"}),
    "layers": (two_layers, {"layers.2": "layers.0", "layers.3": "layers.1"}),
    "weight": (one_weight, {"layers.3.weight_hh": "layers.1.weight_hh"}),
    "within": (within_a_layer, {"layers.0.weight_hh": "layers.0.weight_xh"}),
    "output": (with_the_output, {"output.weight": "layers.0.weight_xh", "output.bias": "layers.2.bias"}),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("sharing", SHARINGS)
def test_what_is_shared_stays_shared(tmp_path: Path, sharing: str, dtype: torch.dtype) -> None:
    change, places = SHARINGS[sharing]
    net = build(dtype=dtype)
    change(net)
    net.save(tmp_path)
    loaded = DeepRNN.load(tmp_path)
    assert shared_places(net) == shared_places(loaded) == places
    assert [name for name, _ in loaded.named_parameters()] == [name for name, _ in net.named_parameters()]
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert set(file.keys()) == {name for name, _ in net.named_parameters()}
    nets = (net, loaded)
    for each in nets:
        optimizer = torch.optim.SGD(each.parameters(), lr=0.01)
        for _ in range(2):
            optimizer.zero_grad()
            each(x(net)).output.float().square().sum().backward()
            optimizer.step()
    for (name, mine), theirs in zip(net.state_dict().items(), loaded.state_dict().values(), strict=True):
        torch.testing.assert_close(theirs, mine, msg=name)


def test_a_shared_activation_stays_shared(tmp_path: Path) -> None:
    phi = nn.PReLU(init=0.3)
    net = DeepRNN(3, [Elman(4, phi), GRU(4), Elman(4, phi)])
    with pytest.warns(UserWarning, match="is the function PReLU"):
        net.save(tmp_path)
    given = {"layers.0.activation": nn.PReLU(), "layers.2.activation": nn.PReLU()}
    loaded = DeepRNN.load(tmp_path, functions=given)
    assert shared_places(loaded) == {"layers.2.activation": "layers.0.activation"}
    assert loaded.cells[2].activation is loaded.cells[0].activation is given["layers.0.activation"]
    assert given["layers.0.activation"].weight.item() == pytest.approx(0.3)


NAMES = [name for name, _ in build().named_parameters()]


@given(frozen=st.sets(st.sampled_from(NAMES)))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_frozen_stays_frozen(tmp_path: Path, frozen: set[str]) -> None:
    net = build()
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name not in frozen)
    net.save(tmp_path)
    assert {name for name, p in DeepRNN.load(tmp_path).named_parameters() if not p.requires_grad} == frozen


@pytest.mark.filterwarnings("ignore:.*carries no digest")
def test_a_net_saved_before_there_was_sharing_or_freezing_is_read(tmp_path: Path) -> None:
    net = build()
    net.save(tmp_path)
    edit(tmp_path, shared=None, frozen=None)
    loaded = DeepRNN.load(tmp_path)
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    assert torch.equal(loaded(x(net)).hidden[-1], net(x(net)).hidden[-1])


def test_saving_draws_nothing_and_changes_nothing(tmp_path: Path) -> None:
    net, before = build(), torch.get_rng_state()
    state = {name: (id(p), p.clone()) for name, p in net.named_parameters()}
    net.save(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(id(p) == state[name][0] and torch.equal(p, state[name][1]) for name, p in net.named_parameters())


class Doubled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def layer(net: DeepRNN) -> nn.Module:
    return net.layers[1]


REMEDIED: dict[str, tuple[Callable[[DeepRNN], Any], str]] = {
    "pruned": (lambda net: prune.l1_unstructured(layer(net), "weight_hh", 0.5), "layers.1.weight_hh is pruned"),
    "pruned-output": (lambda net: prune.l1_unstructured(net.output, "weight", 0.5), "output.weight is pruned"),
    "weight-norm": (
        lambda net: parametrizations.weight_norm(layer(net), "weight_xh"),
        "a parametrization (WeightNorm)",
    ),
    "weight-norm-of-old": (lambda net: nn.utils.weight_norm(layer(net), "weight_xh"), "is under weight_norm"),
    "spectral": (
        lambda net: parametrizations.spectral_norm(layer(net), "weight_hh"),
        "a parametrization (SpectralNorm)",
    ),
    "spectral-of-old": (lambda net: nn.utils.spectral_norm(layer(net), "weight_hh"), "is under spectral_norm"),
    "orthogonal": (lambda net: parametrizations.orthogonal(net.layers[0], "weight_hh"), "(Orthogonal)"),
    "own": (lambda net: parametrize.register_parametrization(layer(net), "bias", Doubled()), "(Doubled)"),
    "mixed-dtypes": (lambda net: layer(net).double(), "layers.1.weight_xh is torch.float64, but its bottom layer is"),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")  # that torch has new ways
@pytest.mark.parametrize("case", REMEDIED)
def test_what_would_not_load_is_refused_with_a_remedy_that_helps(tmp_path: Path, case: str) -> None:
    change, message = REMEDIED[case]
    net = build().eval()
    change(net)
    right = net(x(net)).hidden[-1]
    with pytest.raises(ValueError, match="the net can't be saved") as caught:
        net.save(tmp_path / "net")
    assert message in str(caught.value)
    assert not (tmp_path / "net").exists()
    remedy = str(caught.value).splitlines()[-1].split(": ", 1)[1].removesuffix(".")
    eval(remedy, {"net": net, "torch": torch})
    net.save(tmp_path / "net")
    torch.testing.assert_close(DeepRNN.load(tmp_path / "net").eval()(x(net)).hidden[-1], right)


def overlap(net: DeepRNN) -> None:
    net.output.weight.data = net.layers[0].weight_xh.data.T


def flat(net: DeepRNN) -> None:
    vector = nn.utils.parameters_to_vector(net.parameters()).detach()
    nn.utils.vector_to_parameters(vector, net.parameters())


REFUSED: dict[str, tuple[Callable[[DeepRNN], Any], str]] = {
    "module": (lambda net: net.add_module("extra", nn.Linear(2, 2)), "it holds extra.bias and others, which a DeepRNN"),
    "buffer": (lambda net: net.layers[0].register_buffer("seen", torch.zeros(2)), "it holds layers.0.seen, which"),
    "output": (lambda net: setattr(net, "output", nn.Sequential(nn.Linear(H, H))), "output.bias"),
    "shape": (lambda net: setattr(net.layers[0], "bias", nn.Parameter(torch.zeros(1))), "layers.0.bias has shape (1,)"),
    "no-values": (lambda net: net.to("meta"), "is on the meta device, it has no values"),
    "overlap": (overlap, "layers.0.weight_xh and output.weight overlap in memory without being one parameter"),
    "option": (lambda net: setattr(net, "dropout", 2.0), "net.dropout must be in [0, 1), got 2.0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_not_load_is_refused(tmp_path: Path, case: str) -> None:
    change, message = REFUSED[case]
    net = build()
    change(net)
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is asserted
        net.save(tmp_path / "net")
    assert message in str(caught.value)
    assert not (tmp_path / "net").exists()


def test_parameters_within_one_vector_are_saved(tmp_path: Path) -> None:
    net = build()
    flat(net)
    net.save(tmp_path)
    assert torch.equal(DeepRNN.load(tmp_path)(x(net)).hidden[-1], net(x(net)).hidden[-1])


def edit(directory: Path, **changes: Any) -> None:
    """As a person edits it, who leaves the digests out; None for an entry that is taken out."""
    path, weights = directory / "config.json", directory / "model.safetensors"
    config = json.loads(path.read_text()) | changes | {"digest": None}
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))
    save_file(load_file(weights), weights)


NONSENSE: dict[str, dict[str, Any]] = {
    "unknown-place": {"shared": {"layers.9": "layers.0"}},
    "unknown-source": {"shared": {"layers.2": "layers.9"}},
    "another-kind": {"shared": {"layers.1": "layers.0"}},
    "another-shape": {"shared": {"layers.1.bias": "layers.0.bias"}},
    "circle": {"shared": {"layers.0": "layers.2", "layers.2": "layers.0"}},
    "itself": {"shared": {"layers.0": "layers.0"}},
    "number": {"shared": {"layers.2": 0}},
    "list": {"shared": ["layers.2"]},
    "frozen-nothing": {"frozen": ["layers.9.bias"]},
    "frozen-number": {"frozen": [1]},
    "frozen-lists": {"frozen": [["layers.0.bias"]]},
    "frozen-string": {"frozen": "layers.0.bias"},
}


@pytest.mark.filterwarnings("ignore:.*carries no digest")
@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_in_a_configuration_is_refused(tmp_path: Path, case: str) -> None:
    build().save(tmp_path)
    edit(tmp_path, **NONSENSE[case])
    with pytest.raises(ValueError, match=r"config\.json|model\.safetensors"):
        DeepRNN.load(tmp_path)


def test_numbers_of_every_kind_are_saved_as_pythons_own(tmp_path: Path) -> None:
    cells = [
        GRU(np.int32(H), zoneout=np.float32(0.25), bias=0),
        LSTM(torch.tensor(H), zoneout_cell=0, layer_norm=np.bool_(True)),
    ]
    options = {"dropout": np.float64(0.5), "residual": 1, "batch_first": np.bool_(True), "one_hot": 0}
    net = DeepRNN(np.int64(3), cells, np.uint8(2), **options)
    net.save(tmp_path)
    loaded = DeepRNN.load(tmp_path)
    assert loaded.cells == net.cells
    assert (loaded.dropout, loaded.residual, loaded.batch_first, loaded.one_hot) == (0.5, True, True, False)
    net.residual = 0
    net.save(tmp_path)
    assert DeepRNN.load(tmp_path).residual is False


class Named(DeepRNN):
    """A net of one's own that takes other arguments."""

    def __init__(self, symbols: int) -> None:
        super().__init__(symbols, [GRU(4)], symbols)


class Extended(DeepRNN):
    """A net of one's own that holds more."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.scale = nn.Parameter(torch.ones(2))


def test_nets_of_ones_own(tmp_path: Path) -> None:
    Named(5).save(tmp_path / "named")
    assert type(DeepRNN.load(tmp_path / "named")) is DeepRNN
    with pytest.raises(ValueError, match="does not describe a DeepRNN"):
        Named.load(tmp_path / "named")
    Extended(5, [GRU(4)]).save(tmp_path / "extended")
    assert Extended.load(tmp_path / "extended").scale.shape == (2,)
    with pytest.raises(ValueError, match=r"not expected \['scale'\]"):
        DeepRNN.load(tmp_path / "extended")


@contextmanager
def default_dtype(dtype: torch.dtype) -> Generator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def test_what_torch_defaults_to_does_not_matter(tmp_path: Path) -> None:
    net = build()
    with default_dtype(torch.float64), torch.device("meta"):
        net.save(tmp_path)
        loaded = DeepRNN.load(tmp_path)
    assert (loaded.dtype, loaded.device.type) == (torch.float32, "cpu")
    assert torch.equal(loaded(x(net)).hidden[-1], net(x(net)).hidden[-1])
    assert copy.deepcopy(loaded).to(torch.float64)(x(net).double()).output.dtype == torch.float64
