"""Pictures, masks and a quick job for the tests of control."""

from __future__ import annotations

from typing import Any

import numpy as np

from impasto import images, samples
from impasto.events import Finished
from impasto.images import FloatArray, Picture
from impasto.recipes import Schedule
from impasto.specs import StylizeSpec
from impasto.styling.inputs import Inputs
from impasto.styling.plan import resolve
from impasto.styling.run import Stylization
from impasto.testing import thin_vgg

NET = thin_vgg(pooling="avg")
PHOTO = images.load(samples.photo("harbour", (96, 128)))
ARTS = tuple(images.load(samples.painting(n, (80, 100))) for n in ("nocturne", "wheat"))
QUICK = Schedule(ratio=2.0, smallest=24, steps={"good": (4, 5)})


def plain(colour: tuple[float, float, float], size: tuple[int, int] = (80, 100)) -> FloatArray:
    return np.broadcast_to(np.float32(colour), (*size, 3)).copy()


def speckled(colour: tuple[float, float, float], seed: int = 0) -> FloatArray:
    """A painting of one colour with some noise, so that it has statistics."""
    noise = np.random.default_rng(seed).normal(0, 0.05, (80, 100, 1))
    return np.clip(plain(colour) + noise, 0, 1).astype(np.float32)


def half(side: str, size: tuple[int, int] = (96, 128)) -> Picture:
    """A mask that is white on one side: left, right, top or bottom."""
    mask = np.zeros(size, np.float32)
    height, width = size[0] // 2, size[1] // 2
    place = {
        "left": np.s_[:, :width],
        "right": np.s_[:, width:],
        "top": np.s_[:height],
        "bottom": np.s_[height:],
    }
    mask[place[side]] = 1
    return images.load(mask)


def job(
    arts: tuple[Picture, ...] = ARTS[:1],
    masks: tuple[Picture, ...] = (),
    style_masks: tuple[Picture, ...] = (),
    keep: Picture | None = None,
    photo: Picture = PHOTO,
    schedule: Schedule = QUICK,
    **options: Any,
) -> Stylization:
    values = {"size": 48, "mask_soften": 0} | options
    spec = StylizeSpec.build(
        content="p",
        style=tuple("abcdefgh"[: len(arts)]),
        mask=tuple(f"m{i}" for i in range(len(masks))),
        style_mask=tuple(f"s{i}" for i in range(len(style_masks))),
        keep="k" if keep else None,
        **values,
    )
    chosen = resolve(spec).model_copy(update={"schedule": schedule, "quality": "good"})
    inputs = Inputs(photo, arts, None, masks, style_masks, keep)
    return Stylization(spec, chosen, inputs, backbone=NET)


def finish(run: Stylization) -> Finished:
    *_, last = run.events()
    assert isinstance(last, Finished)
    return last
