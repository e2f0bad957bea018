"""What `import deeprnn` gives, and what it leaves alone."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import deeprnn


def test_every_public_name_is_there() -> None:
    for name in deeprnn.__all__:
        assert getattr(deeprnn, name) is not None
    namespace: dict[str, object] = {}
    exec("from deeprnn import *", namespace)
    assert set(deeprnn.__all__) <= namespace.keys()


def test_the_library_needs_no_training_or_plotting_library() -> None:
    code = (
        "import sys, deeprnn; net = deeprnn.DeepRNN(3, [deeprnn.GRU(4)]); deeprnn.draw(net); "
        "deeprnn.analysis.record(net, __import__('torch').randn(2, 1, 3)); "
        "heavy = ('lightning_fabric', 'matplotlib', 'typer', 'rich', 'polars', 'xarray'); "
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_of_the_analysis_is_there() -> None:
    for name in dir(deeprnn.analysis):
        assert getattr(deeprnn.analysis, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = deeprnn.analysis.nothing


def test_no_module_of_the_analysis_is_hidden_by_a_function() -> None:
    for module in pkgutil.iter_modules(deeprnn.analysis.__path__):
        found = importlib.import_module(f"deeprnn.analysis.{module.name}")
        assert getattr(deeprnn.analysis, module.name) is found
