"""Makes the pictures of ``docs/gallery/visualize.md``: ``python docs/visualize_pictures.py``.

Takes about eight minutes on one core. Names as arguments make only those; finished parts are kept
in the folder ``IMPASTO_PICTURES`` names (default a temporary one) and not made twice.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

import impasto
from impasto import images, samples
from impasto.visualizing.sheet import sheet

Array = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

FOLDER = Path(__file__).with_name("gallery") / "visualize"
KEPT = Path(os.environ.get("IMPASTO_PICTURES", Path(tempfile.gettempdir()) / "impasto-pictures"))
#: Of a picture, and in the sheets of four depths; deep units look at more than that.
SIZE = 160
DEEP = {"relu5_2": 224, "block14": 224}
VGG, LITE = "vgg16_bn.craft", "efficientnet_lite0.in1k"
#: Four depths, three channels each.
DEPTHS = {
    VGG: {
        "relu2_2": (3, 40, 70),
        "relu3_3": (5, 33, 140),
        "relu4_3": (7, 61, 330),
        "relu5_2": (9, 77, 404),
    },
    LITE: {
        "block2": (1, 6, 20),
        "block5": (4, 21, 47),
        "block10": (5, 62, 101),
        "block14": (8, 44, 150),
    },
}
CLASSES = (
    *("goldfish", "flamingo", "peacock", "monarch", "tarantula"),
    *("daisy", "strawberry", "beacon", "volcano", "pirate"),
)


def made(name: str, **options: Any) -> Bytes:
    """A picture in 8 bits, from the folder if it is there."""
    path = KEPT / f"{name}.png"
    if not path.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        impasto.visualize(**{"size": SIZE, "device": "cpu"} | options, output=str(path))
        sys.stdout.write(f"{path.name}\n")
        sys.stdout.flush()
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def written(name: str, pictures: list[Bytes], titles: list[str], columns: int) -> None:
    """A sheet as a JPEG below 150 kB."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    whole = np.asarray(sheet(pictures, titles, columns), np.float32) / np.float32(255)
    path = FOLDER / f"{name}.jpg"
    for quality in (85, 78, 70, 60, 50):
        images.save(whole, path, quality=quality, force=True)
        if path.stat().st_size < 150_000:
            break
    sys.stdout.write(f"{path} {path.stat().st_size // 1000} kB\n")


def channels(name: str, network: str, steps: int) -> None:
    """A column per depth, shallow to deep."""
    pictures, titles = [], []
    for row in zip(*DEPTHS[network].values(), strict=True):
        for layer, number in zip(DEPTHS[network], row, strict=True):
            unit = {"backbone": network, "layer": layer, "channel": number}
            size = DEEP.get(layer, SIZE)
            one = made(f"{name}-{layer}-{number}", **unit, size=size, iterations=steps)
            small = Image.fromarray(one).resize((SIZE, SIZE), Image.Resampling.LANCZOS)
            pictures.append(np.asarray(small))
            titles.append(f"{layer}:{number}")
    written(name, pictures, titles, 4)


def vgg() -> None:
    """Four depths of the default network."""
    channels("vgg", VGG, 96)


def lite() -> None:
    """Four depths of the classifier."""
    channels("lite", LITE, 128)


def classes() -> None:
    """Ten classes."""
    pictures = [
        made(f"class-{c}".replace(" ", "_"), class_=c, size=192, iterations=190) for c in CLASSES
    ]
    written("classes", pictures, list(CLASSES), 5)


def recipes() -> None:
    """One unit by every recipe."""
    unit: dict[str, Any] = {"backbone": LITE, "layer": "block10", "channel": 62}
    names = ("plain", "yosinski", "yosinski-norm", "yosinski-contribution", "cppn", "impasto")
    steps = {"plain": 128, "cppn": 192, "impasto": 128}
    pictures = [made(f"recipe-{n}", **unit, recipe=n, iterations=steps.get(n, 128)) for n in names]
    written("recipes", pictures, list(names), 6)


def together() -> None:
    """Two units and what lies between; four different pictures of one."""
    ends = ("block10:5", "block10:62")
    mixed = [
        made(
            f"between-{i}",
            objective=f"{1 - i / 4:g} * {ends[0]} + {i / 4:g} * {ends[1]}",
            backbone=LITE,
            iterations=96,
        )
        for i in range(5)
    ]
    titles = [f"{100 - 25 * i} % : {25 * i} %" for i in range(5)]
    written("between", mixed, titles, 5)
    apart = made("diverse", backbone=LITE, layer="block10", channel=101, diversity=4, iterations=96)
    written("diverse", [apart], [""], 1)


def started() -> None:
    """A photo pushed towards a class; the direction of a painting."""
    photo = samples.photo("harbour", (192, 256))
    painting = samples.painting("wheat", (192, 256))
    towards = made("towards", class_="volcano", init=photo, size=224, iterations=48)
    direction = made(
        "direction", backbone=VGG, layer="relu4_1", direction=painting, iterations=64, size=128
    )
    shown = [_fitted(a) for a in (photo, towards, painting, direction)]
    written("started", shown, ["photo", "towards volcano", "painting", "its relu4_1"], 4)


def _fitted(picture: Any) -> Bytes:
    values = np.asarray(picture)
    if values.dtype != np.uint8:
        values = (values * 255 + 0.5).astype(np.uint8)
    return np.asarray(Image.fromarray(values).resize((224, 168), Image.Resampling.LANCZOS))


PICTURES: dict[str, Callable[[], None]] = {
    f.__name__: f for f in (vgg, lite, classes, recipes, together, started)
}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or PICTURES:
        PICTURES[chosen]()
