"""A run's directory: other people's files in it, and other processes."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small import corpus, net, vocabulary
from torch.nn.utils import prune

from deeprnn.disk import lock
from deeprnn.disk.file_warning import FileWarning
from deeprnn.tasks.text import TextRun, resume, train
from deeprnn.training import Diverged, RunError, Settings
from deeprnn.training.checkpoint import newest_checkpoint
from deeprnn.training.machine import Machine, Segment, append_segment

SETTINGS = Settings(batch=4, bptt=5, checkpoint_seconds=0.0)
FOREIGN = {
    "config.json": b'{"model_type": "llama", "note": "deeprnn 1"}',
    "model.safetensors": b"weights",
    "training.json": b'{"lr": 1}',
    "metrics.csv": b"step,loss\n1,2\n",
    "vocabulary.json": b'["a"]',
    "manifest.json": b'{"documents": []}',
    "evaluation.json": b'{"accuracy": 1}',
    "net.svg": b"<svg/>",
    "analysis.json": b"{}",
    "analysis.parquet": b"PAR1",
    "explorer.html": b"<html>",
    "checkpoints/step-000000009.safetensors": b"mine",
    "checkpoints/epoch_99.ckpt": b"mine",
    ".deeprnn.lock": b"mine",
}


def begin(path: Path, *, overwrite: bool = False, steps: int = 2) -> TextRun:
    return train(net(), corpus(), vocabulary(), path, SETTINGS, steps=steps, overwrite=overwrite).run


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("overwrite", [False, True], ids=["plain", "overwrite"])
@pytest.mark.parametrize("name", FOREIGN)
def test_a_directory_with_somebody_elses_file_is_left_as_it_is(name: str, overwrite: bool, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(FOREIGN[name])
    with pytest.raises(RunError, match=Path(name).name.replace(".", r"\.")):
        begin(tmp_path, overwrite=overwrite)
    assert contents(tmp_path) == {name: FOREIGN[name]}


@pytest.mark.parametrize("name", [name for name in FOREIGN if name != "checkpoints/epoch_99.ckpt"])
def test_a_run_one_of_whose_files_is_somebody_elses_is_not_replaced(name: str, tmp_path: Path) -> None:
    run = begin(tmp_path)
    before = contents(tmp_path)
    (tmp_path / name).write_bytes(FOREIGN[name])
    with pytest.raises(RunError, match=Path(name).name.replace(".", r"\.")):
        begin(run.path, overwrite=True)
    assert contents(tmp_path) == before | {name: FOREIGN[name]}


def test_what_lies_beside_a_runs_files_stays(tmp_path: Path) -> None:
    run = begin(tmp_path)
    mine = {"checkpoints/best.pt": b"mine", "notes.txt": b"mine", ".hidden.part": b"mine", "sub/net.svg": b"mine"}
    (tmp_path / "sub").mkdir()
    for name, content in mine.items():
        (tmp_path / name).write_bytes(content)
    begin(run.path, overwrite=True)
    resume(run.path, corpus())
    assert contents(tmp_path).items() >= mine.items()


def test_links_are_not_followed(tmp_path: Path) -> None:
    run = begin(tmp_path / "run")
    elsewhere = tmp_path / "elsewhere"
    run.checkpoints.rename(elsewhere)
    run.checkpoints.symlink_to(elsewhere)
    before = contents(elsewhere)
    for call in (lambda: begin(run.path, overwrite=True), lambda: resume(run.path, corpus())):
        with pytest.raises(RunError, match="not a directory of its own but a link"):
            call()
    assert contents(elsewhere) == before
    run.checkpoints.unlink()
    elsewhere.rename(run.checkpoints)
    (run.path / "model.safetensors").rename(tmp_path / "model")
    (run.path / "model.safetensors").symlink_to(tmp_path / "model")
    with pytest.raises(RunError, match=r"model\.safetensors is a symbolic link"):
        begin(run.path, overwrite=True)
    assert (tmp_path / "model").exists()


def test_a_saved_network_beside_an_empty_directory_is_not_replaced_unasked(tmp_path: Path) -> None:
    net().save(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(RunError, match="`overwrite=True`"):
        begin(tmp_path)


HOLD = """
import sys, time
from pathlib import Path
from deeprnn.disk.lock import Lock
with Lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_while_another_process_writes_nobody_else_does(tmp_path: Path) -> None:
    run = begin(tmp_path)
    before = contents(tmp_path)
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for state in (signal.SIGCONT, signal.SIGSTOP):
            holder.send_signal(state)
            for call in (lambda: begin(run.path, overwrite=True), lambda: resume(run.path, corpus())):
                with pytest.raises(RunError, match=rf"is being written by process {holder.pid} on .* since 20"):
                    call()
        assert {name: content for name, content in contents(tmp_path).items() if name != lock.NAME} == before
        run.load()  # reading is open to all
        holder.kill()
    assert (tmp_path / lock.NAME).exists()  # which hinders nobody
    resume(run.path, corpus())
    assert not (tmp_path / lock.NAME).exists()


