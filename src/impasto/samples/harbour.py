"""A photo-like scene: a lake at sunset between misty mountains, a boat and a house with a light."""

from __future__ import annotations

import numpy as np

from impasto.samples.fields import (
    GUIDE,
    Array,
    Frame,
    Noise,
    hexes,
    mix,
    ramp,
    resize,
    smoothstep,
    supersampled,
)
from impasto.samples.surface import Mask, polygon

SKY = hexes("29457f", "5b6fa3", "a98fae", "eaa98a", "ffd29a")
CLOUD = hexes("5f5f8f", "a98a9c", "f0a888", "ffd8a8")
FAR, NEAR = hexes("b89fb0", "16242c")
WATERLINE = 0.60
HOUSE = (
    (((-0.07, 0), (-0.07, -0.062), (0.07, -0.062), (0.07, 0)), "54484e", "c09078"),
    (((-0.085, -0.058), (-0.05, -0.112), (0.05, -0.112), (0.085, -0.058)), "2a1f28", "6f3f38"),
    (((0.025, -0.10), (0.025, -0.135), (0.043, -0.135), (0.043, -0.10)), "3a2b30", "3a2b30"),
)
"""Wall, roof and chimney: corners in units, colour on the shaded and on the lit side."""


def paint(size: tuple[int, int], rng: np.random.Generator) -> Array:
    """A harbour at sunset, ``(H, W, 3)`` sRGB in [0, 1]."""
    frame = supersampled(*size)
    noise = Noise(rng)
    sun = frame.place(0.60 + rng.uniform(-0.14, 0.22), 0.30 + rng.uniform(-0.02, 0.02))
    picture = _mountains(frame, noise, _sky(frame, noise, sun), rng)
    picture = _house(frame, picture, 0.13 + rng.uniform(-0.03, 0.10))
    picture = _water(frame, noise, picture, sun)
    picture = _boat(frame, picture, frame.place(0.46 + rng.uniform(-0.06, 0.24), 0.78))
    x, y = frame.grid()
    rim = np.hypot(x / np.float32(frame.wide) - 0.5, y / np.float32(frame.tall) - 0.5)
    picture = picture * (1 - 0.35 * smoothstep(0.40, 0.80, rim))[..., None]
    return np.clip(resize(picture.astype(np.float32), *size, smooth=False), 0, 1)


def _sky(frame: Frame, noise: Noise, sun: tuple[float, float]) -> Array:
    """Dusk from blue to apricot, a low sun, clouds lit from below, ``(H, W, 3)``."""
    small = frame.at(GUIDE)
    x, y = small.grid()
    down = y / np.float32(small.tall * WATERLINE)
    sky = ramp(np.clip(down, 0, 1) ** 0.9, SKY)
    r = np.hypot(x - sun[0], 1.15 * (y - sun[1]))
    glow = np.exp(-r / 0.16)[..., None] * hexes("ffb060")[0]
    sky = sky + 0.75 * glow * (1 - sky)
    veil = noise.fbm(x * 2.2, y * 9, 5)
    under = noise.fbm(x * 2.2, y * 9 + 0.35, 5) - veil
    cloud = smoothstep(0.05, 0.75, veil) * smoothstep(1.0, 0.35, down)
    lit = ramp(np.clip(0.45 + 0.9 * under + 0.35 * np.exp(-r / 0.3), 0, 1), CLOUD)
    sky = resize(mix(sky, lit, 0.85 * cloud), frame.height, frame.width)
    fx, fy = frame.grid()
    disc = smoothstep(0.040, 0.036, np.hypot(fx - sun[0], fy - sun[1]))
    return mix(sky, hexes("fff3d0")[0], 0.95 * disc)


def _mountains(frame: Frame, noise: Noise, sky: Array, rng: np.random.Generator) -> Array:
    """Five ranges, each darker and clearer than the one behind, fog lying between them."""
    x, y = frame.grid()
    down = y / np.float32(frame.tall)
    line = x[:1]
    picture = sky
    for k in range(5):
        near = k / 4
        peak, reach = rng.uniform(0, 1), rng.uniform(0.25, 0.5)
        hump = np.exp(-(((line / np.float32(frame.wide) - peak) / reach) ** 2))
        rough = noise.fbm(line * (2.2 + 0.5 * k), np.full_like(line, 3.7 * k), 6 if k < 3 else 4)
        crest = WATERLINE - (0.24 - 0.05 * k) * (0.35 + 0.65 * hump) - (0.050 - 0.006 * k) * rough
        if k == 4:
            crest = crest - 0.018 * _firs(line, noise)
        low = np.clip((down - crest) / np.maximum(WATERLINE - crest, 0.02), 0, 1)
        rock = mix(FAR, NEAR, np.full_like(down, near**0.8))
        fog = hexes("e8b79c")[0] * (1 - 0.45 * near)
        lit = mix(rock, fog, (0.75 - 0.45 * near) * low**1.4)
        picture = mix(picture, lit, smoothstep(0.0, 0.0014, down - crest))
    return picture


def _firs(line: Array, noise: Noise) -> Array:
    """Height of a row of fir tops along ``line``, in [0, 1]."""
    phase = line * 46 + 3 * noise(line * 9, np.full_like(line, 8.5))
    spike = 1 - np.abs(phase % 1 * 2 - 1)
    tall = 0.55 + 0.45 * noise(np.floor(phase) * 0.37, np.full_like(line, 5.5))
    return np.asarray(spike * tall, np.float32)


