"""The pages name every recipe and option, and the scripts make what the gallery shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from impasto.specs import DreamSpec, OutputSpec, VisualizeSpec
from impasto.visualizing.looks import LOOKS

DOCS = Path(__file__).resolve().parents[2] / "docs"
FLAG = re.compile(r"(?<![\w-])--([a-z][a-z-]*)")


def test_every_recipe_is_there():
    text = (DOCS / "visualize.md").read_text(encoding="utf-8")
    for name in LOOKS.names():
        assert f"| `{name}` |" in text


@pytest.mark.parametrize(
    ("page", "spec"),
    [("visualize", VisualizeSpec), ("dream", DreamSpec), ("gallery/visualize", VisualizeSpec),
     ("gallery/dream", DreamSpec)],
)  # fmt: skip
def test_options_exist(page, spec):
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    known = {*spec.model_fields, *OutputSpec.model_fields, "layers"}
    known = {name.rstrip("_").replace("_", "-") for name in known}
    used = set(FLAG.findall(text))
    assert used and used <= known


@pytest.mark.parametrize("page", ["visualize", "dream"])
def test_pictures_of_the_gallery(page):
    folder = DOCS / "gallery"
    text = (folder / f"{page}.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\]\(([\w/]+\.jpg)\)", text))
    there = {f"{page}/{path.name}" for path in (folder / page).glob("*.jpg")}
    assert shown == there and len(shown) >= 3
