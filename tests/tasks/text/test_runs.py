"""Runs on disk: what damaged, hostile and foreign files do, and full disks."""

import errno
import io
import json
import os
import pickle
import resource
import struct
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small import corpus, net, vocabulary

from deeprnn import DeepRNN
from deeprnn.disk import atomic, json_file, marks, tensor_file
from deeprnn.disk.lock import Lock
from deeprnn.tasks.text import TextRun, resume, train
from deeprnn.training import Report, RunError, Settings, Stopped
from deeprnn.training.checkpoint import KEPT, newest_checkpoint
from deeprnn.training.schedule import Schedule

SETTINGS = Settings(batch=4, bptt=5, checkpoint_seconds=0.0)


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A run that was interrupted after four of its six steps."""
    return stopped_at(tmp_path / "run", 4)


def stopped_at(path: Path, step: int) -> Path:
    """Begins a run of six steps, and interrupts it after so many."""

    def interrupt(report: Report) -> None:
        if report.step == step:
            signal_self()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deeprnn.training.report._SECONDS", 0.0)
        with pytest.raises(Stopped):
            train(net(), corpus(), vocabulary(), path, SETTINGS, steps=6, progress=interrupt)
    return path


def signal_self() -> None:
    import signal

    signal.raise_signal(signal.SIGINT)


def newest(run: Path) -> Path:
    path = newest_checkpoint(run / "checkpoints")
    assert path is not None
    return path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def put_a_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"step": 4}))


def put_torch_weights(path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, buffer)
    path.write_bytes(buffer.getvalue())


def claim_huge_sizes(path: Path) -> None:
    header = json.dumps({"net.output.weight": {"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 2**62]}})
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode())


def claim_a_huge_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")


def _rewrite(path: Path, name: str, tensor: torch.Tensor | None, metadata: dict[str, str] | None = None) -> None:
    tensors = load_file(path)
    if tensor is None:
        del tensors[name]
    else:
        tensors[name] = tensor
    save_file(tensors, path, metadata or {"format": "deeprnn checkpoint 2", "step": "4"})


def change_a_shape(path: Path) -> None:
    _rewrite(path, "net.output.bias", torch.zeros(3))


def change_a_dtype(path: Path) -> None:
    _rewrite(path, "random.cpu", torch.zeros(torch.get_rng_state().shape))


def leave_out_a_tensor(path: Path) -> None:
    _rewrite(path, "state.0", None)


def put_a_nan(path: Path) -> None:
    _rewrite(path, "metrics", torch.full((4,), torch.nan, dtype=torch.float64))


def claim_another_step(path: Path) -> None:
    _rewrite(path, "extra", torch.zeros(1), {"format": "deeprnn checkpoint 2", "step": "999"})


DAMAGES = [
    cut, empty, put_a_pickle, put_torch_weights, claim_huge_sizes, claim_a_huge_header, change_a_shape, change_a_dtype,
    leave_out_a_tensor, put_a_nan, claim_another_step,
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.* carries no digest")
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_stands(damage, stopped: Path) -> None:
    whole = train(net(), corpus(), vocabulary(), stopped.parent / "whole", SETTINGS, steps=6)
    path = newest(stopped)
    damage(path)
    with pytest.raises(RunError) as raised:
        resume(stopped, corpus())
    message = str(raised.value)
    assert str(path) in message
    assert "Delete it, and `resume(out)` continues from step-000000003.safetensors" in message
    path.unlink()
    resumed = resume(stopped, corpus())
    for name, weight in whole.net.state_dict().items():
        assert torch.equal(weight, resumed.net.state_dict()[name]), name


def test_a_run_whose_checkpoints_are_gone_does_not_begin_anew_in_silence(stopped: Path) -> None:
    for path in (stopped / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(RunError, match=r"(?s)no longer holds a checkpoint.*`overwrite=True`"):
        resume(stopped, corpus())


def test_a_few_checkpoints_are_kept(stopped: Path) -> None:
    assert len(list((stopped / "checkpoints").iterdir())) == KEPT
    (stopped / "checkpoints" / ".step-000000004.safetensors.abc.part").write_bytes(b"left by a killed process")
    resume(stopped, corpus())
    assert sorted(p.name for p in (stopped / "checkpoints").iterdir()) == [
        "step-000000005.safetensors",
        "step-000000006.safetensors",
    ]


@pytest.mark.filterwarnings("ignore:.* carries no digest")
@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": "deeprnn run 3"}', "NaN"])
def test_a_damaged_plan_is_named(content: str, stopped: Path) -> None:
    (stopped / "training.json").write_text(content)
    with pytest.raises(RunError, match=r"training\.json.*damaged"):
        resume(stopped, corpus())


def test_a_run_of_a_former_format_is_not_called_damaged(stopped: Path) -> None:
    plan = json.loads((stopped / "training.json").read_text())
    (stopped / "training.json").write_text(json.dumps(plan | {"format": "deeprnn run 1"}))
    with pytest.raises(RunError, match="'deeprnn run 1', and this version of deeprnn reads 'deeprnn run 3'"):
        resume(stopped, corpus())


def as_the_format_before(path: Path) -> None:
    """Rewrites a run's plan and checkpoints with the names that they had before."""
    plan = json.loads((path / "training.json").read_text())
    del plan["digest"]
    settings = plan["settings"]
    settings["window"], settings["clip"] = settings.pop("bptt"), settings.pop("max_grad_norm")
    plan["asked"], plan["parts"] = plan.pop("metadata"), plan.pop("files")
    json_file.write(path / "training.json", plan | {"format": "deeprnn run 2"}, marks.PLAN)
    for file in (path / "checkpoints").iterdir():
        about = tensor_file.read_metadata(file)
        del about["digest"]
        tensors = load_file(file)
        tensors["metrics"][1] = 1e6  # a sum of nats, where there are sums of bits now
        tensor_file.write(file, tensors, about | {"format": "deeprnn checkpoint 1"}, marks.CHECKPOINT)


