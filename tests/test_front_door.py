"""What `import deeprnn` gives, and what it leaves alone."""

import importlib
import importlib.metadata
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import deeprnn


def test_every_public_name_is_there() -> None:
    for name in deeprnn.__all__:
        assert getattr(deeprnn, name) is not None
    namespace: dict[str, object] = {}
    exec("from deeprnn import *", namespace)
    assert set(deeprnn.__all__) <= namespace.keys()


def test_the_version_is_the_installed_one() -> None:
    assert deeprnn.__version__ == importlib.metadata.version("deeprnn")


def test_the_library_needs_no_training_or_plotting_library() -> None:
    code = (
        "import sys, deeprnn; net = deeprnn.DeepRNN(3, [deeprnn.GRU(4)]); deeprnn.draw(net); "
        "deeprnn.analysis.record(net, __import__('torch').randn(2, 1, 3)); "
        "heavy = ('lightning_fabric', 'matplotlib', 'typer', 'rich', 'polars', 'xarray'); "
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "imports",
    [
        "import deeprnn, torch",
        "import torch, deeprnn",
        "import deeprnn.cells, torch; deeprnn.DeepRNN",
        "import deeprnn.deep",
        "import deeprnn, importlib.util; importlib.util.find_spec('torch')",
    ],
)
def test_an_exported_program_loads_wherever_deeprnn_was_imported(tmp_path: Path, imports: str) -> None:
    net, x = deeprnn.DeepRNN(3, [deeprnn.LSTM(4), deeprnn.GRU(5, direction="both")], 2).eval(), torch.randn(5, 2, 3)
    with torch.no_grad():
        state = net(x).state
        program = torch.export.export(net, (x,), {"state": state})
        torch.export.save(program, tmp_path / "net.pt2")
        torch.save((x, state, net(x, state).output), tmp_path / "case.pt")
    code = (
        f"{imports}; import torch\n"
        f"program = torch.export.load({str(tmp_path / 'net.pt2')!r}).module()\n"
        f"x, state, right = torch.load({str(tmp_path / 'case.pt')!r}, weights_only=True)\n"
        "result = program(x, state=state)\n"
        "print(type(result).__name__, type(result.state).__name__, (result.output - right).abs().max().item() < 1e-6)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["Result", "DeepState", "True"], "")


@pytest.mark.parametrize("name", ["functional", "reach", "stateforms", "disk.digest"])
def test_a_part_of_the_network_may_be_imported_first(name: str) -> None:
    code = f"import deeprnn.{name}; import deeprnn; deeprnn.DeepRNN"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_all_parts_that_import_torch_are_known_to_be_on_the_way() -> None:
    code = "import deeprnn.deep, sys; print(*{name.split('.')[1] for name in sys.modules if name[:8] == 'deeprnn.'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    apart = {"afterimport", "deep", "disk", "quantities"}  # these need no torch, or are what is imported
    assert set(done.stdout.split()) - apart == set(deeprnn._ON_THE_WAY)


def test_import_takes_no_torch() -> None:
    code = (
        "import sys, deeprnn; print('torch' in sys.modules); "
        "import torch; print(torch.__spec__.loader.__class__.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "SourceFileLoader"]


def test_every_public_name_of_the_analysis_is_there() -> None:
    for name in dir(deeprnn.analysis):
        assert getattr(deeprnn.analysis, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = deeprnn.analysis.nothing


def test_no_module_of_the_analysis_is_hidden_by_a_function() -> None:
    for module in pkgutil.iter_modules(deeprnn.analysis.__path__):
        found = importlib.import_module(f"deeprnn.analysis.{module.name}")
        assert getattr(deeprnn.analysis, module.name) is found
