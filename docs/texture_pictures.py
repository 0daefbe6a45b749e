"""Makes the pictures of ``docs/gallery/texture.md``: ``python docs/texture_pictures.py``.

Needs the folder of sample pictures (``IMPASTO_SHARED``, or ``shared`` beside the checkout) and
scikit-image. Half a minute a texture on one core. Names as arguments make only those.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import skimage.data

import impasto
from impasto import images

Array = npt.NDArray[np.float32]

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("IMPASTO_SHARED", ROOT.parent / "shared")) / "data"
FOLDER = ROOT / "docs" / "gallery" / "texture"
SIZE = 256


def photo(name: str) -> Array:
    """A texture out of the folder of samples."""
    return images.load(DATA / "textures" / f"{name}.jpg").rgb


def grey(name: str) -> Array:
    """One of scikit-image's textures."""
    plane = np.asarray(getattr(skimage.data, name)(), np.float32) / 255
    return np.repeat(plane[..., None], 3, axis=2)


def sky() -> Array:
    """The sky of the Starry Night, without the cypress and the village."""
    night = images.load(DATA / "paintings" / "van_gogh_starry_night.jpg").rgb
    return night[60:600, 420:1240]


#: What is looked at, and with which options.
TEXTURES: dict[str, tuple[Callable[[], Array], dict[str, Any]]] = {
    "pebbles": (lambda: photo("pebbles")[:240], {}),  # below is a caption
    "peppers": (lambda: photo("red_peppers"), {}),
    "leaves": (lambda: photo("leaves"), {"exemplar_size": 320}),
    "brick": (lambda: grey("brick"), {"recipe": "impasto-texture-rows", "exemplar_size": 256}),
    "gravel": (lambda: grey("gravel"), {"exemplar_size": 320}),
    "grass": (lambda: grey("grass"), {"exemplar_size": 256}),
    "cezanne": (lambda: photo("cezanne"), {}),
    "starry": (sky, {"exemplar_size": 256}),
}


def tiling(name: str) -> None:
    """A seamless tile, four times."""
    exemplar, options = TEXTURES[name]
    made = impasto.texture(exemplar(), size=SIZE, seamless=True, quality="draft", **options)
    note = f"seam {made.report['seam']:.2f}, {made.seconds:.0f} s"
    show(name, np.tile(made.array, (2, 2, 1)), note)


def show(name: str, picture: Array, note: str = "") -> None:
    """Write a picture as a file below 100 kB."""
    path = FOLDER / f"{name}.jpg"
    for quality in (85, 78, 70, 60, 50):
        images.save(picture, path, quality=quality, force=True)
        if path.stat().st_size < 100_000:
            break
    sys.stdout.write(f"{path.name} {path.stat().st_size // 1000} kB {note}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for chosen in sys.argv[1:] or TEXTURES:
        tiling(chosen)
