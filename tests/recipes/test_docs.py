"""The page on recipes is current and complete."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

from impasto.recipes import RECIPES
from impasto.styling.starts import parse

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "recipes.md").read_text(encoding="utf-8")


def printer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("print_recipes", DOCS / "print_recipes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current() -> None:
    assert printer().page() == TEXT, "run python docs/print_recipes.py"
    assert all(f"\n## {name}\n" in TEXT for name in RECIPES.names())


def test_published_numbers_are_printed_with_their_sources() -> None:
    assert "| `terms.tv.weight` | 65.025 | neural_style.lua: -tv_weight 1e-3" in TEXT
    assert "| `optimizer.lr` | 0.00784314 | S1: 2.0 on the 0-255 scale |" in TEXT
    assert "| `schedule.steps.published` | 5000 | S1 |" in TEXT


def test_the_starts_of_the_page_exist() -> None:
    names = re.findall(r"^\| `([\w:.]+)` \| (?:the|uniform|middle|R parts|likewise)", TEXT, re.M)
    assert len(names) == 11
    for name in names:
        given = name.replace("R", "0.5").replace("A", "9").replace("S", "9")
        assert parse(given).kind != "picture"
