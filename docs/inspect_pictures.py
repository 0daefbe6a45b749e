"""Makes pictures of ``docs/inspect.md``: ``python docs/inspect_pictures.py FOLDER``.

The photos are drawn by our own code. ``gallery/units.jpg`` is the page as a browser shows it;
``gallery/explain.jpg`` is a picture as the command writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import impasto
from impasto import images, samples

SEEDS = 6
SIZE = (240, 320)


def draw(folder: Path) -> None:
    """Paintings and scenes of several seeds."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(SEEDS):
        for name in samples.names():
            picture = samples.painting(name, SIZE, seed)
            images.save(picture, folder / f"{name}-{seed}.png", force=True)
        for name in samples.photo_names():
            images.save(samples.photo(name, SIZE, seed), folder / f"{name}-{seed}.png", force=True)


def main(folder: Path) -> None:
    """Everything into ``folder``."""
    draw(folder / "photos")
    photo = folder / "harbour.png"
    images.save(samples.photo("harbour", (480, 640)), photo, force=True)
    units = {"layers": ("relu3_1", "relu4_1"), "units": "0-15"}
    impasto.inspect(
        photo, photos=folder / "photos", output=str(folder / "units.html"), force=True, **units
    )
    explained = {"explain": "relu5_1:77", "method": "all"}
    impasto.inspect(photo, output=str(folder / "explain.png"), force=True, **explained)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "inspect-pictures"))
