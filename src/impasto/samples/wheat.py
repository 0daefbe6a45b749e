"""A field of ripe wheat under a turquoise sky in which the clouds curl; short, thick dabs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impasto.samples.brush import (
    Brush,
    Canvas,
    Strokes,
    blank,
    finish,
    lay,
    spread,
    straight,
    trace,
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

HORIZON = 0.50
SKY = hexes("12688f", "1f8aa6", "3fadb6", "7fcdc3", "bfe3cb")
CLOUD = hexes("6fa3b5", "b4c6c2", "efe2c6", "fff3d8", "fffdf0")
HILLS = hexes("3f6f86", "52878a", "6f9c83", "93a970")
FIELD = hexes("7d4310", "b3651a", "dd8f1e", "f2b228", "fccb3e", "ffe27a")
GREEN = hexes("3d5b2a", "5f7d33", "8aa043", "b3b558")
POPPY = hexes("c22a1e", "e0452a", "f0683c")


@dataclass(frozen=True)
class Guide:
    """What the strokes read: unit ``flow`` ``(H, W, 2)``, ``colour``, and where the field is."""

    flow: Array
    colour: Array
    field: Array


def paint(size: tuple[int, int], rng: np.random.Generator) -> Array:
    """A sunlit field, ``(H, W, 3)`` sRGB in [0, 1]."""
    frame = Frame(*size)
    guide = _guide(frame.at(GUIDE), rng)
    canvas = blank(*size, guide.colour * 0.85)
    canvas = _sky(canvas, guide, rng)
    canvas = _trees(canvas, rng)
    canvas = _field(canvas, guide, rng)
    canvas = _track(canvas, rng)
    canvas = _ears(canvas, rng)
    return finish(canvas, size, depth=0.9, light=(0.7, -0.7))


def _guide(frame: Frame, rng: np.random.Generator) -> Guide:
    noise = Noise(rng)
    x, y = frame.grid()
    down = y / np.float32(frame.tall)
    flow, sky = _clouds(frame, noise, rng)
    hill = 0.455 + 0.030 * np.sin(4.2 * x + rng.uniform(0, 6)) + 0.02 * noise(x * 4, x * 0)
    tone = 0.5 + 0.5 * noise(x * 6, y * 22) + 4 * (down - 0.46)
    colour = mix(sky, ramp(np.clip(tone, 0, 1), HILLS), (down > hill).astype(np.float32))
    ground = (down > HORIZON + 0.012 * np.sin(3 * x)).astype(np.float32)
    colour = mix(colour, _ripe(frame, noise), ground)
    level = np.stack([np.ones_like(x), 0.1 * noise(x * 3, y * 9)], axis=-1)
    flow = mix(flow, level, (down > hill).astype(np.float32))
    flow = mix(flow, _gusts(frame, noise), ground)
    flow = flow / np.maximum(np.linalg.norm(flow, axis=2, keepdims=True), 1e-6)
    return Guide(flow.astype(np.float32), colour, ground)


def _clouds(frame: Frame, noise: Noise, rng: np.random.Generator) -> tuple[Array, Array]:
    """Curling clouds: flow ``(H, W, 2)`` and colour ``(H, W, 3)``."""
    x, y = frame.grid()
    u = np.full_like(x, 0.8)
    v = 0.35 * np.sin(6 * x + 4 * y)
    for k in range(6):
        cx, cy = frame.place((k + 0.5 + rng.uniform(-0.3, 0.3)) / 6, rng.uniform(0.08, 0.36))
        rx, ry = x - cx, 1.35 * (y - cy)
        r = np.hypot(rx, ry) + 1e-4
        reach = rng.uniform(0.09, 0.17)
        pull = (-1) ** k * 2.4 * np.exp(-((r / reach) ** 2))
        u, v = u - pull * ry / r - 3.0 * rx * np.exp(-((r / reach) ** 2)), v + pull * rx / r
    flow = np.stack([u, v], axis=-1).astype(np.float32)
    px, py = x, y
    for _ in range(22):
        wind = lookup(flow, px, py)
        px, py = px - 0.007 * wind[..., 0], py - 0.007 * wind[..., 1]
    body = noise.fbm(px * 3.6 + 5, py * 6.5 + 2, 3)
    shade = noise.fbm(px * 9 + 31, py * 12, 2)
    sky = ramp(np.clip(1.7 * y / np.float32(frame.tall) + 0.25 * shade, 0, 1), SKY)
    cloud = ramp(np.clip(0.62 + 0.5 * shade + 0.4 * body, 0, 1), CLOUD)
    return flow, mix(sky, cloud, smoothstep(0.02, 0.32, body))


def _ripe(frame: Frame, noise: Noise) -> Array:
    """Bands of ripe, shaded and green wheat that narrow towards the horizon."""
    x, y = frame.grid()
    near = np.clip((y / np.float32(frame.tall) - HORIZON) / (1 - HORIZON), 0.01, 1)
    across = (x / np.float32(frame.wide) - 0.62) / (0.25 + near)
    wave = noise.fbm(across * 7, 5 * near**0.5 + 3, 3)
    tone = 0.60 + 0.42 * wave + 0.22 * noise(across * 16, 16 * near**0.5) - 0.22 * near
    gold = ramp(np.clip(tone, 0, 1), FIELD)
    fresh = smoothstep(0.22, 0.5, noise(across * 4 + 9, 3 * near**0.5 + 20))
    return mix(gold, ramp(np.clip(tone, 0, 1), GREEN), 0.75 * fresh)


def _gusts(frame: Frame, noise: Noise) -> Array:
    """Lean of the stalks: upright, bowed in waves by the wind, ``(H, W, 2)``."""
    x, y = frame.grid()
    near = np.clip((y / np.float32(frame.tall) - HORIZON) / (1 - HORIZON), 0.0, 1)
    angle = -1.15 + 0.75 * noise.fbm(x * 3.1, y * 5 + 40, 2) + 0.85 * (1 - near) ** 3
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)


def _sky(canvas: Canvas, guide: Guide, rng: np.random.Generator) -> Canvas:
    for spacing, width, length in ((0.026, 0.034, 0.10), (0.0150, 0.0175, 0.062)):
        x, y = spread(canvas.frame, spacing, rng)
        keep = y < (HORIZON + 0.04) * canvas.frame.tall
        x, y = x[keep], y[keep]
        colour = lookup(guide.colour, x, y)
        path = trace(guide.flow, x, y, length * rng.uniform(0.6, 1.3, len(x)), 6)
        wide = (width * rng.uniform(0.75, 1.25, len(x))).astype(np.float32)
        second = vary(colour * np.float32(0.8) + np.float32(0.2), 0.07, rng)
        strokes = Strokes(path, wide, vary(colour, 0.045, rng), second)
        canvas = lay(canvas, strokes, Brush(hairs=8, dry=0.2, load=1.2), rng)
    return canvas


def _trees(canvas: Canvas, rng: np.random.Generator) -> Canvas:
    """A far row of trees with a farm between them."""
    frame = canvas.frame
    fx = np.concatenate([rng.normal(c, 0.022, 46) for c in rng.uniform(0.05, 0.95, 5)])
    rise = rng.beta(1.3, 2.0, len(fx))
    x = (fx * frame.wide).astype(np.float32)
    y = ((HORIZON + 0.012 - 0.062 * rise) * frame.tall).astype(np.float32)
    order = rng.permutation(len(x))
    dark = hexes("1f4a4a", "2c5d3f", "3f7a48", "2a4f66")[rng.integers(0, 4, len(x))]
    colour = dark * 0.9 + 0.16 * rise[:, None].astype(np.float32) * hexes("d8d070")
    path = straight(x, y, rng.normal(-1.2, 0.4, len(x)), 0.030, rng.normal(0, 0.1, len(x)))
    width = (0.012 * rng.uniform(0.7, 1.3, len(x))).astype(np.float32)
    strokes = Strokes(path, width, vary(colour, 0.05, rng), vary(colour * 1.3, 0.08, rng))
    return lay(canvas, strokes.take(order), Brush(hairs=6, taper=0.5), rng)


def _field(canvas: Canvas, guide: Guide, rng: np.random.Generator) -> Canvas:
    """Dabs from the horizon to the front; they lengthen as they come nearer."""
    frame = canvas.frame
    for count, width, length, shake in ((2600, 0.026, 0.075, 0.06), (7000, 0.0105, 0.062, 0.09)):
        near = np.sort(rng.random(count) ** 1.25).astype(np.float32)
        x = (rng.uniform(-0.03, 1.03, count) * frame.wide).astype(np.float32)
        y = (HORIZON + 0.015 + near * (0.52 - 0.015)) * np.float32(frame.tall)
        scale = 0.32 + 0.95 * near
        colour = lookup(guide.colour, x, y)
        path = trace(guide.flow, x, y, length * scale * rng.uniform(0.7, 1.3, count), 6)
        wide = (width * scale * rng.uniform(0.7, 1.3, count)).astype(np.float32)
        second = vary(colour * np.float32(0.80) + np.float32(0.03), 0.10, rng)
        strokes = Strokes(path, wide, vary(colour, shake, rng), second)
        canvas = lay(canvas, strokes, Brush(hairs=6, dry=0.3, taper=0.7, load=1.3), rng)
    return canvas


def _bend(near: Array) -> Array:
    """Middle of the cart track at nearness 0 (horizon) to 1 (front), as a fraction of the width."""
    return np.asarray(0.69 - 0.42 * near**0.8 + 0.16 * np.sin(4.2 * near**0.7), np.float32)


def _off_path(fx: Array, near: Array) -> NDArray[np.bool_]:
    """Whether points lie beside the track."""
    return np.asarray(np.abs(fx - _bend(near)) > 0.012 + 0.11 * near**1.4)


def _track(canvas: Canvas, rng: np.random.Generator) -> Canvas:
    """A rust and violet cart track with green verges."""
    frame = canvas.frame
    near = np.sort(rng.random(1500) ** 1.1).astype(np.float32)
    off = rng.uniform(-1, 1, len(near)).astype(np.float32)
    half = 0.009 + 0.11 * near**1.4
    x = (_bend(near) + off * half) * np.float32(frame.wide)
    y = (HORIZON + 0.012 + near * 0.51) * np.float32(frame.tall)
    earth = hexes("b8683a", "d08a58", "e3b088", "9a6a8a", "c0909c")
    grass = hexes("4c6e2c", "6f8f38", "98a848", "3d5a34")
    verge = np.abs(np.abs(off) - 0.95) < 0.13
    verge |= np.abs(off) < 0.12
    n = len(near)
    colour = np.where(verge[:, None], grass[rng.integers(0, 4, n)], earth[rng.integers(0, 5, n)])
    ahead = (_bend(near + np.float32(0.02)) - _bend(near)) * frame.wide
    lean = np.arctan2(0.0102 * frame.tall, ahead + 0.5 * off * half * 0.1)
    scale = 0.3 + 0.9 * near
    path = straight(x, y, lean, 0.055 * scale, rng.normal(0, 0.05, n))
    width = (0.013 * scale * rng.uniform(0.7, 1.3, n)).astype(np.float32)
    strokes = Strokes(path, width, vary(colour, 0.06, rng), vary(colour * 0.85, 0.1, rng))
    return lay(canvas, strokes, Brush(hairs=6, dry=0.3, taper=0.5, load=1.2), rng)


def _ears(canvas: Canvas, rng: np.random.Generator) -> Canvas:
    """Bright ears, shadows between the stalks, a few poppies and cornflowers."""
    frame = canvas.frame
    count = 4200
    near = np.sort(rng.random(count) ** 0.9).astype(np.float32)
    fx = rng.uniform(0, 1, count).astype(np.float32)
    drift = Noise(rng).fbm(fx * 5, 4 * near**0.5, 2)
    bloom = np.clip(2.6 * drift - 0.55, 0, 0.6)
    dice = rng.random(count)
    kind = np.where(dice < bloom, 2 + (drift > 0.50), (rng.random(count) < 0.36).astype(np.int64))
    keep = (np.abs(drift) > 0.07) & _off_path(fx, near)
    near, fx, kind = near[keep], fx[keep], kind[keep]
    count = len(near)
    x = fx * np.float32(frame.wide)
    y = (HORIZON + 0.03 + near * 0.48) * np.float32(frame.tall)
    inks = [hexes("ffe89a", "ffd45a"), hexes("7a4312", "96601c"), POPPY, hexes("2f55a8", "5f86d0")]
    colour = np.stack([inks[k][rng.integers(0, len(inks[k]))] for k in kind])
    flower = kind > 1
    scale = 0.35 + 0.9 * near
    length = np.where(flower, 0.014, 0.034) * scale * rng.uniform(0.7, 1.4, count)
    width = np.where(flower, 0.014, 0.0065) * scale * rng.uniform(0.7, 1.4, count)
    angle = np.where(flower, rng.uniform(0, 3.1, count), rng.normal(-1.1, 0.35, count))
    path = straight(x, y, angle, length, rng.normal(0, 0.15, count))
    strokes = Strokes(
        path, width.astype(np.float32), vary(colour, 0.05, rng), vary(colour, 0.1, rng)
    )
    return lay(canvas, strokes, Brush(hairs=4, dry=0.1, taper=0.8, load=1.8), rng)
