"""A net on disk: what comes back, and what damaged, hostile or impossible files do."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from compare import randomise
from safetensors.torch import save_file

from deeprnn import GRU, LSTM, DeepRNN, Elman


def net() -> DeepRNN:
    cells = [Elman(3, "softplus", zoneout=0.1), GRU(4, direction="both", learn_initial=True), LSTM(5, layer_norm=True)]
    return randomise(DeepRNN(6, cells, 2, dropout=0.1, input_to_all=True, batch_first=True)).eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_round_trip(tmp_path: Path, dtype: torch.dtype) -> None:
    saved = net().to(dtype)
    saved.save(tmp_path / "deep" / "net")
    loaded = DeepRNN.load(tmp_path / "deep" / "net").eval()
    assert loaded.cells == saved.cells
    assert (loaded.dropout, loaded.input_to_all, loaded.batch_first) == (0.1, True, True)
    x = torch.randn(2, 5, 6).to(dtype)
    assert torch.equal(loaded(x).output, saved(x).output)
    loaded.train()(x).output.float().sum().backward()
    assert all(p.grad is not None for p in loaded.parameters())


def test_a_net_that_was_saved_before_there_was_one_hot_is_read(tmp_path: Path) -> None:
    DeepRNN(3, [GRU(4)], one_hot=True).save(tmp_path)
    assert DeepRNN.load(tmp_path).one_hot
    config = json.loads((tmp_path / "config.json").read_text())
    del config["one_hot"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert not DeepRNN.load(tmp_path).one_hot


def test_saves_no_pickle(tmp_path: Path) -> None:
    net().save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    json.loads((tmp_path / "config.json").read_text())


def cube(a: torch.Tensor) -> torch.Tensor:
    return a**3


def test_functions_are_asked_for(tmp_path: Path) -> None:
    saved = DeepRNN(3, [GRU(4), Elman(3, cube)])
    with pytest.warns(UserWarning, match=r"layers\.1\.activation is the function cube"):
        saved.save(tmp_path)
    with pytest.raises(ValueError, match=r"layers\.1\.activation was the function 'cube'"):
        DeepRNN.load(tmp_path)
    loaded = DeepRNN.load(tmp_path, functions={"layers.1.activation": cube})
    x = torch.randn(4, 2, 3)
    assert torch.equal(loaded(x).hidden[1], saved(x).hidden[1])
    with pytest.raises(ValueError, match="has no such place"):
        DeepRNN.load(tmp_path, functions={"layers.1.activation": cube, "layers.7.activation": cube})


def edit(directory: Path, **changes: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def huge_header(path: Path) -> None:
    header = json.dumps({"layers.0.weight_xh": {"dtype": "F32", "shape": [1 << 40, 4], "data_offsets": [0, 16 << 40]}})
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + b"\0" * 64)


DAMAGE = {
    "no-config": (lambda d: (d / "config.json").unlink(), FileNotFoundError, "config.json does not exist"),
    "no-weights": (lambda d: (d / "model.safetensors").unlink(), FileNotFoundError, "model.safetensors does not exist"),
    "config-truncated": (lambda d: truncate(d / "config.json"), ValueError, "config.json is no JSON file"),
    "config-binary": (lambda d: (d / "config.json").write_bytes(b"\xff\xfe\0"), ValueError, "config.json is no JSON"),
    "config-foreign": (lambda d: (d / "config.json").write_text("[1]"), ValueError, "not of format"),
    "config-huge": (lambda d: edit(d, input_size=1 << 60), ValueError, "holds the size"),
    "config-large": (lambda d: edit(d, input_size=1 << 24), ValueError, "but its configuration says"),
    "config-negative": (lambda d: edit(d, input_size=-4), ValueError, "holds the size -4"),
    "config-nonsense": (lambda d: edit(d, dropout="much"), ValueError, "describes no DeepRNN"),
    "config-dtype": (lambda d: edit(d, dtype="save"), ValueError, "describes no DeepRNN"),
    "config-cell": (lambda d: edit(d, layers=[{"cell": "System"}]), ValueError, "names no known cell"),
    "config-layers": (lambda d: edit(d, layers=7), ValueError, "no list of cells"),
    "config-option": (lambda d: edit(d, layers=[{"cell": "GRU", "shell": 1}]), ValueError, r"layers\[0\] is no GRU"),
    "weights-truncated": (lambda d: truncate(d / "model.safetensors"), ValueError, "no whole safetensors file"),
    "weights-empty": (lambda d: (d / "model.safetensors").write_bytes(b""), ValueError, "no whole safetensors file"),
    "weights-pickle": (lambda d: (d / "model.safetensors").write_bytes(pickle.dumps({})), ValueError, "no whole safet"),
    "weights-huge": (lambda d: huge_header(d / "model.safetensors"), ValueError, "no whole safetensors file"),
    "weights-foreign": (lambda d: save_file({"a": torch.ones(2)}, d / "model.safetensors"), ValueError, "does not fit"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files(tmp_path: Path, damage: str) -> None:
    net().save(tmp_path)
    harm, error, message = DAMAGE[damage]
    harm(tmp_path)
    with pytest.raises(error, match=message):
        DeepRNN.load(tmp_path)


def test_wrong_shapes(tmp_path: Path) -> None:
    net().save(tmp_path)
    tensors = {name: torch.zeros(*p.shape, 1) for name, p in net().state_dict().items()}
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"model\.safetensors: .* but its configuration says"):
        DeepRNN.load(tmp_path)


def test_a_failed_save_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = net()
    first.save(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("deeprnn.saving.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        randomise(net(), 9).save(tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
