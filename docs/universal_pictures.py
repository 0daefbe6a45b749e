"""Makes the pictures and the table of ``docs/universal.md``: ``python docs/universal_pictures.py``.

Every way to paint, from a light pass to a good optimisation, on samples that impasto draws. The
distances are seen by a network that none of them uses, the embedded classifier: of style, the
Wasserstein distance of its features' Gaussians to the painting's at four depths; of content, the
squared distance of deep features to the photo's; both relative, 0 is equal. A trained network takes
part where there is a model that knows the painting. Takes some minutes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import impasto
from impasto import backbones, images, networks, samples
from impasto.errors import UnknownName, UsageError
from impasto.images.resize import resize
from impasto.losses import LOSSES
from impasto.networks import shelf

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


def trained(art: str, photo: Array) -> Array | None:
    """By a trained network that knows the painting; None where there is none."""
    for name, path in shelf.names().items():
        if networks.read_card(path)[0] != "fast":
            continue
        try:
            return impasto.apply(name, photo, style=art, size=SIZE).array
        except (UnknownName, UsageError):
            continue
    return None


def painted(photo: Array, painting: Array, art: str) -> Iterator[tuple[str, Array, float]]:
    """Name, picture and seconds of every way; the second call of a quick one is timed."""
    for name, options in WAYS.items():
        quick = name not in ("draft", "draft from instant", "good")
        for _ in range(2 if quick else 1):
            begun = time.perf_counter()
            if options is None:
                picture = trained(art, photo)
            else:
                picture = impasto.stylize(photo, painting, size=SIZE, **options).array
            seconds = time.perf_counter() - begun
        if picture is not None:
            yield name, picture, seconds


def main() -> None:
    """The pictures, and the table on standard output."""
    judge = Judge()
    figures: dict[str, list[tuple[float, float, float]]] = {"the photo": []}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for number, (scene, art) in enumerate(PAIRS, 1):
        photo, painting = samples.photo(scene, (384, 512)), samples.painting(art, (384, 512))
        small = fitted(photo), fitted(painting)
        figures["the photo"].append((0.0, *judge(small[0], *small)))
        row = {}
        for name, picture, seconds in painted(photo, painting, art):
            figures.setdefault(name, []).append((seconds, *judge(picture, *small)))
            row[name] = picture
        tiles = [*small, *(row[name] for name in SHOWN)]
        sheet = np.concatenate([np.concatenate(tiles[i : i + 5], 1) for i in (0, 5)])
        images.save(sheet, FOLDER / f"ways-{number}.jpg", force=True)
    print("| way | seconds | style | content |\n|---|---|---|---|")
    for name, found in figures.items():
        seconds, style, content = np.mean(found, axis=0)
        print(f"| {name} | {seconds:.1f} | {style:.3f} | {content:.3f} |")


if __name__ == "__main__":
    main()
