"""A pond with water lilies: broken colour in level dabs, reflections of willows and sky."""

from __future__ import annotations

import numpy as np

from impasto.samples.brush import (
    Brush,
    Canvas,
    Strokes,
    blank,
    finish,
    lay,
    spread,
    straight,
    vary,
)
from impasto.samples.fields import (
    GUIDE,
    Array,
    Frame,
    Noise,
    hexes,
    lookup,
    mix,
    ramp,
    smoothstep,
)

WATER = hexes("142c58", "1f4f7d", "2f7a88", "5580bd", "9383cc", "d49fd0", "f7ccc6")
WILLOW = hexes("12302f", "1f4f3c", "3a7145", "6c9650", "a5b866")
PAD = hexes("256b4a", "46944e", "7fb54f", "b3cf6a", "3f8f86")
PETAL = hexes("fff4f0", "fbd0dc", "f09ab8", "d9608f", "fff0b8")


def paint(size: tuple[int, int], rng: np.random.Generator) -> Array:
    """A lily pond in broken colour, ``(H, W, 3)`` sRGB in [0, 1]."""
    frame = Frame(*size)
    colour = _water(frame.at(GUIDE), rng)
    canvas = blank(*size, colour * 0.9)
    for spacing, width, length, shake in (
        (0.024, 0.020, 0.085, 0.07),
        (0.0125, 0.0105, 0.042, 0.10),
    ):
        canvas = _dabs(canvas, colour, (spacing, width, length, shake), rng)
    canvas = _reflections(canvas, colour, rng)
    canvas = _islands(canvas, rng)
    return finish(canvas, size, depth=0.75, light=(-0.5, -0.85))


def _water(frame: Frame, rng: np.random.Generator) -> Array:
    """Sky in the middle of the pond, willows mirrored at its sides, ``(H, W, 3)``."""
    noise = Noise(rng)
    x, y = frame.grid()
    fx, fy = x / np.float32(frame.wide), y / np.float32(frame.tall)
    ripple = noise.fbm(x * 3.0, y * 14, 3)
    mirror = noise.fbm(x * 5.5 + 11, y * 1.5 + 0.15 * ripple, 3)
    tone = 0.36 + 0.55 * mirror + 0.25 * ripple + 0.36 * np.sin(2.4 * fy + 0.2) - 0.22 * fy
    sky = ramp(np.clip(tone, 0, 1), WATER)
    bank = 0.5 + 0.45 * mirror + 0.25 * ripple
    side = np.abs(fx - 0.54 - 0.10 * np.sin(3 * fy)) * 2
    shade = smoothstep(0.45, 0.95, side + 0.40 * mirror + 0.15 * (0.5 - fy))
    return mix(sky, ramp(np.clip(bank, 0, 1), WILLOW), shade)


def _dabs(
    canvas: Canvas,
    guide: Array,
    scale: tuple[float, float, float, float],
    rng: np.random.Generator,
) -> Canvas:
    """Level dabs, each with a complementary note in its hairs."""
    spacing, width, length, shake = scale
    x, y = spread(canvas.frame, spacing, rng)
    near = 0.65 + 0.6 * y / np.float32(canvas.frame.tall)
    colour = vary(lookup(guide, x, y), shake, rng)
    notes = hexes("c79ad8", "f3b6c4", "7fb0d8", "b8d48a", "4f6fb0", "e8c890")
    note = notes[rng.integers(0, len(notes), len(x))]
    touched = (rng.random(len(x)) < 0.16)[:, None]
    colour = np.where(touched, 0.55 * colour + 0.45 * note, colour).astype(np.float32)
    path = straight(
        x,
        y,
        rng.normal(0, 0.10, len(x)),
        length * near * rng.uniform(0.6, 1.4, len(x)),
        rng.normal(0, 0.06, len(x)),
    )
    wide = (width * near * rng.uniform(0.7, 1.3, len(x))).astype(np.float32)
    strokes = Strokes(path, wide, colour, vary(0.75 * colour + 0.25 * note, 0.08, rng))
    return lay(canvas, strokes, Brush(hairs=6, dry=0.35, taper=0.6, load=1.1), rng)


