# One entry for each thing a person does here; each sets up what it needs and is quick the second time.

PYTHON ?= python3
DEMO_MINUTES ?= 3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ALL_READY := $(VENV)/.all-ready
KERNELS := CMakeLists.txt $(wildcard csrc/*.cpp csrc/*.h csrc/*/*.h)
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt --build-constraint constraints.txt

ifneq ($(origin PYTHON), file)
ifneq ($(wildcard $(BIN)/python),)
ifneq ($(shell $(PYTHON) -V), $(shell $(BIN)/python -V))
$(error $(VENV) holds $(shell $(BIN)/python -V), not $(shell $(PYTHON) -V): make clean first, or give VENV=.venv-other)
endif
endif
endif

.PHONY: help demo test test-quick test-kernels bench check sanitize accuracy dist docs format clean

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt $(KERNELS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "deeprnn needs Python 3.11 or later; run: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || \
		{ echo "$(PYTHON) can't make virtual environments; on Debian: apt install python3-venv" >&2; exit 1; }
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

test-quick: $(ALL_READY)  ## all tests but those marked slow, on all cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m "not slow" --numprocesses auto --dist loadfile

test-kernels: $(ALL_READY)  ## the kernels' tests
	$(BIN)/python -m pytest -q tests/kernels

bench: $(ALL_READY)  ## the grid beside torch, JAX and ONNX Runtime, into benchmarks/results; BENCH=--quick for a look
	$(BIN)/python -m benchmarks $(BENCH)

check: $(ALL_READY)  ## format, lint, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run -Werror csrc/*.cpp csrc/*.h csrc/*/*.cpp csrc/*/*.h
	$(BIN)/cmake -S . -B build/strict -G Ninja -DCMAKE_MAKE_PROGRAM="$(CURDIR)/$(BIN)/ninja" \
		-DPython_EXECUTABLE="$(CURDIR)/$(BIN)/python" -DDEEPRNN_STRICT=ON >/dev/null
	$(BIN)/cmake --build build/strict

sanitize: $(ALL_READY)  ## the kernels under AddressSanitizer, UBSan and ThreadSanitizer: some ten minutes
	PYTHON="$(CURDIR)/$(BIN)/python" tests/kernels/sanitize.sh

accuracy: $(ALL_READY)  ## the errors of the kernels' own functions over every float: minutes for each instruction set
	$(BIN)/cmake -S . -B build/accuracy -G Ninja -DCMAKE_MAKE_PROGRAM="$(CURDIR)/$(BIN)/ninja" \
		-DDEEPRNN_PYTHON=OFF >/dev/null
	$(BIN)/cmake --build build/accuracy --target all_floats
	build/accuracy/all_floats

dist: $(ALL_READY)  ## a wheel and an sdist, into dist/; the wheel is tried in an environment of its own
	$(BIN)/python -m build --no-isolation --outdir dist .
	tests/kernels/try_wheel.sh "$(CURDIR)/$(BIN)/python"

format: $(ALL_READY)  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(ALL_READY)  ## the documentation as a site, into site/
	$(BIN)/mkdocs build --strict

clean:  ## remove what the other targets made, runs excepted
	rm -rf $(VENV) build dist site .pytest_cache .ruff_cache .hypothesis .import_linter_cache
