"""Makes the pictures of ``docs/enhance.md``: ``python docs/enhance_pictures.py [photos] [style]``.

Needs scikit-image for two photographs. The photos take half a minute on one core, the style, which
is stylized first, four minutes and more.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage.data
import torch

import impasto
from impasto import images, samples
from impasto.images.resize import resize

Array = npt.NDArray[np.float32]

FOLDER = Path(__file__).with_name("gallery") / "enhance"
#: Edge of what is shown of a picture, px of the result.
SHOWN = 176


def written(name: str, rows: list[list[Array]], limit: int) -> None:
    """Rows of pictures of one size, as a JPEG."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = [
        np.concatenate([np.pad(p, ((0, 6), (0, 6), (0, 0)), constant_values=1) for p in row], 1)
        for row in rows
    ]
    sheet = np.concatenate(lines)[:-6, :-6]
    path = FOLDER / f"{name}.jpg"
    for quality in (90, 85, 80, 74, 68, 60):
        images.save(sheet, path, quality=quality, force=True)
        if path.stat().st_size < limit:
            break
    sys.stdout.write(f"{path} {path.stat().st_size // 1000} kB\n")


def small(picture: Array, scale: int) -> Array:
    """Made small, in steps of 8 bits."""
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None]
    size = (picture.shape[0] // scale, picture.shape[1] // scale)
    made = resize(tensor, size, mode="bicubic").clamp(0, 1)
    return ((made * 255).round() / 255)[0].permute(1, 2, 0).numpy()


def cut(picture: Array, top: int, left: int, edge: int = SHOWN) -> Array:
    """A square part of a picture."""
    return picture[top : top + edge, left : left + edge]


def photos() -> None:
    """Bicubic, pixel, perceptual, the truth: 4 times, and 2 times in the last row."""
    cat = np.asarray(skimage.data.chelsea(), np.float32)[:300, :448] / 255
    woman = np.asarray(skimage.data.astronaut(), np.float32) / 255
    lake = samples.photo("harbour", (512, 640))
    rows = []
    for picture, scale, top, left in (
        (cat, 4, 60, 100),
        (woman, 4, 60, 130),
        (lake, 4, 200, 180),
        (woman, 2, 60, 130),
    ):
        given = small(picture, scale)
        made = [
            impasto.enhance(given, scale=scale, variant="pixel", alpha=0.0),
            impasto.enhance(given, scale=scale, variant="pixel"),
            impasto.enhance(given, scale=scale, variant="perceptual"),
        ]
        rows.append([cut(p, top, left) for p in (*(m.array for m in made), picture)])
    written("photos", rows, 150_000)


def style() -> None:
    """A part of a harbour stylized at 512 px: bicubic, enlarged, with the painting's texture."""
    painting = samples.painting("nocturne", (1536, 2048))
    photo = samples.photo("harbour", (768, 1024))
    stylized = impasto.stylize(photo, painting, size=512, quality="draft").array
    made = [
        impasto.enhance(stylized, scale=4, alpha=0.0),
        impasto.enhance(stylized, scale=4),
        impasto.enhance(stylized, scale=4, from_style=painting),
    ]
    written("style", [[cut(m.array, 330, 900, 352) for m in made]], 200_000)


if __name__ == "__main__":
    known = {"photos": photos, "style": style}
    for chosen in sys.argv[1:] or known:
        known[chosen]()
