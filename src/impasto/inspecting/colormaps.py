"""Colours for numbers: equal steps in value look like equal steps in brightness.

Both maps are curves in Oklab (Ottosson 2020), where distance is perceived difference: lightness
rises linearly along them, hue turns slowly, and chroma is as high as the curve allows inside
sRGB. Zero is the darkest colour in both, so that what is off looks off.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from impasto.images.colour import clip_gamut
from impasto.images.spaces import oklab_to_rgb

FloatArray = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

#: Entries of a table.
LEVELS = 256
#: What stands for values that do not exist (NaN).
NOTHING = (226, 221, 211)


def _curve(
    lightness: tuple[float, float], hue: tuple[float, float], chroma: tuple[float, float, float]
) -> FloatArray:
    """(LEVELS, 3) sRGB in [0, 1] along a curve in Oklab; hues in degrees.

    ``chroma`` is at the beginning, in the middle and at the end, joined by a parabola.
    """
    t = np.linspace(0, 1, LEVELS)
    light = lightness[0] + (lightness[1] - lightness[0]) * t
    angle = np.deg2rad(hue[0] + (hue[1] - hue[0]) * t)
    a, b, c = chroma
    amount = a * (1 - t) * (1 - 2 * t) + 4 * b * t * (1 - t) + c * t * (2 * t - 1)
    lab = np.stack([light, amount * np.cos(angle), amount * np.sin(angle)])
    rgb = clip_gamut(oklab_to_rgb(torch.from_numpy(lab)[None, :, None, :]))  # (1, 3, 1, LEVELS)
    table: FloatArray = rgb[0, :, 0].T.float().numpy()
    return table


@cache
def sequential() -> FloatArray:
    """From 0 (nearly black violet) over magenta and orange to 1 (pale yellow), (LEVELS, 3)."""
    return _curve((0.14, 0.97), (285, 470), (0.05, 0.19, 0.06))


@cache
def diverging() -> FloatArray:
    """From -1 (pale blue) over 0 (nearly black) to 1 (pale orange), (LEVELS, 3)."""
    cold = _curve((0.14, 0.94), (265, 225), (0.02, 0.14, 0.05))
    warm = _curve((0.14, 0.94), (25, 80), (0.02, 0.15, 0.06))
    table = np.concatenate([cold[::-2], warm[::2]])
    return np.ascontiguousarray(table)


def coloured(values: npt.ArrayLike, low: float, high: float) -> Bytes:
    """Numbers as colours.

    Args:
        values: (H, W); NaN is drawn as :data:`NOTHING`.
        low: What is 0 of the map; below 0 the diverging map is used, symmetric about 0.
        high: What is 1 of the map.

    Returns:
        (H, W, 3) uint8.
    """
    numbers = np.asarray(values, np.float64)
    signed = low < 0
    if signed:
        high = max(abs(low), abs(high))
        low = -high
    span = high - low
    share = (numbers - low) / span if span > 0 else np.full_like(numbers, 0.5 * signed)
    absent = ~np.isfinite(share)
    index = np.clip(np.where(absent, 0, share) * (LEVELS - 1) + 0.5, 0, LEVELS - 1).astype(np.intp)
    table = diverging() if signed else sequential()
    pixels: Bytes = np.clip(table[index] * 255 + 0.5, 0, 255).astype(np.uint8)
    pixels[absent] = NOTHING
    return pixels
