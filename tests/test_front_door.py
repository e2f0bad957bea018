"""What `import deeprnn` gives, and what it leaves alone."""

import subprocess
import sys

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
        "print([m for m in ('lightning_fabric', 'matplotlib', 'typer', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
