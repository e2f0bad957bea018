"""A net on disk: what comes back, and what damaged, hostile or impossible files do."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from compare import randomise
from safetensors.torch import load_file, save_file

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


_CUT_SHORT = """
import os, sys, torch
from deeprnn import GRU, DeepRNN
path = sys.argv[1]
DeepRNN(64, [GRU(256)]).save(path)
net = DeepRNN.load(path)
os.truncate(os.path.join(path, "model.safetensors"), 100)
assert net(torch.randn(5, 3, 64)).hidden[0].isfinite().all()
assert {weight.data_ptr() % 64 for weight in net.parameters()} == {0}
"""


def test_a_loaded_net_lives_in_memory_of_its_own(tmp_path: Path) -> None:
    """Not in its file's, which another program may cut short, and whose alignment is another."""
    done = subprocess.run(
        [sys.executable, "-c", _CUT_SHORT, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_net_that_was_saved_before_there_was_one_hot_is_read(tmp_path: Path) -> None:
    DeepRNN(3, [GRU(4)], one_hot=True).save(tmp_path)
    assert DeepRNN.load(tmp_path).one_hot
    config = json.loads((tmp_path / "config.json").read_text())
    del config["one_hot"], config["digest"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(load_file(tmp_path / "model.safetensors"), tmp_path / "model.safetensors")
    with pytest.warns(UserWarning, match="carries no digest") as notes:
        assert not DeepRNN.load(tmp_path).one_hot
    assert len(notes) == 2


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
    """As a person edits it, who leaves the digest out."""
    path = directory / "config.json"
    content = json.loads(path.read_text()) | changes
    del content["digest"]
    path.write_text(json.dumps(content))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def huge_header(path: Path) -> None:
    header = json.dumps({"layers.0.weight_xh": {"dtype": "F32", "shape": [1 << 40, 4], "data_offsets": [0, 16 << 40]}})
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + b"\0" * 64)


def change_a_size(path: Path) -> None:
    path.write_text(path.read_text().replace('"dropout": 0.1', '"dropout": 0.2'))


def put_weights_of_another(directory: Path) -> None:
    other = DeepRNN(6, net().cells, 2, dropout=0.3, input_to_all=True, batch_first=True)
    other.save(directory / "other")
    (directory / "other" / "model.safetensors").replace(directory / "model.safetensors")


DAMAGE = {
    "no-config": (lambda d: (d / "config.json").unlink(), FileNotFoundError, "config.json does not exist"),
    "no-weights": (lambda d: (d / "model.safetensors").unlink(), FileNotFoundError, "model.safetensors does not exist"),
    "config-truncated": (lambda d: truncate(d / "config.json"), ValueError, "config.json is not valid JSON"),
    "config-binary": (
        lambda d: (d / "config.json").write_bytes(b"\xff\xfe\0"),
        ValueError,
        "config.json is not valid JSON",
    ),
    "config-foreign": (lambda d: (d / "config.json").write_text("[1]"), ValueError, "is not a JSON object"),
    "config-huge": (lambda d: edit(d, input_size=1 << 60), ValueError, "sizes are 0 to"),
    "config-large": (lambda d: edit(d, input_size=1 << 24), ValueError, "was not saved with the config"),
    "config-negative": (lambda d: edit(d, input_size=-4), ValueError, "sizes are 0 to .*, not -4"),
    "config-nonsense": (lambda d: edit(d, dropout="much"), ValueError, "does not describe a DeepRNN"),
    "config-int32": (lambda d: edit(d, dtype="int32"), ValueError, "dtype is 'int32', expected float32"),
    "config-unknown": (lambda d: edit(d, dropuot=0.5), ValueError, "entries that this version does not know: dropuot"),
    "config-kind": (lambda d: edit(d, residual=1), ValueError, "residual is 1"),
    "config-deep": (lambda d: (d / "config.json").write_text("[" * 200_000), ValueError, "nested too deep"),
    "config-nan": (lambda d: edit(d, dropout=float("nan")), ValueError, "NaN is not a JSON number"),
    "config-edited": (lambda d: change_a_size(d / "config.json"), ValueError, "do not match the digest"),
    "weights-of-another": (put_weights_of_another, ValueError, "not saved with the config.json beside it"),
    "config-dtype": (lambda d: edit(d, dtype="save"), ValueError, "does not describe a DeepRNN"),
    "config-cell": (lambda d: edit(d, layers=[{"cell": "System"}]), ValueError, "names no known cell"),
    "config-layers": (lambda d: edit(d, layers=7), ValueError, "layers is 7"),
    "config-option": (
        lambda d: edit(d, layers=[{"cell": "GRU", "shell": 1}]),
        ValueError,
        r"layers\[0\] is not a valid GRU",
    ),
    "weights-truncated": (lambda d: truncate(d / "model.safetensors"), ValueError, "not a complete safetensors file"),
    "weights-empty": (
        lambda d: (d / "model.safetensors").write_bytes(b""),
        ValueError,
        "not a complete safetensors file",
    ),
    "weights-pickle": (
        lambda d: (d / "model.safetensors").write_bytes(pickle.dumps({})),
        ValueError,
        "not a complete safet",
    ),
    "weights-huge": (lambda d: huge_header(d / "model.safetensors"), ValueError, "not a complete safetensors file"),
    "weights-foreign": (lambda d: save_file({"a": torch.ones(2)}, d / "model.safetensors"), ValueError, "does not fit"),
}


@pytest.mark.filterwarnings("ignore:.* carries no digest")
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files(tmp_path: Path, damage: str) -> None:
    net().save(tmp_path)
    harm, error, message = DAMAGE[damage]
    harm(tmp_path)
    with pytest.raises(error, match=message):
        DeepRNN.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [("config.json", b'{"model_type": "llama"}'), ("model.safetensors", b"weights of somebody else")],
)
def test_another_librarys_files_are_never_replaced(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileExistsError, match=rf"{name} exists, and was not written by deeprnn"):
        net().save(tmp_path)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, content)]


def test_a_link_is_never_replaced(tmp_path: Path) -> None:
    net().save(tmp_path / "one")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "config.json").symlink_to(tmp_path / "one" / "config.json")
    with pytest.raises(FileExistsError, match="is a symbolic link"):
        net().save(tmp_path / "two")


def test_equal_networks_give_equal_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        net().save(tmp_path / name, metadata={"b": "1", "a": "2"})
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


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

    monkeypatch.setattr("deeprnn.disk.tensor_file.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        randomise(net(), 9).save(tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