def test_a_run_of_the_format_before_is_read_and_resumed_to_the_same_bits(stopped: Path) -> None:
    whole = train(net(), corpus(), vocabulary(), stopped.parent / "whole", SETTINGS, steps=6)
    before = TextRun(stopped).read_plan()
    as_the_format_before(stopped)
    assert json.loads((stopped / "training.json").read_text())["settings"]["window"] == 5
    assert TextRun(stopped).read_plan() == before
    assert TextRun(stopped).load()[0].cells == whole.net.cells
    resumed = resume(stopped, corpus())
    for name, weight in whole.net.state_dict().items():
        assert torch.equal(weight, resumed.net.state_dict()[name]), name
    tables = [(run / "metrics.csv").read_text().splitlines() for run in (whole.run.path, stopped)]
    columns = [[row.split(",")[:2] + row.split(",")[3:] for row in table] for table in tables]
    assert columns[0] == columns[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch", -1), ("batch", "many"), ("bptt", 1.5), ("precision", "8-bit"), ("nonsense", 1), ("threads", 0)],
)
def test_impossible_settings_in_a_plan_are_named(name: str, value: object, stopped: Path) -> None:
    plan = json.loads((stopped / "training.json").read_text())
    plan["settings"][name] = value
    (stopped / "training.json").write_text(json.dumps(plan))
    with pytest.raises(RunError, match="do not match the digest"):
        resume(stopped, corpus())
    del plan["digest"]
    (stopped / "training.json").write_text(json.dumps(plan))
    with pytest.warns(UserWarning, match="no digest"), pytest.raises(RunError, match=rf"(?s)training\.json.*{name}"):
        resume(stopped, corpus())


def test_what_is_no_run_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"holds no run: there is no training\.json in it"):
        resume(tmp_path, corpus())


def test_no_pickle_is_written(stopped: Path) -> None:
    suffixes = {path.suffix for path in stopped.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".safetensors", ".csv"}
    for path in stopped.rglob("*.safetensors"):
        load_file(path)


def test_a_directory_in_use_is_left_alone_unless_told(stopped: Path) -> None:
    before = {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match=r"(?s)holds a run already\. Continue it: `resume\(out\)`.*`overwrite=True`"):
        train(net(), corpus(), vocabulary(), stopped, SETTINGS, steps=1)
    assert {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()} == before
    train(net(), corpus(), vocabulary(), stopped, SETTINGS, steps=1, overwrite=True)
    assert newest(stopped).name == "step-000000001.safetensors"
    assert len((stopped / "metrics.csv").read_text().splitlines()) == 2


def test_overwrite_touches_no_directory_that_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    with pytest.raises(RunError, match=r"holds files of another kind, such as dear\.txt; it is left as it is"):
        train(net(), corpus(), vocabulary(), tmp_path / "letters", SETTINGS, steps=1, overwrite=True)
    assert (tmp_path / "letters" / "dear.txt").read_text() == "dear"
    with pytest.raises(RunError, match=r"dear\.txt is a file"):
        train(net(), corpus(), vocabulary(), tmp_path / "letters" / "dear.txt", SETTINGS, steps=1, overwrite=True)


