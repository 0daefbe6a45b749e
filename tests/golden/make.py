"""Makes the golden arrays: `python tests/golden/make.py`. Look at the diff before you commit it.

They are plain .npy files. A change of them means that pictures change.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from impasto import images, samples
from impasto.backbones import load
from impasto.recipes import Schedule
from impasto.specs import StylizeSpec
from impasto.styling.inputs import Inputs
from impasto.styling.plan import resolve
from impasto.styling.run import Stylization
from impasto.testing import gradient_picture, thin_vgg

FOLDER = Path(__file__).parent
LAYERS = ("relu1_1", "relu2_2", "relu3_3", "relu4_2", "relu5_1")


def embedded_features() -> np.ndarray:
    """Mean activation of the first 32 channels of five layers of the default network, (5, 32)."""
    taps = load(pooling="avg").taps(gradient_picture(64, 80), LAYERS)
    return np.stack([taps[n].mean((0, 2, 3))[:32].numpy() for n in LAYERS])


def small_run() -> np.ndarray:
    """A run of two scales on the small network, every 4th pixel of the result, (9, 12, 3)."""
    photo = images.load(samples.photo("harbour", (96, 128)))
    painting = images.load(samples.painting("nocturne", (80, 100)))
    spec = StylizeSpec.build(content="p", style=("a",), size=48, optimizer="adam")
    schedule = Schedule(ratio=2.0, smallest=24, steps={"good": (6, 8)})
    recipe = resolve(spec).model_copy(update={"schedule": schedule, "quality": "good"})
    run = Stylization(spec, recipe, Inputs(photo, (painting,)), backbone=thin_vgg(pooling="avg"))
    *_, last = run.events()
    return last.image[::4, ::4]


ARRAYS = {"embedded_features": embedded_features, "small_run": small_run}

if __name__ == "__main__":
    with torch.random.fork_rng():
        for name, make in ARRAYS.items():
            np.save(FOLDER / f"{name}.npy", make().astype(np.float32))
