"""Draws the small pictures by which the studio offers recipes, filters and samples.

``python docs/studio_examples.py [recipes|filters|samples] [NAME ...]`` writes them into the
package; without names it draws those that are missing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import impasto
from impasto import samples
from impasto.filters import describe
from impasto.recipes import ONE_PASS, RECIPES

ROOT = Path(__file__).parents[1] / "src" / "impasto" / "studio" / "static" / "examples"
#: Height and width of what is drawn.
SIZE = (204, 256)
PHOTO, PAINTING = "harbour", "nocturne"
#: What textures are made of, where it is not the lilies.
EXEMPLAR = {"impasto-texture-rows": "woodblock"}


def recipe(name: str) -> Any:
    """The sample photo after a recipe, as a draft where that is not done at once."""
    if name in RECIPES and all(term.role != "content" for term in RECIPES.get(name).terms):
        exemplar = samples.painting(EXEMPLAR.get(name, "lilies"), (160, 160))
        return impasto.texture(exemplar, recipe=name, size=204, quality="draft").array
    photo, painting = samples.photo(PHOTO, SIZE), samples.painting(PAINTING, SIZE)
    quality = None if name in ONE_PASS else "draft"
    return impasto.stylize(photo, painting, recipe=name, size=SIZE[1], quality=quality).array


def filtered(name: str) -> Any:
    """The sample photo after a filter."""
    reference = samples.painting(PAINTING, SIZE)
    needs = {row.name for row in describe() if row.needs_reference}
    return impasto.filter(
        samples.photo(PHOTO, (512, 640)), name, reference if name in needs else None, size=320
    ).array


def sample(name: str) -> Any:
    """A sample itself."""
    draw = samples.painting if name in samples.names() else samples.photo
    return draw(name, (320, 400))


KINDS = {
    "recipes": (lambda: [*RECIPES.names(), *ONE_PASS.names()], recipe),
    "filters": (lambda: [row.name for row in describe()], filtered),
    "samples": (lambda: [*samples.photo_names(), *samples.names()], sample),
}


def main(kind: str, names: list[str]) -> None:
    """Draw what is missing, or what is named."""
    every, draw = KINDS[kind]
    for name in names or every():
        path = ROOT / kind / f"{name}.webp"
        if path.exists() and not names:
            continue
        levels = np.clip(draw(name) * 255 + 0.5, 0, 255).astype(np.uint8)
        image = Image.fromarray(levels)
        image.thumbnail((256, 256))
        image.save(path, "WEBP", quality=80, method=6)
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    for wanted in [sys.argv[1]] if len(sys.argv) > 1 else KINDS:
        main(wanted, sys.argv[2:])
