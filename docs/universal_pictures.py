"""Makes the pictures and tables of ``docs/universal.md``: ``python docs/universal_pictures.py``.

Every way to paint, from a light pass to a good optimisation, on samples that impasto draws. The
distances are seen by a network that none of them uses, the embedded classifier: of style, the
Wasserstein distance of its features' Gaussians to the painting's at four depths; of content, the
squared distance of deep features to the photo's; both relative, 0 is equal. Takes some minutes.

``python docs/universal_pictures.py PHOTO PAINTING MODEL`` does it for a pair of one's own, with the
fast network MODEL, which knows the painting; its sheet shows results alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import impasto
from impasto import backbones, images, samples
from impasto.images.resize import resize
from impasto.losses import LOSSES

Array = npt.NDArray[np.float32]

FOLDER = Path(__file__).with_name("gallery") / "universal"
SIZE = 256
PAIRS = (("harbour", "nocturne"), ("still_life", "woodblock"))
FAST = "fast net"
WAYS: dict[str, dict[str, Any] | None] = {
    "instant, light": {"recipe": "instant", "quality": "instant"},
    "instant": {"quality": "instant"},
    "wct": {"recipe": "wct"},
    "adain": {"recipe": "adain"},
    "style-swap": {"recipe": "style-swap"},
    "photo": {"recipe": "photo"},
    FAST: None,
    "draft": {"quality": "draft"},
    "draft from instant": {"quality": "draft", "init": "instant"},
    "good": {"quality": "good"},
}
#: In the order of the picture, five in a row; the photo and the painting come first.
SHOWN = ("instant, light", "instant", "wct", "adain", "style-swap", "photo", "draft", "good")
#: Of a pair of one's own, four in a row.
OWN = ("instant, light", "instant", "wct", "adain", FAST, "draft", "draft from instant", "good")


def tensor(picture: Array) -> torch.Tensor:
    """(1, 3, H, W)."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None]


class Judge:
    """Distances by a network that took no part."""

    def __init__(self) -> None:
        self.eyes = backbones.load("efficientnet_lite0.in1k")
        self.layers = [level[-1] for level in self.eyes.levels][:4]

    @torch.no_grad()
    def __call__(self, made: Array, photo: Array, painting: Array) -> tuple[float, float]:
        """Of style and of content."""
        seen, own, theirs = (
            self.eyes.taps(tensor(p), self.layers) for p in (made, photo, painting)
        )
        style = LOSSES.get("wasserstein")(scale="relative")
        content = LOSSES.get("content")(scale="relative")
        errors = [float(style(seen[n], style.target(theirs[n]))) for n in self.layers]
        deep = self.layers[2]
        return sum(errors) / len(errors), float(content(seen[deep], content.target(own[deep])))


def fitted(picture: Array) -> Array:
    """At the size of the results."""
    height, width = picture.shape[:2]
    size = (round(height * SIZE / width), SIZE)
    return np.asarray(resize(tensor(picture), size).clamp(0, 1)[0].permute(1, 2, 0).numpy())


def painted(photo: Array, painting: Array, model: str) -> Iterator[tuple[str, Array, float]]:
    """Name, picture and seconds of every way; the second call of a quick one is timed."""
    for name, options in WAYS.items():
        if options is None and not model:
            continue
        quick = name not in ("draft", "draft from instant", "good")
        for _ in range(2 if quick else 1):
            begun = time.perf_counter()
            if options is None:
                picture = impasto.apply(model, photo, size=SIZE).array
            else:
                picture = impasto.stylize(photo, painting, size=SIZE, **options).array
            seconds = time.perf_counter() - begun
        yield name, picture, seconds


def compared(
    photo: Array, painting: Array, model: str, judge: Judge
) -> tuple[dict[str, Array], dict[str, tuple[float, float, float]]]:
    """Pictures, and seconds, style and content, by way."""
    small = fitted(photo), fitted(painting)
    pictures = {"photo itself": small[0], "painting": small[1]}
    figures = {"the photo": (0.0, *judge(small[0], *small))}
    for name, picture, seconds in painted(photo, painting, model):
        pictures[name] = picture
        figures[name] = (seconds, *judge(picture, *small))
    return pictures, figures


def sheet(pictures: dict[str, Array], names: tuple[str, ...], path: Path) -> None:
    """Two rows."""
    tiles, half = [pictures[n] for n in names], len(names) // 2
    rows = [np.concatenate(tiles[i : i + half], 1) for i in (0, half)]
    images.save(np.concatenate(rows), path, quality=82, force=True)


def printed(every: list[dict[str, tuple[float, float, float]]]) -> None:
    """The means as a table."""
    print("| way | seconds | style | content |\n|---|---|---|---|")
    for name in every[0]:
        seconds, style, content = np.mean([found[name] for found in every], axis=0)
        print(f"| {name} | {seconds:.1f} | {style:.3f} | {content:.3f} |")


def main(own: list[str]) -> None:
    """The pictures, and the table on standard output."""
    judge, every = Judge(), []
    FOLDER.mkdir(parents=True, exist_ok=True)
    if own:
        photo, painting = (images.load(path).rgb for path in own[:2])
        pictures, figures = compared(photo, painting, own[2], judge)
        sheet(pictures, OWN, FOLDER / "ways-own.jpg")
        printed([figures])
        return
    for number, (scene, art) in enumerate(PAIRS, 1):
        photo, painting = samples.photo(scene, (384, 512)), samples.painting(art, (384, 512))
        pictures, figures = compared(photo, painting, "", judge)
        sheet(pictures, ("photo itself", "painting", *SHOWN), FOLDER / f"ways-{number}.jpg")
        every.append(figures)
    printed(every)


if __name__ == "__main__":
    main(sys.argv[1:])
