"""A bristle brush: thousands of curved strokes laid at once, with colour and paint thickness.

A stroke is a strip of ``U x V`` points along and across a curved path. All strips of a layer are
scattered into one index buffer, later ones over earlier ones; only the points that stay visible
are then coloured. Each hair of the brush has its own mixture of the two colours on the brush and
its own thickness; the thickness of the whole canvas is lit from one side at the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from impasto.samples.fields import GUIDE, Array, Frame, lookup, resize, supersampled

Mask = NDArray[np.bool_]
OVERSAMPLE = 1.45
"""Points of a strip per pixel, along each axis: fewer leave holes in slanted strokes."""
CHUNK = 1 << 20
"""Points scattered at a time; bounds the memory, not the look."""


@dataclass(frozen=True)
class Brush:
    """How a brush marks.

    Attributes:
        hairs: Bristles across the stroke.
        dry: Share of the hairs that run out of paint before the end, in [0, 1].
        ragged: Length of the torn ends, as a share of the stroke.
        streak: How far hairs differ in colour, in [0, 1].
        grain: How far hairs differ in lightness, in [0, 1].
        load: Thickness of the paint; 1 is a full brush.
        taper: 0 is a flat brush with round corners, 1 is a leaf pointed at both ends.
    """

    hairs: int = 9
    dry: float = 0.25
    ragged: float = 0.12
    streak: float = 0.8
    grain: float = 0.16
    load: float = 1.0
    taper: float = 0.3


@dataclass(frozen=True)
class Strokes:
    """A layer of ``N`` strokes in the order in which they are laid.

    Attributes:
        path: ``(N, K, 2)`` x and y in units.
        width: ``(N,)`` in units.
        colour: ``(N, 3)`` sRGB, the paint on the brush.
        second: ``(N, 3)`` sRGB, the paint that some hairs picked up.
    """

    path: Array
    width: Array
    colour: Array
    second: Array

    def take(self, index: NDArray[np.int64]) -> Strokes:
        """The strokes at ``index``, in that order."""
        return Strokes(self.path[index], self.width[index], self.colour[index], self.second[index])


@dataclass(frozen=True)
class Canvas:
    """A painting in progress: ``colour`` ``(H, W, 3)`` sRGB and paint thickness ``(H, W)``."""

    frame: Frame
    colour: Array
    relief: Array


def blank(height: int, width: int, ground: ArrayLike, least: int = 320) -> Canvas:
    """A canvas for a picture of ``height`` x ``width``, with room for supersampling.

    Args:
        height: Height of the finished picture, in pixels.
        width: Its width.
        ground: Colour ``(3,)``, or a picture ``(h, w, 3)`` that is stretched over the canvas.
        least: Pixels of the shorter side of the raster that is drawn on, see
            :func:`~impasto.samples.fields.supersampled`.
    """
    frame = supersampled(height, width, least)
    shape = (frame.height, frame.width)
    under = np.asarray(ground, np.float32)
    colour = resize(under, *shape) if under.ndim == 3 else np.broadcast_to(under, (*shape, 3))
    return Canvas(frame, np.ascontiguousarray(colour), np.zeros(shape, np.float32))


def lay(canvas: Canvas, strokes: Strokes, brush: Brush, rng: np.random.Generator) -> Canvas:
    """The canvas after one more layer; an empty layer changes nothing."""
    stamp = _stamp(canvas.frame, strokes, brush, rng)
    kind = rng.integers(0, len(stamp.shape), len(strokes.path))
    if not len(strokes.path):
        return canvas
    index = _scatter(canvas.frame, strokes, stamp, kind)
    seen = np.flatnonzero(index >= 0)
    which, point = np.divmod(index[seen], stamp.hair[0].size)
    texel = kind[which] * stamp.hair[0].size + point
    hair, tint = stamp.hair.ravel()[texel], stamp.tint.ravel()[texel]
    paint = strokes.colour[which]
    paint = paint + (strokes.second[which] - paint) * (brush.streak * tint)[:, None]
    paint = paint * (1 + brush.grain * (hair - 0.5))[:, None]
    colour, relief = canvas.colour.copy(), canvas.relief.copy()
    colour.reshape(-1, 3)[seen] = paint
    thickness = brush.load * strokes.width[which] * stamp.bulk.ravel()[texel]
    relief.ravel()[seen] = 0.35 * relief.ravel()[seen] + thickness
    return replace(canvas, colour=colour, relief=relief)


@dataclass(frozen=True)
class _Stamp:
    """Marks of one brush, ``(M, U, V)``: where paint goes, hair lightness, tint, thickness."""

    shape: Mask
    hair: Array
    tint: Array
    bulk: Array


def _stamp(frame: Frame, strokes: Strokes, brush: Brush, rng: np.random.Generator) -> _Stamp:
    steps = np.linalg.norm(np.diff(strokes.path, axis=1), axis=2).sum(1)
    length = float(steps.max(initial=0.0)) * frame.unit
    across = float(strokes.width.max(initial=0.0)) * frame.unit
    u_count = max(4, math.ceil(length * OVERSAMPLE))
    v_count = max(3, math.ceil(across * OVERSAMPLE))
    kinds = 24
    u = np.linspace(0, 1, u_count, dtype=np.float32)[None, :, None]
    v = np.linspace(-1, 1, v_count, dtype=np.float32)[None, None, :]
    hair = _streaks(rng, kinds, (5, brush.hairs), (u_count, v_count))
    tint = _streaks(rng, kinds, (3, max(2, brush.hairs // 2)), (u_count, v_count))
    torn = brush.ragged * _streaks(rng, kinds, (2, brush.hairs * 2), (u_count, v_count))
    aspect = min(0.5, 0.5 * max(across, 1.0) / max(length, 1.0))
    cap = aspect * (1 - np.sqrt(1 - 0.999 * v * v))
    edge = (4 * u * (1 - u)) ** (0.5 * brush.taper)
    shape = (u >= cap + 0.4 * torn) & (u <= 1 - cap - torn) & (np.abs(v) <= edge * (1 - 0.1 * torn))
    shape &= hair > brush.dry * (u - 0.25)
    # Paint is pushed to the rim of a stroke and piles up where the brush is lifted.
    rim = 0.55 + 0.45 * np.abs(v) ** 3 + 0.35 * u**6
    bulk = (rim * (0.35 + 0.65 * hair) * np.sqrt(1 - 0.8 * v**8)).astype(np.float32)
    return _Stamp(shape, hair, np.clip(2.2 * tint - 0.6, 0, 1), bulk)


def _streaks(
    rng: np.random.Generator, kinds: int, cells: tuple[int, int], shape: tuple[int, int]
) -> Array:
    """Noise in [0, 1], ``(kinds, *shape)``: long along the stroke, narrow across it."""
    lattice = rng.random((kinds, *cells), dtype=np.float32)
    along, across = _weights(cells[0], shape[0]), _weights(cells[1], shape[1])
    return np.asarray(np.einsum("uk,mkl,vl->muv", along, lattice, across, optimize=True))


def _weights(cells: int, count: int) -> Array:
    """``(count, cells)`` weights of linear interpolation over evenly spaced knots."""
    at = np.linspace(0, cells - 1, count)[:, None]
    return np.asarray(np.clip(1 - np.abs(at - np.arange(cells)), 0, 1), np.float32)


def _scatter(
    frame: Frame, strokes: Strokes, stamp: _Stamp, kind: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Index of the topmost ``(stroke, u, v)`` at every pixel, -1 where there is none."""
    _, u_count, v_count = stamp.shape.shape
    size = u_count * v_count
    index = np.full(frame.height * frame.width, -1, np.int64)
    weights = _weights(strokes.path.shape[1], u_count)
    v = np.linspace(-0.5, 0.5, v_count, dtype=np.float32) * np.float32(frame.unit)
    step = max(1, CHUNK // size)
    for first in range(0, len(strokes.path), step):
        part = slice(first, first + step)
        spine = np.einsum("uk,nkc->nuc", weights, strokes.path[part], optimize=True)
        normal = _normals(spine) * strokes.width[part, None, None]
        x = spine[..., 0, None] * np.float32(frame.unit) + normal[..., 0, None] * v
        y = spine[..., 1, None] * np.float32(frame.unit) + normal[..., 1, None] * v
        keep = stamp.shape[kind[part]]
        keep &= (x >= 0) & (x < frame.width) & (y >= 0) & (y < frame.height)
        pixel = y[keep].astype(np.int32) * frame.width + x[keep].astype(np.int32)
        index[pixel] = np.flatnonzero(keep) + first * size
    return index


def _normals(spine: Array) -> Array:
    """Unit normals of paths ``(N, U, 2)``."""
    along = np.gradient(spine, axis=1)
    along /= np.maximum(np.linalg.norm(along, axis=2, keepdims=True), 1e-9)
    return np.stack([-along[..., 1], along[..., 0]], axis=-1).astype(np.float32)


def finish(
    canvas: Canvas,
    size: tuple[int, int],
    *,
    depth: float = 1.0,
    light: tuple[float, float] = (-0.6, -0.8),
) -> Array:
    """The picture ``(H, W, 3)`` in [0, 1]: relief lit from ``light``, then scaled to ``size``.

    Args:
        canvas: What was painted.
        size: Height and width of the picture in pixels.
        depth: Strength of the relief; 0 leaves flat paint.
        light: Direction in the picture plane that the light comes from (x, y).
    """
    scale = np.float32(canvas.frame.unit)
    gy, gx = np.gradient(canvas.relief * scale)
    lean = np.tanh(-(gx * light[0] + gy * light[1]) * np.float32(0.9 * depth))
    shade, shine = np.clip(lean, -1, 0), np.clip(lean, 0, 1)
    lit = canvas.colour * (1 + 0.32 * shade + 0.16 * shine)[..., None]
    lit += (0.10 * shine**3)[..., None]
    return np.clip(resize(lit.astype(np.float32), *size, smooth=False), 0, 1)


def spread(frame: Frame, spacing: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Stroke centres over the picture and a little beyond, ``x`` and ``y`` in units, shuffled."""
    margin = 1.5 * spacing
    xs = np.arange(-margin, frame.wide + margin, spacing)
    ys = np.arange(-margin, frame.tall + margin, spacing)
    x, y = np.meshgrid(xs, ys)
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    points += rng.uniform(-0.5, 0.5, points.shape) * spacing
    shuffled = rng.permutation(points).astype(np.float32)
    return shuffled[:, 0], shuffled[:, 1]


def trace(flow: Array, x: Array, y: Array, length: ArrayLike, steps: int = 10) -> Array:
    """Paths ``(N, steps + 1, 2)`` that follow ``flow`` both ways from their centres.

    Args:
        flow: ``(H, W, 2)`` unit vectors on the guide raster.
        x: ``(N,)`` centres in units.
        y: ``(N,)`` centres in units.
        length: Length of each path in units, ``(N,)`` or one number.
        steps: Segments of a path, even.
    """
    step = np.broadcast_to(np.asarray(length, np.float32) / steps, x.shape)
    arms = []
    for sign in (-1.0, 1.0):
        here, points = np.stack([x, y], axis=1), []
        for _ in range(steps // 2):
            ahead = lookup(flow, here[:, 0], here[:, 1], GUIDE)
            here = np.asarray(here + sign * ahead * step[:, None], np.float32)
            points.append(here)
        arms.append(points)
    centre = [np.stack([x, y], axis=1)]
    return np.stack(arms[0][::-1] + centre + arms[1], axis=1).astype(np.float32)


def straight(
    x: ArrayLike, y: ArrayLike, angle: ArrayLike, length: ArrayLike, bend: ArrayLike = 0
) -> Array:
    """Paths ``(N, 5, 2)`` at ``angle`` (radians) that bow sideways by ``bend`` of their length."""
    cx, cy = np.asarray(x, np.float32)[:, None], np.asarray(y, np.float32)[:, None]
    t = np.linspace(-0.5, 0.5, 5, dtype=np.float32)
    turn, span, bow = (
        np.broadcast_to(np.asarray(a, np.float32), len(cx))[:, None] for a in (angle, length, bend)
    )
    along, side = t * span, (0.25 - t * t) * bow * span * 4
    px = cx + np.cos(turn) * along - np.sin(turn) * side
    py = cy + np.sin(turn) * along + np.cos(turn) * side
    return np.stack([px, py], axis=-1).astype(np.float32)


def vary(colour: ArrayLike, amount: float, rng: np.random.Generator) -> Array:
    """Colours ``(N, 3)`` with lightness and hue shaken by about ``amount``, kept in [0, 1]."""
    base = np.asarray(colour, np.float32)
    light = rng.normal(0, amount, (len(base), 1))
    hue = rng.normal(0, 0.45 * amount, base.shape)
    return np.clip(base * (1 + light) + 0.3 * light + hue, 0, 1).astype(np.float32)
