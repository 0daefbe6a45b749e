"""Makes the pictures of ``docs/fast.md``: ``python docs/fast_pictures.py``."""

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


#: Of the network with all styles: one to another, in rows.
BLENDS = (("scream", "starry-night"), ("mondrian", "kandinsky"))


def painters() -> list[str]:
    """The networks for photos and one style that install with impasto."""
    cards = {n: read_card(p) for n, p in names().items() if p.parent == shipped()}
    return [n for n, (kind, _, card) in cards.items() if kind == "fast" and len(card.styles) == 1]


def sheet(photo: str) -> None:
    """One photo by every network, in rows, as a small JPEG."""
    scene = samples.photo(photo, SHAPE)
    made = [impasto.stylize(scene, recipe=f"fast:{n}", size=240).array for n in painters()]
    rows = [np.concatenate(made[i : i + COLUMNS], 1) for i in range(0, len(made), COLUMNS)]
    images.save(np.concatenate(rows), FOLDER / f"{photo}.jpg", quality=75, force=True)


def blends() -> None:
    """A photo between two styles."""
    scene, rows = samples.photo("harbour", (180, 240)), []
    for pair in BLENDS:
        shares = [(1 - i / (COLUMNS - 1), i / (COLUMNS - 1)) for i in range(COLUMNS)]
        made = [impasto.apply("eight", scene, style=pair, style_blend=s).array for s in shares]
        rows.append(np.concatenate(made, 1))
    images.save(np.concatenate(rows), FOLDER / "blends.jpg", quality=75, force=True)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    blends()
    for name in samples.photo_names():
        sheet(name)
