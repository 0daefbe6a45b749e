"""Sample pictures drawn by our own code: paintings for style, photo-like scenes for content.

Everything is computed from a seed with numpy and Pillow, nothing is downloaded or stored. The
pictures belong to the project and carry its licence. A painting is one file and one line below.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

from impasto.errors import UsageError
from impasto.registry import Registry
from impasto.samples import (
    geometric,
    harbour,
    hatching,
    lilies,
    nocturne,
    stained_glass,
    still_life,
    wheat,
    woodblock,
)
from impasto.samples.fields import Array

__all__ = ["PAINTINGS", "PHOTOS", "names", "painting", "photo", "photo_names"]

MIN_SIDE, MAX_SIDE = 64, 2048

Painter = Callable[[tuple[int, int], np.random.Generator], Array]
"""Draws ``(height, width)`` with the given generator: ``(H, W, 3)`` float32 sRGB in [0, 1]."""

PAINTINGS: Registry[Painter] = Registry("painting")
PAINTINGS.add("nocturne", nocturne.paint)
PAINTINGS.add("wheat", wheat.paint)
PAINTINGS.add("lilies", lilies.paint)
PAINTINGS.add("stained_glass", stained_glass.paint)
PAINTINGS.add("woodblock", woodblock.paint)
PAINTINGS.add("hatching", hatching.paint)
PAINTINGS.add("geometric", geometric.paint)

PHOTOS: Registry[Painter] = Registry("sample photo")
PHOTOS.add("harbour", harbour.paint)
PHOTOS.add("still_life", still_life.paint)


def names() -> list[str]:
    """Names of the sample paintings."""
    return PAINTINGS.names()


def photo_names() -> list[str]:
    """Names of the photo-like scenes."""
    return PHOTOS.names()


def painting(name: str, size: tuple[int, int] = (512, 640), seed: int = 0) -> Array:
    """A sample painting.

    Args:
        name: One of :func:`names`.
        size: Height and width in pixels, each from 64 to 2048. The composition does not depend
            on it: a small picture is the large one seen from further away.
        seed: Another seed gives another picture of the same subject; 0 or more.

    Returns:
        ``(H, W, 3)`` float32 sRGB in [0, 1], the same bytes for the same arguments.

    Raises:
        UnknownName: There is no such painting.
        UsageError: The size or the seed is out of range.
    """
    return _draw(PAINTINGS, name, size, seed)


def photo(name: str, size: tuple[int, int] = (512, 640), seed: int = 0) -> Array:
    """A rendered scene with the smooth gradients and clear shapes of a photo.

    Args:
        name: One of :func:`photo_names`.
        size: Height and width in pixels, each from 64 to 2048.
        seed: Another seed moves and recolours the things in the scene; 0 or more.

    Returns:
        ``(H, W, 3)`` float32 sRGB in [0, 1], the same bytes for the same arguments.

    Raises:
        UnknownName: There is no such scene.
        UsageError: The size or the seed is out of range.
    """
    return _draw(PHOTOS, name, size, seed)


def _draw(registry: Registry[Painter], name: str, size: tuple[int, int], seed: int) -> Array:
    painter = registry.get(name)
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in size):
        height, width = size
        raise UsageError(
            f"sample pictures have sides of {MIN_SIDE} to {MAX_SIDE} pixels, got {height}x{width}",
            hint="draw it within that range and resize it",
        )
    if operator.index(seed) < 0:
        raise UsageError(f"the seed must be 0 or more, got {seed}")
    return painter((int(size[0]), int(size[1])), np.random.default_rng(seed))
