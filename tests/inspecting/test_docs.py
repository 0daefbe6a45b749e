"""The page about inspect."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from impasto.inspecting.invert import DEEPEST, TV_WEIGHT
from impasto.specs import InspectSpec

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "inspect.md").read_text(encoding="utf-8")


def test_options_in_the_page_exist_and_numbers_are_current():
    for field in ("layers", "maps", "classifier", "invert", "invert_size", "gram"):
        assert field in InspectSpec.model_fields
        assert f"--{field.replace('_', '-')}" in PAGE
    assert f"w = {TV_WEIGHT} stride^2" in PAGE
    assert f"stride at most\n{DEEPEST}" in PAGE
    assert f"{InspectSpec.model_fields['invert_size'].default} by default" in PAGE


def test_the_picture_is_there_and_small():
    path = DOCS / "gallery" / "inspect.jpg"
    assert path.name in PAGE
    assert path.stat().st_size < 200_000
    with Image.open(path) as picture:
        assert picture.width > 800
