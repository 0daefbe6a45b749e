"""Makes the pictures of ``docs/control.md`` from the samples: ``python docs/control_pictures.py``.

Takes about ten minutes on one core. Names as arguments make only those.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import impasto
from impasto import images, samples
from impasto.images.resize import resize

Array = npt.NDArray[np.float32]

FOLDER = Path(__file__).with_name("gallery") / "control"
SIZE = 240
SHAPE = (360, 480)
HORIZON = 0.5
SETTINGS: dict[str, Any] = {"size": SIZE, "quality": "draft", "iterations": 25}


def scene(name: str) -> Array:
    """A photo-like sample."""
    return samples.photo(name, SHAPE)


def art(name: str) -> Array:
    """A sample painting."""
    return samples.painting(name, SHAPE)


def above(share: float, shape: tuple[int, int] = SHAPE) -> Array:
    """White above a line, black below."""
    mask = np.zeros(shape, np.float32)
    mask[: round(share * shape[0])] = 1
    return mask


def things() -> Array:
    """White on the fruit of the still life."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    discs = ((78, 168, 52, 51), (136, 201, 59, 56), (219, 228, 47, 45), (390, 205, 46, 43))
    inside = [((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1 for cx, cy, rx, ry in discs]
    return np.any(inside, axis=0).astype(np.float32)


def made(photo: Array, style: Array | list[Array], **options: Any) -> Array:
    """A small picture in few steps."""
    return impasto.stylize(photo, style, **{**SETTINGS, **options}).array


def row(name: str, *pictures: Array) -> None:
    """Pictures side by side, as a file below 60 kB."""
    parts, width = [], min(SIZE, 1000 // len(pictures))
    height = width * SHAPE[0] // SHAPE[1]
    for picture in pictures:
        rgb = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
        tensor = images.to_tensor(images.load(np.ascontiguousarray(rgb)))
        parts.append(images.from_tensor(resize(tensor, (height, width), clamp=True)))
        parts.append(np.ones((height, 6, 3), np.float32))
    sheet = np.concatenate(parts[:-1], axis=1)
    path = FOLDER / f"{name}.jpg"
    for quality in (88, 80, 70, 60, 50):
        images.save(sheet, path, quality=quality, force=True)
        if path.stat().st_size < 60_000:
            break
    sys.stdout.write(f"{path} {path.stat().st_size // 1000} kB\n")
    sys.stdout.flush()


def masks() -> None:
    """Two paintings, divided at the horizon."""
    photo, sky = scene("harbour"), above(HORIZON)
    row("masks", photo, sky, made(photo, [art("nocturne"), art("lilies")], mask=[sky]))


def keep() -> None:
    """Fruit that stays in a drawing."""
    photo = scene("still_life")
    kept = things()
    row("keep", photo, kept, made(photo, art("hatching"), keep=kept))


def parts() -> None:
    """The sky or the field of one painting."""
    photo, wheat, sky = scene("harbour"), art("wheat"), above(0.45)
    row(
        *("parts", wheat, made(photo, wheat, style_mask=[sky])),
        made(photo, wheat, style_mask=[1 - sky]),
    )


def layers() -> None:
    """The palette of one painting, the strokes of another."""
    photo, pair = scene("harbour"), [art("stained_glass"), art("woodblock")]
    numbered = ["1:relu1_1", "1:relu2_1", "2:relu3_1", "2:relu4_1", "2:relu5_1"]
    row(
        *("layers", *pair, made(photo, pair, style_layers=numbered)),
        made(photo, pair, palette_from=1, style_blend=(0, 1)),
    )


def colours() -> None:
    """Every value of colors."""
    photo, wheat = scene("harbour"), art("wheat")
    names = ("style", "content", "match", "histogram", "recolor")
    row("colours", photo, *(made(photo, wheat, colors=name) for name in names))


def scales() -> None:
    """Small strokes, large ones, both; a painting and its turns."""
    photo, nocturne = scene("harbour"), art("nocturne")
    sizes: tuple[Any, ...] = (0.4, 2.0, (0.4, 2.0))
    turned = made(photo, art("hatching"), style_rotations=4)
    row("scales", *(made(photo, nocturne, style_scale=s) for s in sizes), turned)


def strength() -> None:
    """From the photo to the result."""
    photo, nocturne = scene("harbour"), art("nocturne")
    row("strength", *(made(photo, nocturne, alpha=a) for a in (0.0, 0.4, 0.7, 1.0)))


def together() -> None:
    """Three regions, three paintings, two sizes of each: one command."""
    photo, y = scene("harbour"), np.linspace(0, 1, SHAPE[0], dtype=np.float32)[:, None]
    inside = {"sky": y < 0.38, "hills": (y >= 0.38) & (y < HORIZON), "water": y >= HORIZON}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images.save(photo, folder / "photo.png")
        for place, rows in inside.items():
            mask = np.repeat(rows.astype(np.float32), SHAPE[1], axis=1)
            images.save(np.repeat(mask[..., None], 3, axis=2), folder / f"{place}.png")
        for painting in ("nocturne", "woodblock", "lilies"):
            images.save(art(painting), folder / f"{painting}.png")
        words = "photo.png nocturne.png woodblock.png lilies.png --mask sky.png hills.png water.png"
        words += f" --style-scale 0.5,1.5 --size {SIZE} --quality draft -o out.png"
        command = [sys.executable, "-m", "impasto", "stylize", *words.split()]
        subprocess.run(command, cwd=folder, check=True)
        where = sum(grey * images.load(folder / f"{place}.png").rgb
                    for place, grey in (("sky", 1.0), ("hills", 0.5)))  # fmt: skip
        row("together", photo, np.asarray(where), images.load(folder / "out.png").rgb)


PICTURES: dict[str, Callable[[], None]] = {
    f.__name__: f for f in (masks, keep, parts, layers, colours, scales, strength, together)
}

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for chosen in sys.argv[1:] or PICTURES:
        PICTURES[chosen]()
