# One entry for each thing a person does here; each sets up what it needs and is quick the second time.

PYTHON ?= python3
DEMO_MINUTES ?= 3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ALL_READY := $(VENV)/.all-ready
KERNELS := CMakeLists.txt $(wildcard csrc/*.cpp csrc/*.h)
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt --build-constraint constraints.txt

.PHONY: help demo test bench check sanitize accuracy dist docs format clean

help:  ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt $(KERNELS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "deeprnn needs Python 3.11 or later; run: make PYTHON=python3.11 ..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "$$(grep '^pip==' constraints.txt)"
	@echo "installing deeprnn and compiling its kernels into $(VENV): a minute or two the first time"
	$(INSTALL) --editable '.[analysis]'
	@touch $@

$(ALL_READY): $(READY)
	@echo "installing what tests, checks, documentation and benchmarks need"
	$(INSTALL) --editable '.[all]'
	@touch $@

demo: $(READY)  ## train a deep RNN on Python's own sources for DEMO_MINUTES (3), and show what each layer knows
	$(BIN)/deeprnn train --corpus python --minutes $(DEMO_MINUTES) --out runs/demo --overwrite
	$(BIN)/deeprnn analyze runs/demo --quick
	$(BIN)/deeprnn explore runs/demo

test: $(ALL_READY)  ## the whole test suite
	$(BIN)/python -m pytest

bench: $(ALL_READY)  ## the grid beside torch, JAX and ONNX Runtime, into benchmarks/results; BENCH=--quick for a look
	$(BIN)/python -m benchmarks $(BENCH)

check: $(ALL_READY)  ## format, lint, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run -Werror csrc/*.h csrc/*.cpp csrc/tests/*.cpp
	$(BIN)/cmake -S . -B build/strict -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
		-DPython_EXECUTABLE=$(abspath $(BIN))/python -DDEEPRNN_STRICT=ON >/dev/null
	$(BIN)/cmake --build build/strict

sanitize: $(ALL_READY)  ## the kernels under AddressSanitizer, UBSan and ThreadSanitizer: some ten minutes
	PYTHON=$(abspath $(BIN))/python tests/kernels/sanitize.sh

accuracy: $(ALL_READY)  ## the errors of the kernels' own functions over every float: minutes for each instruction set
	$(BIN)/cmake -S . -B build/accuracy -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
		-DDEEPRNN_PYTHON=OFF >/dev/null
	$(BIN)/cmake --build build/accuracy --target all_floats
	build/accuracy/all_floats

dist: $(ALL_READY)  ## a wheel and an sdist, into dist/; the wheel is tried in an environment of its own
	$(BIN)/python -m build --no-isolation --outdir dist .
	tests/kernels/try_wheel.sh $(abspath $(BIN))/python

format: $(ALL_READY)  ## let the formatter have its way
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(ALL_READY)  ## the documentation as a site, into site/
	$(BIN)/mkdocs build --strict

clean:  ## remove what the other targets made, runs excepted
	rm -rf $(VENV) build dist site .pytest_cache .ruff_cache .hypothesis .import_linter_cache
