"""Coordinates, smooth noise and colour ramps from which the sample paintings are made.

Lengths are in *units*: one unit is the height of a 4 : 5 picture of the same area. A composition
written in units and in fractions of the picture looks the same at every size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

Array = NDArray[np.float32]

GUIDE = 288.0
"""Pixels per unit of the guide pictures that strokes read direction and colour from."""


@dataclass(frozen=True)
class Frame:
    """A raster of ``height`` x ``width`` pixels and its units."""

    height: int
    width: int

    @property
    def unit(self) -> float:
        """Pixels per unit."""
        return math.sqrt(self.height * self.width * 0.8)

    @property
    def tall(self) -> float:
        """Height in units."""
        return self.height / self.unit

    @property
    def wide(self) -> float:
        """Width in units."""
        return self.width / self.unit

    def at(self, unit: float) -> Frame:
        """The same proportions with ``unit`` pixels per unit (at least 8 pixels a side)."""
        return Frame(max(8, round(self.tall * unit)), max(8, round(self.wide * unit)))

    def grid(self) -> tuple[Array, Array]:
        """Pixel centres in units: ``x`` and ``y``, each ``(H, W)``."""
        y, x = np.mgrid[0 : self.height, 0 : self.width].astype(np.float32)
        return (x + np.float32(0.5)) / np.float32(self.unit), (y + np.float32(0.5)) / np.float32(
            self.unit
        )

    def place(self, fx: float, fy: float) -> tuple[float, float]:
        """The point at fractions ``fx, fy`` of the picture, in units."""
        return fx * self.wide, fy * self.tall


def supersampled(height: int, width: int, least: int = 320) -> Frame:
    """The raster on which a picture of ``height`` x ``width`` pixels is drawn before averaging.

    Its shorter side has at least ``least`` pixels, so that fine marks keep their weight in small
    pictures.
    """
    factor = max(1.5 if height * width > 1.2e6 else 2, math.ceil(least / min(height, width)))
    if factor > 2:
        factor = max(2, min(factor, math.ceil(math.sqrt(2e6 / (height * width)))))
    return Frame(round(height * factor), round(width * factor))


class Noise:
    """Gradient noise on a periodic lattice of 64 x 64 cells, about [-1, 1].

    Source: K. Perlin, "Improving noise" (2002): quintic fade, here with random unit gradients.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        angle = rng.uniform(0, 2 * np.pi, (64, 64))
        self._gx = np.cos(angle).astype(np.float32)
        self._gy = np.sin(angle).astype(np.float32)

    def __call__(self, x: Array, y: Array) -> Array:
        """One octave at positions ``x, y`` given in lattice cells; broadcast shapes."""
        x0, y0 = np.floor(x), np.floor(y)
        fx, fy = x - x0, y - y0
        i, j = x0.astype(np.int32), y0.astype(np.int32)
        u, v = fade(fx), fade(fy)
        top = self._corner(i, j, fx, fy) * (1 - u) + self._corner(i + 1, j, fx - 1, fy) * u
        low = self._corner(i, j + 1, fx, fy - 1) * (1 - u)
        low = low + self._corner(i + 1, j + 1, fx - 1, fy - 1) * u
        return np.asarray((top * (1 - v) + low * v) * 1.5, np.float32)

    def _corner(self, i: NDArray[np.int32], j: NDArray[np.int32], dx: Array, dy: Array) -> Array:
        i, j = i & 63, j & 63
        return np.asarray(self._gx[j, i] * dx + self._gy[j, i] * dy, np.float32)

    def fbm(self, x: Array, y: Array, octaves: int = 4, gain: float = 0.5) -> Array:
        """Sum of ``octaves`` of doubled frequency and ``gain`` times the amplitude."""
        total = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
        for k in range(octaves):
            scale = np.float32(2.0**k)
            total += np.float32(gain**k) * self(x * scale + 17 * k, y * scale + 5 * k)
        return total


def fade(t: Array) -> Array:
    """Quintic ease from 0 to 1."""
    return np.asarray(t * t * t * (t * (t * 6 - 15) + 10), np.float32)


def smoothstep(low: float, high: float, t: Array) -> Array:
    """Cubic ease from 0 at ``low`` to 1 at ``high`` (``low > high`` gives the falling one)."""
    s = np.clip((t - low) / (high - low), 0, 1)
    return np.asarray(s * s * (3 - 2 * s), np.float32)


def mix(a: ArrayLike, b: ArrayLike, t: Array) -> Array:
    """``a`` where ``t`` is 0, ``b`` where it is 1; ``t`` gets a channel axis, ``(..., 1)``."""
    t = np.asarray(t, np.float32)[..., None]
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    return np.asarray(a + (b - a) * t, np.float32)


def ramp(t: ArrayLike, stops: ArrayLike) -> Array:
    """Colours ``(..., 3)`` of ``t`` in [0, 1] along evenly spaced ``stops`` ``(n, 3)``."""
    table = np.asarray(stops, np.float32)
    knots = np.linspace(0, 1, len(table))
    channels = [np.interp(np.asarray(t), knots, table[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def hexes(*codes: str) -> Array:
    """Colours ``(n, 3)`` in [0, 1] from hexadecimal codes such as ``"1b3a6b"``."""
    return np.array([list(bytes.fromhex(c)) for c in codes], np.float32) / np.float32(255)


def resize(array: Array, height: int, width: int, *, smooth: bool = True) -> Array:
    """``(H, W)`` or ``(H, W, C)`` resampled: bicubic, or area average when not ``smooth``."""
    if array.ndim == 3:
        planes = [
            resize(array[..., c], height, width, smooth=smooth) for c in range(array.shape[2])
        ]
        return np.stack(planes, axis=-1)
    how = Image.Resampling.BICUBIC if smooth else Image.Resampling.BOX
    image = Image.fromarray(np.ascontiguousarray(array, np.float32))
    return np.asarray(image.resize((width, height), how), np.float32)


def blur(array: Array, radius: float) -> Array:
    """Three box blurs of ``radius`` pixels over both axes of ``(H, W)``; edges repeat."""
    r = round(radius)
    if r < 1:
        return array.copy()
    out = array.astype(np.float64)
    for axis in (0, 1):
        for _ in range(3):
            out = _box(out, r, axis)
    return out.astype(np.float32)


def _box(array: NDArray[np.float64], r: int, axis: int) -> NDArray[np.float64]:
    pad = [(0, 0), (0, 0)]
    pad[axis] = (r + 1, r)
    total = np.cumsum(np.pad(array, pad, mode="edge"), axis=axis)
    n = array.shape[axis]
    high = np.take(total, range(2 * r + 1, n + 2 * r + 1), axis=axis)
    low = np.take(total, range(n), axis=axis)
    return np.asarray((high - low) / (2 * r + 1), np.float64)


def lookup(field: Array, x: Array, y: Array, unit: float = GUIDE) -> Array:
    """Nearest values of ``field`` ``(H, W, ...)`` at positions in units; outside: the border."""
    j = np.clip((x * unit).astype(np.int32), 0, field.shape[1] - 1)
    i = np.clip((y * unit).astype(np.int32), 0, field.shape[0] - 1)
    return np.asarray(field[i, j], np.float32)
