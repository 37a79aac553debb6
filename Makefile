# Everything starts here: each target makes .venv first, and installs again when the requirements change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
COMPILED := $(VENV)/.compiled
PYTEST_ARGS ?=
CASES ?= 3000
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# real MNIST, where a folder of data lies beside the checkout; the tests that need it are skipped otherwise
ifneq ($(wildcard ../shared/data),)
export RETICLE_DATA ?= $(abspath ../shared/data)
endif

.DEFAULT_GOAL := help
.PHONY: help demo test shapes lint docs native sanitize clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

demo: $(COMPILED)  ## train with and without a spatial transformer on real digits; pictures and a report in runs/demo
	@echo "Training the same network with and without a spatial transformer on turned, scaled, shifted, cluttered digits."
	@echo "It takes a few minutes on two cores and needs no download. The report: runs/demo/report.html"
	$(BIN)/python -m reticle.demo --out runs/demo

test: $(COMPILED)  ## run the tests; PYTEST_ARGS="tests/test_grid.py" picks some
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(PYTEST_ARGS)

# True where an int may stand for a float, as everywhere in Python
SHAPES := beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))
shapes: $(COMPILED)  ## run the tests with every annotated shape and type checked
	$(BIN)/python -m pytest -n 2 --jaxtyping-packages="reticle,$(SHAPES)" -W ignore::beartype.roar.BeartypeDecorHintPep585DeprecationWarning \
		-m "not compile and not errors and not slow" $(PYTEST_ARGS)

lint: $(COMPILED)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(COMPILED)  ## renew the generated tables, then build docs/_build/html; any warning fails
	$(BIN)/python docs/generate.py
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

COMPILE = $(BIN)/python setup.py -q build_ext --inplace && touch $(COMPILED)
native: $(STAMP)  ## compile the sampler again, in place, and say what became of it
	$(COMPILE)
	$(BIN)/python -m reticle info

# the address sanitiser must be there before Python is; what Python itself leaves allocated is not our matter
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1 -g1
sanitize: $(COMPILED)  ## compile the sampler with sanitisers, beside the other, and give it hard cases; CASES=3000
	CXXFLAGS="$(SANITIZE)" LDFLAGS="$(SANITIZE)" $(BIN)/python setup.py -q build_ext --build-lib build/sanitize --build-temp build/sanitize/objects
	RETICLE_NATIVE=build/sanitize/reticle/sampling/_native.so LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so)" ASAN_OPTIONS=detect_leaks=0 \
		$(BIN)/python tests/fuzz.py --cases $(CASES)

clean:  ## remove .venv and what was built; runs stay
	rm -rf $(VENV) build docs/_build .pytest_cache .mypy_cache .ruff_cache

# torch first: the compiled sampler is built with its headers. Without a compiler the library installs all the same
$(STAMP): pyproject.toml setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) -c constraints.txt torch "setuptools>=77"
	$(PIP) -c constraints.txt --no-build-isolation -e ".[dev]"
	@touch $@ $(COMPILED)

# an installation has compiled, too: make may not have seen that
$(COMPILED): $(STAMP) $(wildcard src/reticle/csrc/*)
	@if [ ! -e $@ ] || [ -n "$$(find src/reticle/csrc -newer $@)" ]; then $(COMPILE); fi