def test_a_lock_tells_whether_its_directory_is_still_there(tmp_path: Path) -> None:
    with lock.Lock(tmp_path / "run") as held:
        assert held.is_in_place
        (tmp_path / "run").rename(tmp_path / "moved")
        assert not held.is_in_place
        with lock.Lock(tmp_path / "run") as other:
            assert other.is_in_place
            assert not held.is_in_place
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_moved_while_it_is_trained_is_not_made_again_in_its_old_place(tmp_path: Path) -> None:
    path, moved = tmp_path / "run", tmp_path / "moved"

    def move(_: object) -> None:
        if not moved.exists():
            path.rename(moved)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deeprnn.training.report._SECONDS", 0.0)
        with pytest.raises(RunError, match="was moved, removed or replaced"):
            train(net(), corpus(), vocabulary(), path, SETTINGS, steps=5, progress=move)
    assert not (path / "training.json").exists()
    whole = begin(tmp_path / "whole", steps=5)
    resumed = resume(moved, corpus())
    assert torch.equal(whole.load_net().output.weight, resumed.net.output.weight)


def test_names_are_claimed_once_each(tmp_path: Path) -> None:
    assert [lock.claim_free_name(tmp_path / "runs", "a").name for _ in range(3)] == ["a", "a-2", "a-3"]


@pytest.mark.parametrize("steps", [1, 3])
def test_weights_that_are_not_finite_are_never_saved(steps: int, tmp_path: Path) -> None:
    settings = Settings(batch=4, bptt=5, learning_rate=1e39, warm_up=0, checkpoint_seconds=0.0)
    with pytest.raises(Diverged, match="no longer finite"):
        train(net(), corpus(), vocabulary(), tmp_path, settings, steps=steps)
    newest = newest_checkpoint(tmp_path / "checkpoints")
    assert newest is not None
    assert newest.name == "step-000000000.safetensors"
    loaded, _ = TextRun(tmp_path).load()
    assert all(weight.isfinite().all() for weight in loaded.parameters())


def test_files_of_two_runs_are_not_mixed(tmp_path: Path) -> None:
    one, other = begin(tmp_path / "one"), tmp_path / "other"
    settings = Settings(batch=4, bptt=5, seed=1, checkpoint_seconds=0.0)
    train(net(1), corpus(), vocabulary(), other, settings, steps=2)
    for name in ("model.safetensors", "checkpoints/step-000000002.safetensors"):
        mine = (one.path / name).read_bytes()
        (one.path / name).write_bytes((other / name).read_bytes())
        with pytest.raises(RunError, match=f"{Path(name).name} belongs to another run"):
            resume(one.path, corpus())
        (one.path / name).write_bytes(mine)
    resume(one.path, corpus())


def test_texts_that_a_program_gives_again_are_compared(tmp_path: Path) -> None:
    from deeprnn.tasks.text import Corpus, TextError

    run = begin(tmp_path)
    other = Corpus.from_texts(["to be or not to be " * 9], held_out=["x"])
    with pytest.raises(TextError, match="no longer those"):
        resume(run.path, other)


MACHINE = Machine("0.1.0", "2.13.0", "a processor", "AVX2", "avx2", ("native",), "cpu")
ELSEWHERE = Machine("0.1.0", "2.14.0", "a processor", "AVX2", "avx2", ("native",), "cpu")


def test_segments_are_those_that_the_weights_went_through() -> None:
    first = append_segment((), 0, MACHINE)
    assert first == (Segment(0, MACHINE),)
    assert append_segment(first, 7, MACHINE) == first
    second = append_segment(first, 7, ELSEWHERE)
    assert second == (Segment(0, MACHINE), Segment(7, ELSEWHERE))
    assert append_segment(second, 7, MACHINE) == first  # killed before it saved anything
    assert append_segment(second, 9, MACHINE) == (*second, Segment(9, MACHINE))
    assert append_segment(second, 0, ELSEWHERE) == (Segment(0, ELSEWHERE),)


def test_continued_elsewhere_a_run_says_that_its_bits_differ(tmp_path: Path) -> None:
    from test_runs import stopped_at

    run = TextRun(stopped_at(tmp_path / "run", 4))
    content = json.loads(run.plan_file.read_text())
    content["machines"][0]["torch"] = "2.0.0"
    del content["digest"]
    run.plan_file.write_text(json.dumps(content))
    with pytest.warns(FileWarning, match=r"torch 2\.0\.0, now|carries no digest") as notes:
        assert resume(run.path, corpus()).steps == 6
    assert any("torch 2.0.0, now" in str(note.message) for note in notes)
    assert [segment.first for segment in run.read_plan().machines] == [0, 4]


def test_a_run_is_not_replaced_by_a_net_that_can_not_be_saved(tmp_path: Path) -> None:
    run = begin(tmp_path / "run")
    before = run.load_net().state_dict()
    pruned = net()
    prune.l1_unstructured(pruned.layers[0], "weight_hh", 0.5)
    with pytest.raises(ValueError, match="can't be saved"):
        train(pruned, corpus(), vocabulary(), run.path, SETTINGS, steps=2, overwrite=True)
    for name, weight in run.load_net().state_dict().items():
        assert torch.equal(weight, before[name])
