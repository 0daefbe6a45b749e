"""Grounds and textures: canvas weave, paper, wood grain, and filled shapes with paint on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from impasto.samples.fields import Array, Frame, resize

Mask = NDArray[np.bool_]


def grain(frame: Frame, cell: tuple[float, float], rng: np.random.Generator) -> Array:
    """Smooth noise about [-1, 1], ``(H, W)``, of cells ``(height, width)`` in units."""
    rows = max(2, round(frame.tall / cell[0]) + 1)
    columns = max(2, round(frame.wide / cell[1]) + 1)
    lattice = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
    return resize(lattice, frame.height, frame.width)


def weave(frame: Frame, thread: float = 0.0075) -> Array:
    """Height in [0, 1] of a plain weave with threads ``thread`` units apart, ``(H, W)``."""
    x, y = frame.grid()
    warp = np.sin(x * np.float32(2 * np.pi / thread))
    weft = np.sin(y * np.float32(2 * np.pi / thread))
    over = np.sin(x * np.float32(np.pi / thread)) * np.sin(y * np.float32(np.pi / thread))
    return np.asarray(0.5 + 0.25 * (warp * (over > 0) + weft * (over <= 0)), np.float32)


def paper(frame: Frame, colour: ArrayLike, rng: np.random.Generator) -> Array:
    """Rag paper ``(H, W, 3)``: fibres, faint clouds and a little foxing of ``colour``."""
    fibres = 0.5 * grain(frame, (0.004, 0.012), rng) + 0.5 * grain(frame, (0.011, 0.004), rng)
    clouds = grain(frame, (0.25, 0.25), rng)
    foxing = np.clip(grain(frame, (0.05, 0.05), rng) - 0.55, 0, 1)
    light = 1 + 0.030 * fibres + 0.025 * clouds
    tint = np.asarray(colour, np.float32) * light[..., None]
    return np.asarray(
        tint - foxing[..., None] * np.array([0.03, 0.07, 0.12], np.float32), np.float32
    )


def polygon(frame: Frame, points: ArrayLike) -> Mask:
    """Pixels inside the polygon with corners ``(n, 2)`` in units, ``(H, W)``."""
    image = Image.new("1", (frame.width, frame.height))
    corners = np.asarray(points, np.float64) * frame.unit
    ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in corners], fill=1)
    return np.asarray(image, bool)


def disc(
    centre: tuple[float, float], radius: float, start: float = 0.0, turn: float = 1.0
) -> Array:
    """Corners of a disc, or of the part of it from ``start`` radians over ``turn`` rounds."""
    angle = start + np.linspace(0, 2 * np.pi * turn, 120)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius + centre
    if turn < 1:
        points = np.concatenate([points, [centre]])
    return points.astype(np.float32)
