"""What is written, from what, and what is refused; most of it without a browser."""

import base64
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner
from viewing import show

from deeprnn import GRU, DeepRNN
from deeprnn.cli import app
from deeprnn.explorer import explore
from deeprnn.explorer.embedding import pack
from deeprnn.explorer.how import how_each_was_made
from deeprnn.explorer.texts import LENGTH, choose
from deeprnn.tasks.text import Bytes, Characters, Document

pytestmark = pytest.mark.slow

LARGEST = 15_000_000


def _copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def test_a_run_that_was_not_analyzed_is_refused_with_the_remedy(run: Path, tmp_path: Path) -> None:
    copy = _copy(run, tmp_path)
    (copy / "analysis.json").unlink()
    (copy / "explorer.html").unlink()
    result = CliRunner().invoke(app, ["explore", str(copy)])
    assert result.exit_code == 1
    assert f"deeprnn analyze {copy}" in " ".join(result.stderr.split())
    assert not (copy / "explorer.html").exists()


@pytest.mark.parametrize("name", ["analysis.parquet", "analysis.json"])
def test_a_damaged_analysis_is_refused_with_the_remedy(run: Path, tmp_path: Path, name: str) -> None:
    copy = _copy(run, tmp_path)
    (copy / name).write_bytes(b"no such thing")
    with pytest.raises(ValueError, match=r"analyze"):
        explore(copy)


def test_no_run_is_no_traceback(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["explore", str(tmp_path)])
    assert result.exit_code == 1
    assert "holds no run" in result.stderr


def test_the_command_writes_where_it_is_told_and_says_where(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    result = CliRunner().invoke(app, ["explore", str(run), "--out", str(out), "--threads", "1"])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(out)
    assert out.read_text().startswith("<!doctype html>")


def test_a_place_that_can_not_be_written_is_refused_at_once(run: Path, tmp_path: Path) -> None:
    told: list[str] = []
    for out in (tmp_path / "nowhere" / "page.html", tmp_path):
        with pytest.raises(FileNotFoundError, match="give a file's name"):
            explore(run, out, progress=lambda what, *_: told.append(what))
    assert told == []


@pytest.mark.filterwarnings("ignore:.* was not written by the training of this run")
def test_a_net_that_is_not_the_analyzed_one_is_told(run: Path, tmp_path: Path) -> None:
    copy = _copy(run, tmp_path)
    net = DeepRNN.load(copy)
    with torch.no_grad():
        net.layers[0].weight_hh[0, 0] += 1
    net.save(copy)
    assert "the net is not the one that analysis.json is about" in explore(copy).read_text()


def test_a_table_of_another_analysis_is_refused(run: Path, tmp_path: Path) -> None:
    copy = _copy(run, tmp_path)
    table = bytearray((copy / "analysis.parquet").read_bytes())
    table[len(table) // 2] ^= 1
    (copy / "analysis.parquet").write_bytes(table)
    with pytest.raises(ValueError, match=r"analysis\.parquet is not the table that analysis\.json was written with"):
        explore(copy)


def test_somebody_elses_page_is_left_as_it_is(run: Path, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("mine")
    with pytest.raises(FileExistsError, match=r"page\.html exists, and was not written by deeprnn"):
        explore(run, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == "mine"


@pytest.mark.parametrize("view", sorted(how_each_was_made(Path())))
def test_the_code_beside_every_figure_runs(run: Path, view: str) -> None:
    exec(compile(how_each_was_made(run)[view], view, "exec"), {})


def test_texts_that_are_shown_are_not_fitted_on() -> None:
    documents = [Document(f"{index}.txt", f"text {index}. ".encode() * 200) for index in range(9)]
    texts = choose(documents, Bytes())
    assert len(texts.shown) == 2
    assert {one.name for one in texts.shown}.isdisjoint(one.name for one in texts.fitted)
    assert all(len(one.symbols) == LENGTH == len(code) for one in texts.shown for code in one.codes.values())
    (one,) = choose(documents[:1], Bytes()).shown
    assert documents[0].content.endswith(Bytes().decode(one.symbols).encode())
    source = Document("a.py", b"x = 1\n" * 50)
    assert choose([source], Characters("x =1\n")).fitted == ()


def test_labels_of_bytes_stand_at_every_byte() -> None:
    (one, *_) = choose([Document(f"{n}.txt", "é!\n".encode() * 90) for n in range(3)], Bytes()).shown
    assert one.codes["character class"][:4] == one.codes["character class"][4:8]
    assert one.codes["character class"][0] == one.codes["character class"][1]


def test_a_page_of_three_layers_of_256_is_small_and_shows_its_first_view_before_it_parses_the_rest(
    browser: Any, run: Path, tmp_path: Path
) -> None:
    source = (run / "explorer.html").read_text()
    weights = pack(DeepRNN(99, [GRU(256)] * 3, 99).state_dict()).text
    head, tail = source.rsplit('id="weights">', 1)
    large = tmp_path / "large.html"
    large.write_text(f'{head}id="weights">{weights}{tail[tail.index("</script>") :]}')
    assert large.stat().st_size < LARGEST
    page = browser.new_page()
    page.add_init_script(
        """new MutationObserver(() => {
          if (document.querySelector('#view-matrix .detail h3'))
            window.seen ??= { library: 'Plotly' in window, state: document.readyState };
        }).observe(document, { childList: true, subtree: true });"""
    )
    page.goto(large.as_uri(), wait_until="load")
    page.wait_for_function("window.seen !== undefined")
    assert page.evaluate("window.seen") == {"library": False, "state": "loading"}
    show(page, "timescales")
    page.wait_for_function("'Plotly' in window")
    page.close()


def test_packing_keeps_every_number() -> None:
    tensor = torch.randn(3, 5)
    packed = pack({"first": torch.ones(2), "second": tensor})
    first, count = packed.index["second"]
    numbers = torch.frombuffer(bytearray(base64.b64decode(packed.text)), dtype=torch.float32)
    assert numbers[first : first + count].tolist() == tensor.flatten().tolist()
