"""Makes the pictures of ``docs/fast.md`` from sample photos: ``python docs/fast_pictures.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import impasto
from impasto import images, samples
from impasto.networks import read_card
from impasto.networks.shelf import names, shipped

FOLDER = Path(__file__).with_name("gallery") / "fast"
SHAPE = (360, 480)
COLUMNS = 4


def painters() -> list[str]:
    """The networks for photos that install with impasto."""
    return [n for n, p in names().items() if p.parent == shipped() and read_card(p)[0] == "fast"]


def sheet(photo: str) -> None:
    """One photo by every network, in rows, as a small JPEG."""
    scene = samples.photo(photo, SHAPE)
    made = [impasto.stylize(scene, recipe=f"fast:{n}", size=240).array for n in painters()]
    rows = [np.concatenate(made[i : i + COLUMNS], 1) for i in range(0, len(made), COLUMNS)]
    images.save(np.concatenate(rows), FOLDER / f"{photo}.jpg", quality=75, force=True)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in samples.photo_names():
        sheet(name)
