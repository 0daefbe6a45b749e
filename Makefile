# `make demo` and `make test` do everything on a fresh machine: environment, install, run.
PYTHON ?= python3
VENV ?= .venv
# Test processes; each computes on one thread.
JOBS ?= auto
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-all lint docs bench clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(INSTALL) -e ".[dev]"
	touch $@

demo: $(VENV)/.installed  ## stylize a sample photo with a sample painting into demo/
	$(INSTALL) -e ".[examples]"
	$(BIN)/python examples/demo.py

test: $(VENV)/.tested  ## lint, types and the quick tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

test-all: $(VENV)/.tested  ## the slow tests too
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) -m ""

lint: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.tested  ## print the pages that come from the code
	for page in docs/print_*.py; do $(BIN)/python $$page; done

bench: $(VENV)/.tested  ## tables of speed and size
	for program in benchmarks/*.py; do $(BIN)/python $$program; done

clean:
	rm -rf $(VENV) demo
