"""The lists, and the page that is printed from them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from impasto.filters import FILTERS, describe, markdown

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def printer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("print_filters", ROOT / "docs/print_filters.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_row_for_every_filter() -> None:
    rows = describe()
    assert [row.name for row in rows] == sorted(FILTERS.names())
    by_name = {row.name: row for row in rows}
    assert by_name["quilting"].needs_reference
    assert not by_name["kuwahara"].needs_reference
    radius = by_name["kuwahara"].parameters[0]
    assert (radius.name, radius.default, radius.range) == ("radius", 7.0, "1 to 30")
    assert all("|" not in row.summary and "\n" not in row.summary for row in rows)


def test_the_page_is_up_to_date(printer: ModuleType) -> None:
    page = printer.PAGE.read_text(encoding="utf-8")
    assert printer.rewritten(page) == page, "run python docs/print_filters.py"


def test_the_page_shows_every_filter(printer: ModuleType) -> None:
    page = printer.PAGE.read_text(encoding="utf-8")
    for name in FILTERS.names():
        assert f"### `{name}`" in page
        assert f"gallery/filters/{name}.jpg" in page
        assert (ROOT / "docs/gallery/filters" / f"{name}.jpg").stat().st_size < 60_000


def test_a_stale_page_is_noticed(
    printer: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = tmp_path / "filters.md"
    page.write_text(f"head\n{printer.BEGIN}\nold\n{printer.END}\ntail\n", encoding="utf-8")
    monkeypatch.setattr(printer, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["print_filters.py", "--check"])
    assert printer.main() == 1
    monkeypatch.setattr(sys, "argv", ["print_filters.py"])
    assert printer.main() == 0
    text = page.read_text(encoding="utf-8")
    assert markdown() in text
    assert text.startswith("head\n")
    assert text.endswith("tail\n")
    assert "old" not in text