def _house(frame: Frame, picture: Array, fx: float) -> Array:
    """A spit of land with a house, its lit window and a jetty."""
    x, y = frame.grid()
    cx, base = frame.place(fx, WATERLINE)
    land = np.abs(y - base) < 0.030 * np.clip(1 - ((x - cx) / 0.30) ** 2, 0, 1)
    picture = _paint(picture, land, mix(NEAR * 1.5, NEAR, np.clip((y - base + 0.03) / 0.03, 0, 1)))
    side = np.clip((x - cx + 0.07) / 0.14, 0, 1)
    at = np.array([cx, base - 0.018])
    for corners, dark, light in HOUSE:
        tint = mix(hexes(dark)[0], hexes(light)[0], side)
        picture = _paint(picture, polygon(frame, at + corners), tint)
    for dx in (-0.045, 0.005):
        pane = np.array([(0, -0.022), (0, -0.045), (0.026, -0.045), (0.026, -0.022)])
        picture = _paint(picture, polygon(frame, at + pane + np.array([dx, 0])), hexes("ffd98a")[0])
        halo = np.exp(-np.hypot(x - cx - dx - 0.013, y - at[1] + 0.033) / 0.022)
        picture = picture + 0.30 * halo[..., None] * hexes("ffb85a")[0]
    return picture


def _paint(picture: Array, where: Mask, colour: Array) -> Array:
    return np.where(where[..., None], colour, picture).astype(np.float32)


def _water(frame: Frame, noise: Noise, picture: Array, sun: tuple[float, float]) -> Array:
    """The scene mirrored in ripples that grow towards the viewer, and the glitter of the sun."""
    first = round(frame.height * WATERLINE)
    x, y = (a[first:] for a in frame.grid())
    near = (y / np.float32(frame.tall) - WATERLINE) / (1 - WATERLINE)
    depth = 1 / (near + 0.06)
    across = (x - np.float32(frame.wide / 2)) * depth * np.float32(1.1)
    wave = noise.fbm(across.astype(np.float32), (depth * 9).astype(np.float32), 3)
    rows = 2 * first - np.arange(first, frame.height)[:, None] - 1
    rows = rows - np.abs(wave) * (0.012 + 0.10 * near) * frame.unit
    columns = np.arange(frame.width) + wave * 0.02 * near * frame.unit
    i = np.clip(rows, 0, first - 1).astype(np.int64)
    j = np.clip(columns, 0, frame.width - 1).astype(np.int64)
    deep = hexes("14304a")[0]
    water = mix(picture[i, j] * 0.92, deep, np.clip(0.10 + 0.42 * near + 0.12 * wave, 0, 1))
    path = np.exp(-(((x - sun[0]) / (0.045 + 0.10 * near)) ** 2))
    spark = smoothstep(0.15, 0.65, wave + 0.30 * path) * path * (1 - 0.45 * near)
    water = mix(water, hexes("ffe3a8")[0], 0.9 * spark)
    return np.concatenate([picture[:first], water])


def _boat(frame: Frame, picture: Array, at: tuple[float, float]) -> Array:
    """A sailing boat: round hull, two sails lit from the right, and its reflection."""
    x, y = frame.grid()
    t = np.linspace(-1, 1, 40)
    keel = np.stack([0.105 * t, 0.040 * np.sqrt(np.clip(1 - np.abs(t) ** 2.6, 0, 1))], axis=1)
    deck = np.stack([0.105 * t[::-1], -0.016 * t[::-1] ** 2], axis=1)
    hull = np.concatenate([keel, deck])
    main = np.array([(-0.005, -0.012), (-0.005, -0.235), (-0.075, -0.06), (-0.085, -0.018)])
    jib = np.array([(0.008, -0.018), (0.004, -0.215), (0.085, -0.022)])
    mast = np.array([(-0.004, 0), (-0.003, -0.25), (0.003, -0.25), (0.004, 0)])
    low = at[1] + 0.034
    turn = np.clip((x - at[0] + 0.10) / 0.20, 0, 1)
    rise = np.clip((at[1] - y) / 0.24, 0, 1)
    parts = (
        (main, *hexes("8a6a70", "fbe3c4")),
        (jib, *hexes("b08a80", "fff0d8")),
        (mast, *hexes("2a2024", "6a4a3c")),
        (hull, *hexes("1f1a26", "a04a38")),
    )
    sway = (
        0.0030
        * np.sin(330 * y + 40 * y * y + 3 * np.sin(24 * x))
        * np.clip((y - low) / 0.03, 0, 1.5)
    )
    moved = np.clip(np.arange(frame.width) + sway * frame.unit, 0, frame.width - 1).astype(np.int64)
    fade_out = 0.62 * np.exp(-np.maximum(y - low, 0) / 0.13)
    for shape, dark, _ in parts:
        mirrored = polygon(frame, np.array([0, 2 * low]) + (shape + at) * [1, -1])
        broken = np.take_along_axis(mirrored, moved, axis=1)
        picture = _paint(picture, broken, mix(picture, dark * 0.8, fade_out))
    shade = np.clip(0.25 + 0.6 * turn + 0.25 * rise, 0, 1)
    for shape, dark, light in parts:
        picture = _paint(picture, polygon(frame, shape + at), mix(dark, light, shade))
    return picture
