#!/usr/bin/env bash
# The newest wheel of dist/ in an environment that holds nothing else, with the tests of the network and the kernels.
set -euo pipefail
cd "$(dirname "$0")/../.."

wheel=$(ls -t dist/*.whl | head -1)
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$1" -m venv "$fresh"
"$fresh/bin/python" -m pip install --quiet --constraint constraints.txt "$wheel" pytest hypothesis
"$fresh/bin/python" -c '
import deeprnn
assert "site-packages" in deeprnn.__file__, deeprnn.__file__
assert deeprnn.kernels.info().built
print(deeprnn.kernels.info())
'
"$fresh/bin/python" -m pytest -q -p no:cacheprovider tests/kernels tests/network -k "not drawn_calls[baseline"
