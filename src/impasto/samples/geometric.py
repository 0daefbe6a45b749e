"""Bold plain shapes that float on a diagonal: brushed primaries on a woven ground."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from impasto.samples.brush import Brush, Canvas, Strokes, blank, finish, lay, spread, straight, vary
from impasto.samples.fields import Array, Frame, hexes
from impasto.samples.surface import disc, polygon, weave

GROUND = hexes("ece2cb")[0]
RED, BLUE, YELLOW, BLACK, GREEN, ROSE, GREY = hexes(
    "c8271b", "1d3f94", "f2b516", "17161a", "1f6b4f", "e3a79a", "8d8f8c"
)


@dataclass(frozen=True)
class Bar:
    """A bar or wedge: centre in fractions, sides in units, turn against the main diagonal.

    ``taper`` is the width of its first end as a share of the other; 0 makes a triangle.
    """

    at: tuple[float, float]
    long: float
    wide: float
    colour: Array
    turn: float = 0.0
    taper: float = 1.0


LARGE = (
    Bar((0.40, 0.50), 0.62, 0.27, BLACK, taper=0.72),
    Bar((0.60, 0.645), 0.74, 0.085, RED),
    Bar((0.255, 0.26), 0.30, 0.165, YELLOW, 0.10),
    Bar((0.80, 0.70), 0.22, 0.20, BLUE, -0.16, 0.0),
)
SMALL = (
    Bar((0.51, 0.30), 0.86, 0.012, BLACK, 1.20),
    Bar((0.50, 0.79), 0.50, 0.034, YELLOW, 0.03),
    Bar((0.545, 0.845), 0.36, 0.014, BLACK, 0.05),
    Bar((0.375, 0.455), 0.34, 0.042, GROUND),
    Bar((0.44, 0.555), 0.20, 0.024, RED),
    Bar((0.86, 0.155), 0.20, 0.040, GREEN, 0.06),
    Bar((0.885, 0.215), 0.13, 0.018, BLACK, 0.06),
    Bar((0.16, 0.50), 0.30, 0.016, BLUE, 1.32),
    Bar((0.105, 0.13), 0.10, 0.056, GREY, 0.4),
    Bar((0.72, 0.335), 0.30, 0.011, BLACK, 0.8),
)

Shape = tuple[Array, Array, float]
"""Corners ``(n, 2)`` in units, colour, direction of the brush in radians."""


def paint(size: tuple[int, int], rng: np.random.Generator) -> Array:
    """A suprematist composition, ``(H, W, 3)`` sRGB in [0, 1]."""
    canvas = _ground(blank(*size, GROUND * 0.92), rng)
    streaks = _streaks(rng)
    tilt = -0.52 + rng.normal(0, 0.06)
    large, small = _composition(canvas.frame, tilt, rng)
    for shape in large:
        canvas = _loaded(canvas, shape, rng)
    for shape in small:
        canvas = _brushed(canvas, shape, streaks, rng)
    relief = canvas.relief + np.float32(0.0010) * weave(canvas.frame)
    return finish(replace(canvas, relief=relief), size, depth=0.9)


def _ground(canvas: Canvas, rng: np.random.Generator) -> Canvas:
    """Cream paint put on crosswise with a wide brush; warm linen shows between the hairs."""
    for spacing, width, length in ((0.062, 0.060, 0.20), (0.045, 0.030, 0.13)):
        x, y = spread(canvas.frame, spacing, rng)
        angle = rng.choice([-0.35, 0.25], len(x)) + rng.normal(0, 0.2, len(x))
        path = straight(x, y, angle, length * rng.uniform(0.6, 1.3, len(x)), 0.06)
        creams = hexes("f1e8d2", "ece1c9", "f4eddc", "e8dcc3", "ede5d6")
        colour = vary(creams[rng.integers(0, len(creams), len(x))], 0.010, rng)
        wide = (width * rng.uniform(0.7, 1.3, len(x))).astype(np.float32)
        strokes = Strokes(path, wide, colour, vary(colour * np.float32(0.96), 0.012, rng))
        canvas = lay(canvas, strokes, Brush(hairs=14, dry=0.3, grain=0.06, load=0.14), rng)
    return canvas


def _loaded(canvas: Canvas, shape: Shape, rng: np.random.Generator) -> Canvas:
    """A large shape filled with long strokes of a full brush, cut clean at its outline."""
    corners, colour, angle = shape
    low, high = corners.min(0) - 0.04, corners.max(0) + 0.04
    count = int(np.prod(high - low) / 0.0013)
    x, y = (rng.uniform(low[c], high[c], count).astype(np.float32) for c in (0, 1))
    path = straight(x, y, angle + rng.normal(0, 0.06, count), 0.13 * rng.uniform(0.6, 1.3, count))
    width = (0.024 * rng.uniform(0.6, 1.3, count)).astype(np.float32)
    paint_ = vary(np.broadcast_to(colour, (count, 3)), 0.04, rng)
    second = vary(paint_ * np.float32(0.86) + np.float32(0.03), 0.05, rng)
    where = polygon(canvas.frame, corners)
    under = np.where(where[..., None], colour, canvas.colour)
    strokes = Strokes(path, width, paint_, second)
    full = lay(replace(canvas, colour=under), strokes, Brush(hairs=12, dry=0.2, load=0.45), rng)
    mixed = np.where(where[..., None], full.colour, canvas.colour)
    relief = np.where(where, full.relief + np.float32(0.002), canvas.relief)
    return replace(canvas, colour=mixed, relief=relief)


def _streaks(rng: np.random.Generator) -> Array:
    """A periodic 512 x 512 tile of bristle marks along x, about [-1, 1]."""
    fine = rng.uniform(-1, 1, (512, 8))
    slow = rng.uniform(-1, 1, (64, 8)).repeat(8, axis=0)
    knots = np.arange(512) / 64
    i, t = knots.astype(int), knots % 1
    both = 0.6 * fine + 0.5 * slow
    along = both[:, i] * (1 - t) + both[:, (i + 1) % 8] * t
    return np.asarray(along, np.float32)


def _brushed(canvas: Canvas, shape: Shape, streaks: Array, rng: np.random.Generator) -> Canvas:
    """One shape: bristle marks along its direction, a slightly raised rim, uneven coverage."""
    corners, colour, angle = shape
    frame = canvas.frame
    where = polygon(frame, corners)
    i, j = np.nonzero(where)
    if not len(i):
        return canvas
    x, y = j / np.float32(frame.unit), i / np.float32(frame.unit)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    shift = int(rng.integers(0, 512))
    u = (along * 300 + 9 * np.sin(across * 31) + shift).astype(np.int64) % 512
    v = (across * 420 + 2 * np.sin(along * 13) + shift).astype(np.int64) % 512
    mark = streaks[v, u]
    light = (1 + 0.11 * mark + 0.05 * np.sin(along * 7 + shift))[:, None] * colour
    thin = np.clip(np.abs(mark) * 1.6 - 1.25, 0, 0.5)[:, None]
    painted, relief = canvas.colour.copy(), canvas.relief.copy()
    painted[where] = light * (1 - thin) + painted[where] * thin + 0.015 * mark[:, None]
    relief[where] = 0.3 * relief[where] + 0.0024 + 0.0012 * mark
    return replace(canvas, colour=painted.astype(np.float32), relief=relief.astype(np.float32))


def _composition(
    frame: Frame, tilt: float, rng: np.random.Generator
) -> tuple[list[Shape], list[Shape]]:
    """Large shapes and small ones, lowest first; the seed shifts and scales each of them."""
    large = [
        _round(frame, (0.70, 0.34), 0.215, ROSE, tilt, rng),
        *(_bar(frame, tilt, row, rng) for row in LARGE[:2]),
        _round(frame, (0.715, 0.33), 0.118, RED, tilt, rng),
        *(_bar(frame, tilt, row, rng) for row in LARGE[2:]),
        _round(frame, (0.21, 0.80), 0.115, BLUE, tilt, rng, turn=0.5),
    ]
    small = [_bar(frame, tilt, row, rng) for row in SMALL]
    fall = rng.uniform(0.045, 0.06)
    for k in range(5):
        side = 0.054 - 0.008 * k
        row = Bar((0.855 + 0.022 * k, 0.52 - fall * k), side, side, BLACK)
        small.append(_bar(frame, tilt, row, None))
    for k, colour in enumerate((RED, BLACK, BLUE)):
        at = (0.32 + 0.055 * k, 0.115 - 0.018 * k)
        small.append(_round(frame, at, 0.020 - 0.004 * k, colour, tilt, rng))
    return large, small


def _bar(frame: Frame, tilt: float, bar: Bar, rng: np.random.Generator | None) -> Shape:
    """The bar on the picture, a little moved and stretched when there is a generator."""
    dx, dy, turn, stretch = (0, 0, 0, 0) if rng is None else rng.normal(0, 1, 4)
    angle = tilt + bar.turn + 0.02 * turn
    cx, cy = frame.place(bar.at[0] + 0.012 * dx, bar.at[1] + 0.012 * dy)
    half = (bar.long * (1 + 0.03 * stretch) / 2, bar.wide / 2)
    box = np.array([(-1, -bar.taper), (1, -1), (1, 1), (-1, bar.taper)]) * half
    turned = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    return (box @ turned + (cx, cy)).astype(np.float32), bar.colour, angle


def _round(
    frame: Frame,
    at: tuple[float, float],
    radius: float,
    colour: Array,
    tilt: float,
    rng: np.random.Generator,
    *,
    turn: float = 1.0,
) -> Shape:
    """A disc, or the part of one."""
    centre = frame.place(at[0] + rng.normal(0, 0.008), at[1] + rng.normal(0, 0.008))
    corners = disc(centre, radius * rng.uniform(0.94, 1.06), tilt + np.pi / 2, turn)
    return corners, colour, tilt + 0.9
