"""Makes the picture and the table of ``docs/universal.md``: ``python docs/universal_pictures.py``.

Every way to paint, from a light pass to a good optimisation, on samples that impasto draws. The
distances are seen by a network that none of them uses, the embedded classifier: of style, the
Wasserstein distance of its features' Gaussians to the painting's at four depths; of content, the
squared distance of deep features to the photo's; both relative, 0 is equal. Takes some minutes.
"""

from __future__ import annotations

import time
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
WAYS: dict[str, dict[str, Any]] = {
    "instant, light": {"recipe": "instant", "quality": "instant"},
    "instant": {"quality": "instant"},
    "wct": {"recipe": "wct"},
    "adain": {"recipe": "adain"},
    "style-swap": {"recipe": "style-swap"},
    "photo": {"recipe": "photo"},
    "draft": {"quality": "draft"},
    "draft from instant": {"quality": "draft", "init": "instant"},
    "good": {"quality": "good"},
}


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


def main() -> None:
    """The pictures, a row per pair, and the table on standard output."""
    judge, rows = Judge(), []
    figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in WAYS}
    for scene, art in PAIRS:
        photo, painting = samples.photo(scene, (384, 512)), samples.painting(art, (384, 512))
        small = [fitted(photo), fitted(painting)]
        row = list(small)
        for name, options in WAYS.items():
            begun = time.perf_counter()
            picture = impasto.stylize(photo, painting, size=SIZE, **options).array
            seconds = time.perf_counter() - begun
            figures[name].append((seconds, *judge(picture, *small)))
            row.append(picture)
        rows.append(row)
    print("| way | seconds | style | content |\n|---|---|---|---|")
    plain = [(0.0, *judge(r[0], r[0], r[1])) for r in rows]
    for name, found in {"the photo": plain, **figures}.items():
        seconds, style, content = np.mean(found, axis=0)
        print(f"| {name} | {seconds:.1f} | {style:.3f} | {content:.3f} |")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(rows, 1):
        halves = [np.concatenate(row[:5], 1), np.concatenate([*row[5:8], row[8], row[10]], 1)]
        images.save(np.concatenate(halves), FOLDER / f"ways-{number}.jpg", force=True)


if __name__ == "__main__":
    main()
