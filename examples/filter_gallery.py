"""One row of small pictures per filter, to look at.

``python examples/filter_gallery.py OUT [--photos FOLDER] [--painting FILE] [NAME ...]``

Without a folder the photos are free ones: a scene drawn by impasto, and the cat, the coffee, the
rocket and the astronaut of scikit-image (CC0 or public domain). Filters that need a painting take
the drawn nocturne.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from impasto import images, samples
from impasto.filters import FILTERS

SIDE, HEIGHT, GAP, QUALITY, BYTES = 1024, 220, 6, 85, 60_000


def free_photos() -> list[Tensor]:
    """Five photos that anyone may use."""
    from skimage import data

    arrays = [data.cat(), data.coffee(), data.rocket(), data.astronaut()]
    photos = [array.astype(np.float32) / 255 for array in arrays]
    return [sized(array) for array in [samples.photo("harbour", (768, 1024)), *photos]]


def photos_in(folder: Path) -> list[Tensor]:
    """The first five pictures of a folder, by name."""
    kinds = {".jpg", ".jpeg", ".png", ".webp"}
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in kinds)[:5]
    return [sized(images.load(path).rgb) for path in paths]


def sized(rgb: np.ndarray) -> Tensor:
    """An array as a picture whose longest side is 1024."""
    picture = Image.fromarray((np.clip(rgb, 0, 1) * 255).round().astype(np.uint8))
    scale = SIDE / max(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    array = np.asarray(picture.resize(size, Image.Resampling.LANCZOS), np.float32) / 255
    return torch.from_numpy(array).permute(2, 0, 1).unsqueeze(0).contiguous()


def row(pictures: list[Tensor]) -> Image.Image:
    """Pictures side by side, all of one height."""
    small = []
    for picture in pictures:
        array = (picture[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        whole = Image.fromarray(array)
        width = round(whole.width * HEIGHT / whole.height)
        small.append(whole.resize((width, HEIGHT), Image.Resampling.LANCZOS))
    across = sum(picture.width for picture in small) + GAP * (len(small) - 1)
    sheet = Image.new("RGB", (across, HEIGHT), "white")
    x = 0
    for picture in small:
        sheet.paste(picture, (x, 0))
        x += picture.width + GAP
    return sheet


def saved(sheet: Image.Image, path: Path) -> None:
    """As a JPEG below 60 kB: where that takes it, the quality gives way."""
    quality = QUALITY
    while True:
        sheet.save(path, quality=quality, optimize=True)
        if path.stat().st_size < BYTES or quality <= 30:
            return
        quality -= 5


def main() -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", default=FILTERS.names())
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--painting", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    photos = photos_in(options.photos) if options.photos else free_photos()
    if options.painting:
        painting = sized(images.load(options.painting).rgb)
    else:
        painting = sized(samples.painting("nocturne", (768, 1024)))
    saved(row(photos), options.out / "photos.jpg")
    for name in options.names:
        step = FILTERS.get(name)()
        saved(row([step(photo, painting) for photo in photos]), options.out / f"{name}.jpg")
        print(options.out / f"{name}.jpg", flush=True)


if __name__ == "__main__":
    main()