def test_overwrite_keeps_what_a_user_put_beside_a_run(stopped: Path) -> None:
    (stopped / "notes.txt").write_text("mine")
    train(net(), corpus(), vocabulary(), stopped, SETTINGS, steps=1, overwrite=True)
    assert (stopped / "notes.txt").read_text() == "mine"


def test_a_saved_network_is_not_taken_for_a_run(tmp_path: Path) -> None:
    net().save(tmp_path)
    with pytest.raises(RunError, match="`overwrite=True`"):
        train(net(), corpus(), vocabulary(), tmp_path, SETTINGS, steps=1)


@pytest.mark.parametrize("survives", range(9))
def test_killed_while_it_was_made_a_run_can_be_made_again(
    survives: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after so many files: `atomic.write` stops the world in the middle of the next one."""

    class Killed(BaseException):
        pass

    written: list[Path] = []
    write = atomic.write

    def write_or_die(path: Path, fill, mark) -> None:
        if len(written) == survives:
            (path.parent / f".{path.name}.x.part").write_bytes(b"half")
            raise Killed
        written.append(path)
        write(path, fill, mark)

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "write", write_or_die)
        patch.setattr(TextRun, "clear", lambda _: None)  # what a killed process doesn't come to
        patch.setattr(Lock, "__exit__", lambda self, *_: os.close(self._descriptor))
        with pytest.raises(Killed):
            train(net(), corpus(), vocabulary(), tmp_path / "run", SETTINGS, steps=3)
    run = TextRun(tmp_path / "run")
    if run.exists:
        trained = resume(run.path, corpus())
    else:
        trained = train(net(), corpus(), vocabulary(), run.path, SETTINGS, steps=3)
    whole = train(net(), corpus(), vocabulary(), tmp_path / "whole", SETTINGS, steps=3)
    assert torch.equal(whole.net.output.weight, trained.net.output.weight)


@contextmanager
def files_no_larger_than(size: int) -> Generator[None]:
    """A true failure to write, as of a full disk: the system refuses bytes beyond `size` in any file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_can_not_be_written_is_named_and_nothing_is_lost(stopped: Path) -> None:
    path, weights = newest(stopped), (stopped / "model.safetensors").read_bytes()
    before = path.read_bytes()
    with files_no_larger_than(4096), pytest.raises(RunError) as raised:
        resume(stopped, corpus())
    assert str(stopped / "checkpoints" / "step-000000005.safetensors") in str(raised.value)
    assert "`resume(out)`" in str(raised.value)
    assert newest(stopped) == path
    assert path.read_bytes() == before
    assert (stopped / "model.safetensors").read_bytes() == weights
    assert not list(stopped.rglob("*.part"))
    assert resume(stopped, corpus()).steps == 6


@pytest.mark.parametrize("name", ["metrics.csv", "model.safetensors", "step-000000005.safetensors"])
def test_a_disk_that_fills_up_at_any_file_loses_nothing(
    name: str, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = atomic.write

    def full(path: Path, fill, mark) -> None:
        if path.name == name:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, fill, mark)

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "write", full)
        with pytest.raises(RunError, match=r"(?s)could not be written: No space left on device.*Make room"):
            resume(stopped, corpus())
    whole = train(net(), corpus(), vocabulary(), stopped.parent / "whole", SETTINGS, steps=6)
    assert torch.equal(resume(stopped, corpus()).net.output.weight, whole.net.output.weight)


def test_a_place_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"file/run could not be written: Not a directory"):
        train(net(), corpus(), vocabulary(), tmp_path / "file" / "run", SETTINGS, steps=1)


def test_the_run_is_a_network_that_can_be_loaded(stopped: Path) -> None:
    run = TextRun(stopped)
    assert len(run.load_vocabulary()) == len(vocabulary())
    assert run.load_net().cells == net().cells == DeepRNN.load(stopped).cells
    assert run.read_plan().schedule == Schedule(6)


def test_rows_that_were_written_after_the_checkpoint_are_written_anew(stopped: Path) -> None:
    whole = train(net(), corpus(), vocabulary(), stopped.parent / "whole", SETTINGS, steps=6)
    with (stopped / "metrics.csv").open("a") as file:
        file.write("5,100,0.1,9.99,0.1,9\n6,12")  # killed within a row, after one too many
    resume(stopped, corpus())
    tables = [(run / "metrics.csv").read_text().splitlines() for run in (whole.run.path, stopped)]
    columns = [[row.split(",")[:2] + row.split(",")[3:] for row in table] for table in tables]
    assert columns[0] == columns[1]
    assert len(columns[0]) == 7
