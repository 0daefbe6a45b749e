"""Makes the pictures of ``docs/gallery/dream.md``: ``python docs/dream_pictures.py``.

Takes about half a minute on one idle core. Names as arguments make only those. The photographs are
those beside the checkout (or in the folder that ``IMPASTO_SHARED`` names); without them the
samples that impasto draws take their place.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import impasto
from impasto import images, samples
from impasto.images.resize import fit_size, resize

Array = npt.NDArray[np.float32]

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = Path(os.environ.get("IMPASTO_SHARED", ROOT.parent / "shared")) / "data" / "photos"
FOLDER = Path(__file__).with_name("gallery") / "dream"


def photo(name: str, stand_in: str, longest: int) -> Array:
    """A photograph, or else a sample, ``longest`` px long."""
    path = PHOTOS / f"{name}.jpg"
    found = images.load(path if path.exists() else samples.photo(stand_in, (768, 1024)))
    size = fit_size(found.height, found.width, longest)
    return images.from_tensor(resize(images.to_tensor(found), size, clamp=True))


def written(name: str, *pictures: Array, limit: int = 120_000) -> None:
    """Pictures of one height side by side, as a JPEG."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    parts = []
    for picture in pictures:
        parts += [picture, np.ones((picture.shape[0], 6, 3), np.float32)]
    path = FOLDER / f"{name}.jpg"
    for quality in (88, 82, 76, 70, 62, 54, 46):
        images.save(np.concatenate(parts[:-1], 1), path, quality=quality, force=True)
        if path.stat().st_size < limit:
            break
    sys.stdout.write(f"{path} {path.stat().st_size // 1000} kB\n")
    sys.stdout.flush()


def dreamt(picture: Array, **options: Any) -> Array:
    """A dream at the picture's size."""
    longest = max(picture.shape[:2])
    return impasto.dream(picture, **{"size": longest, "device": "cpu"} | options).array


def large() -> None:
    """A dream at 1024 px."""
    written(
        "large",
        dreamt(photo("golden_gate", "harbour", 1024), octaves=6, iterations=10),
        limit=300_000,
    )


def guided() -> None:
    """A dream guided by a garden of lavender, and the same without a guide."""
    start = photo("sailboat", "harbour", 384)
    guide = photo("flowers", "still_life", 384)
    written("guided", dreamt(start, guide=guide), dreamt(start), limit=200_000)


def layers() -> None:
    """From edges to animals."""
    start = photo("tubingen", "harbour", 256)
    names = ("block2", "block6", "block8", "block12")
    written("layers", *(dreamt(start, layer=n) for n in names), limit=150_000)


def journey() -> None:
    """Frames of a zoom."""
    start = photo("sailboat", "harbour", 224)
    result = impasto.dream(
        start, size=224, zoom=16, zoom_scale=1.1, zoom_rotate=2, iterations=8, device="cpu"
    )
    frames = list(result.others.values())
    written("journey", *(frames[i] for i in (0, 5, 10, 15)), limit=150_000)


PICTURES: dict[str, Callable[[], None]] = {f.__name__: f for f in (large, guided, layers, journey)}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or PICTURES:
        PICTURES[chosen]()