def _reflections(canvas: Canvas, guide: Array, rng: np.random.Generator) -> Canvas:
    """Thin upright touches where willow branches hang into the mirror."""
    frame = canvas.frame
    strand = np.repeat(
        np.concatenate([rng.beta(1, 2.2, 22) * 0.30, 1 - rng.beta(1, 2.4, 20) * 0.24]), 20
    )
    branch, count = strand + rng.normal(0, 0.005, len(strand)), len(strand)
    x = (branch * frame.wide).astype(np.float32)
    y = (rng.beta(1.0, 1.6, count) * 0.80 * frame.tall).astype(np.float32)
    colour = ramp(rng.beta(2, 2, count), WILLOW) * 0.8 + 0.2 * lookup(guide, x, y)
    path = straight(x, y, 1.57 + rng.normal(0, 0.10, count), 0.06, rng.normal(0, 0.08, count))
    width = (0.0065 * rng.uniform(0.6, 1.4, count)).astype(np.float32)
    strokes = Strokes(path, width, vary(colour, 0.07, rng), vary(colour * 1.2, 0.1, rng))
    return lay(canvas, strokes, Brush(hairs=4, dry=0.5, taper=0.8), rng)


def _islands(canvas: Canvas, rng: np.random.Generator) -> Canvas:
    """Rafts of pads from far to near, flowers on them."""
    rows = np.sort(rng.uniform(0.10, 0.97, 15))
    for k, fy in enumerate(rows):
        fx = 0.5 + 0.42 * np.sin(2.4 * k + rng.uniform(-0.5, 0.5))
        canvas = _raft(canvas, (float(fx), float(fy)), rng)
    return canvas


def _raft(canvas: Canvas, at: tuple[float, float], rng: np.random.Generator) -> Canvas:
    """One raft: shadow, pads as flat ellipses of short arcs, and a few flowers."""
    cx, cy = canvas.frame.place(*at)
    scale = 0.35 + 0.85 * at[1]
    count = int(rng.integers(6, 13))
    px = (cx + rng.normal(0, 0.13 * scale, count)).astype(np.float32)
    py = (cy + rng.normal(0, 0.030 * scale, count)).astype(np.float32)
    order = np.argsort(py)
    parts = [_pad(float(px[k]), float(py[k]), scale * rng.uniform(0.7, 1.2), rng) for k in order]
    parts += [
        _flower(float(px[k]), float(py[k]) - 0.014 * scale, scale, rng)
        for k in order[:: int(rng.integers(2, 4))]
    ]
    path, width, colour = (np.concatenate([p[i] for p in parts]) for i in range(3))
    strokes = Strokes(path, width, vary(colour, 0.05, rng), vary(0.8 * colour + 0.15, 0.09, rng))
    return lay(canvas, strokes, Brush(hairs=5, dry=0.15, taper=0.6, load=1.5), rng)


def _pad(x: float, y: float, scale: float, rng: np.random.Generator) -> tuple[Array, ...]:
    """A floating leaf: dark rim below, level dabs inside, light rim above."""
    n = 9
    v = np.linspace(1, -1, n)
    half = 0.058 * scale * np.sqrt(1.05 - v * v)
    px = np.full(n, x) + rng.normal(0, 0.003 * scale, n)
    py = y + 0.0165 * scale * v
    base = PAD[rng.integers(0, len(PAD))]
    light = (0.55 + 0.5 * (1 - v) / 2)[:, None]
    colour = base * light + 0.10 * (v < -0.6)[:, None] * hexes("f8e0f0")
    path = straight(px.astype(np.float32), py.astype(np.float32), 0.0, 2 * half, 0.06 * -v)
    return path, np.full(n, 0.0080 * scale, np.float32), colour.astype(np.float32)


def _flower(x: float, y: float, scale: float, rng: np.random.Generator) -> tuple[Array, ...]:
    """A bloom: a fan of petals and a warm heart."""
    n = 9
    angle = np.linspace(-2.85, -0.29, n)[rng.permutation(n)]
    reach = 0.019 * scale * rng.uniform(0.85, 1.15, n)
    px, py = x + reach * np.cos(angle), y + 0.75 * reach * np.sin(angle)
    colour = PETAL[rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])]
    heart = straight([x], [y], 0.0, 0.014 * scale)
    path = straight(px.astype(np.float32), py.astype(np.float32), angle, 1.5 * reach)
    width = np.full(n + 1, 0.0115 * scale, np.float32)
    return np.concatenate([path, heart]), width, np.concatenate([colour, PETAL[4:5]])
