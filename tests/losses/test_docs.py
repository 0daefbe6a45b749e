"""The page on losses is current, and its example runs."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import torch

from impasto.losses import LOSSES

DOCS = Path(__file__).resolve().parents[2] / "docs"


def printer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("print_losses", DOCS / "print_losses.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current() -> None:
    text = (DOCS / "losses.md").read_text(encoding="utf-8")
    assert text == printer().page(), "run python docs/print_losses.py"
    assert all(f"\n## {name}\n" in text for name in LOSSES.names())
    assert "====" not in text
    assert ":meth:" not in text
    assert not re.search(r"^\|.*``", text, flags=re.M)


def test_every_option_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| ", printer().reference(), flags=re.M)
    assert len(rows) > 40
    assert all(len(text) > 10 for _, text in rows)


def test_the_example_runs() -> None:
    text = (DOCS / "losses.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, flags=re.S)
    assert code is not None
    names: dict[str, object] = {}
    torch.manual_seed(0)
    exec(code[1], names)
    assert {"both", "region"} <= set(names)
