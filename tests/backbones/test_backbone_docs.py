"""The tables in the docs are those of the registries."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from impasto.backbones import ARCHITECTURES, ENTRIES, PREPROCESSING
from impasto.backbones.convert import READERS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def printer():
    spec = importlib.util.spec_from_file_location("print_backbones", DOCS / "print_backbones.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["backbones.md", "weights.md"])
def test_the_tables_are_current(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert printer().printed(text) == text, "run python docs/print_backbones.py"


def test_everything_is_there():
    backbones = (DOCS / "backbones.md").read_text(encoding="utf-8")
    weights = (DOCS / "weights.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in backbones for name in ARCHITECTURES.names())
    assert all(f"`{name}`" in weights for name in [*ENTRIES.names(), *PREPROCESSING.names()])
    assert all(f"`{suffix}`" in weights for suffix in READERS if suffix != ".hdf5")
