# `make demo` and `make test` do everything on a fresh machine: environment, install, run.
PYTHON ?= python3
VENV ?= .venv
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
	$(BIN)/python -m pytest

test-all: $(VENV)/.tested  ## the slow tests too
	$(BIN)/python -m pytest -m ""

lint: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) demo
