"""The page about inspect."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from PIL import Image

from impasto.inspecting.cuts import PAGE_BYTES
from impasto.inspecting.explain import CLASS_SIDE
from impasto.inspecting.invert import DEEPEST, TV_WEIGHT
from impasto.inspecting.peaks import MOST
from impasto.inspecting.strips import MOST as STRIPS
from impasto.specs import InspectSpec
from impasto.specs.inspect import SHOWN_UNITS

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "inspect.md").read_text(encoding="utf-8")


def test_options_in_the_page_exist_and_numbers_are_current():
    for field in ("layers", "maps", "classifier", "invert", "invert_size", "gram"):
        assert field in InspectSpec.model_fields
        assert f"--{field.replace('_', '-')}" in PAGE
    assert f"w = {TV_WEIGHT} stride^2" in PAGE
    assert f"stride at most\n{DEEPEST}" in PAGE
    assert f"{InspectSpec.model_fields['invert_size'].default} by default" in PAGE


def test_the_toolbox_is_in_the_page():
    for field in ("explain", "method", "cam_layer", "photos", "units", "atlas"):
        assert field in InspectSpec.model_fields
        assert f"--{field.replace('_', '-')}" in PAGE
    methods = get_args(get_args(InspectSpec.model_fields["method"].annotation)[0])
    assert len(methods) == 6
    for method in methods:
        assert f"| `{method}` |" in PAGE
    assert f"otherwise the {SHOWN_UNITS} that your picture excites" in PAGE
    assert f"pictures take {PAGE_BYTES // 10**6} MB at most" in PAGE
    assert f"cache holds at most {MOST // 10**9} GB" in PAGE
    assert f"short side {CLASS_SIDE} px" in PAGE
    assert f"{STRIPS} units of each layer at most" in PAGE


@pytest.mark.parametrize("name", ["inspect.jpg", "explain.jpg", "units.jpg"])
def test_the_pictures_are_there_and_small(name):
    path = DOCS / "gallery" / name
    assert path.name in PAGE
    assert path.stat().st_size < 200_000
    with Image.open(path) as picture:
        assert picture.width > 800
