"""A leaded window: sun, rays, hills and water in cells of coloured glass, lit from behind."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from impasto.samples.brush import blank, finish
from impasto.samples.fields import Array, Frame, Noise, hexes, mix, resize, smoothstep
from impasto.samples.surface import grain

LEAD = hexes("16151a")[0]
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1))
PALETTES = (
    hexes("fff2a8", "ffd84a", "ffc21f"),  # sun
    hexes("ffb01f", "ff8a1a", "f5641c", "ffcf3f"),  # corona
    hexes("1f4fd0", "2a7be0", "1a2fa0", "37a7e8", "5b4fd0", "62c8e8"),  # sky
    hexes("7a2fb0", "a0358f", "5a2f9c", "c0488f"),  # far hills
    hexes("1f8a4a", "5fb03a", "0f6a52", "9fc43a"),  # near hills
    hexes("0f7f9f", "16a0a8", "1258a0", "4fd0c0"),  # water
    hexes("c0162c", "e02a3a", "1a3fb0", "e8a01f"),  # border
)


@dataclass(frozen=True)
class Design:
    """The drawing of the window: where the sun stands and how the hills roll."""

    sun: tuple[float, float]
    radius: float
    phase: float


def paint(size: tuple[int, int], rng: np.random.Generator) -> Array:
    """A stained glass window, ``(H, W, 3)`` sRGB in [0, 1]."""
    canvas = blank(*size, LEAD)
    frame = canvas.frame
    design = _design(frame, rng)
    seeds, zone = _seeds(frame, design, rng)
    cell, gap = _cells(frame, design, seeds, zone)
    glass, bulge = _glass(frame, design, (cell, zone, seeds), rng)
    half = 0.0058
    rim = 0.55 + 0.45 * smoothstep(0.0, 0.022, gap - half)
    lead = np.sqrt(np.clip(1 - (gap / half) ** 2, 0, 1))
    open_ = (gap > half).astype(np.float32)[..., None]
    metal = LEAD * (1 + 0.5 * lead[..., None])
    colour = glass * rim[..., None] * open_ + metal * (1 - open_)
    relief = np.where(gap > half, 0.25 * bulge, 0.008 * lead)
    lit = replace(canvas, colour=_halo(colour), relief=relief.astype(np.float32))
    return finish(lit, size, depth=0.8)


def _design(frame: Frame, rng: np.random.Generator) -> Design:
    sun = frame.place(0.60 + rng.normal(0, 0.05), 0.36 + rng.normal(0, 0.03))
    return Design(sun, 0.105 * rng.uniform(0.92, 1.1), float(rng.uniform(-0.7, 0.7)))


def _zones(frame: Frame, design: Design, x: Array, y: Array) -> tuple[NDArray[np.int64], Array]:
    """Part of the design at each point, and the distance in units to the nearest part line."""
    fx, fy = x / np.float32(frame.wide), y / np.float32(frame.tall)
    r = np.hypot(x - design.sun[0], y - design.sun[1])
    sun, corona = design.radius - r, 2.05 * design.radius - r
    far = y - frame.tall * (0.60 + 0.055 * np.sin(6.3 * fx + 1.2 + design.phase))
    near = y - frame.tall * (0.70 + 0.075 * np.sin(4.4 * fx + 3.6 + design.phase))
    water = y - frame.tall * (0.83 + 0.022 * np.sin(8 * fx + design.phase))
    edge = 0.052 - np.minimum.reduce([x, y, frame.wide - x, frame.tall - y])
    zone = np.full(x.shape, 2)
    gap = np.full(x.shape, 1.0, np.float32)
    for part, line in ((1, corona), (0, sun), (3, far), (4, near), (5, water), (6, edge)):
        inside = line > 0
        gap = np.where(inside, line, np.minimum(gap, -line))
        zone[inside] = part
    return zone, np.asarray(gap * (1 + 0 * fy), np.float32)


def _seeds(
    frame: Frame, design: Design, rng: np.random.Generator
) -> tuple[Array, NDArray[np.int64]]:
    """Relaxed cell centres ``(N, 2)`` in units and the part of the design each belongs to."""
    coarse = frame.at(110)
    x, y = coarse.grid()
    where, _ = _zones(coarse, design, x, y)
    points, zones = [], []
    for zone, area in enumerate((0.0040, 0.0031, 0.0080, 0.0060, 0.0058, 0.0050, 0.0042)):
        inside = np.stack([x[where == zone], y[where == zone]], axis=1)
        count = round(len(inside) / coarse.unit**2 / area)
        if not len(inside) or not count:
            continue
        start = inside[rng.choice(len(inside), min(count, len(inside)), replace=False)]
        points.append(_relax(start, inside))
        zones.append(np.full(len(points[-1]), zone))
    return np.concatenate(points), np.concatenate(zones)


def _relax(points: Array, inside: Array, rounds: int = 5) -> Array:
    """Lloyd's algorithm: each point moves to the middle of its cell; source: S. Lloyd (1982)."""
    for _ in range(rounds):
        far = ((inside[:, None] - points[None]) ** 2).sum(-1)
        owner = far.argmin(1)
        size = np.bincount(owner, minlength=len(points))
        middle = [np.bincount(owner, inside[:, c], len(points)) for c in (0, 1)]
        moved = np.stack(middle, axis=1) / np.maximum(size, 1)[:, None]
        points = np.where(size[:, None] > 0, moved, points).astype(np.float32)
    return points


def _cells(
    frame: Frame, design: Design, seeds: Array, zone: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Array]:
    """Owner of every pixel and the distance in units to the nearest lead line, ``(H, W)``."""
    x, y = frame.grid()
    where, gap = _zones(frame, design, x, y)
    owner = np.zeros(x.shape, np.int64)
    for part in np.unique(zone):
        inside, members = where == part, np.flatnonzero(zone == part)
        first, edge = _nearest(x[inside], y[inside], seeds[members])
        owner[inside] = members[first]
        gap[inside] = np.minimum(gap[inside], edge)
    return owner, gap


def _nearest(x: Array, y: Array, seeds: Array) -> tuple[NDArray[np.int64], Array]:
    """Nearest seed of each point, and its distance to the border with the second nearest."""
    best = np.full(x.shape, np.inf, np.float32)
    next_ = best.copy()
    one, two = np.zeros(x.shape, np.int64), np.zeros(x.shape, np.int64)
    for k, (sx, sy) in enumerate(seeds):
        far = (x - sx) ** 2 + (y - sy) ** 2
        closer = far < best
        second = ~closer & (far < next_)
        next_ = np.where(closer, best, np.where(second, far, next_))
        two = np.where(closer, one, np.where(second, k, two))
        best, one = np.where(closer, far, best), np.where(closer, k, one)
    apart = np.linalg.norm(seeds[one] - seeds[two], axis=1)
    return one, np.asarray((next_ - best) / np.maximum(2 * apart, 1e-6), np.float32)


def _glass(
    frame: Frame,
    design: Design,
    cells: tuple[NDArray[np.int64], NDArray[np.int64], Array],
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Colour of the lit glass ``(H, W, 3)`` and its uneven surface ``(H, W)``."""
    owner, zone, seeds = cells
    n = len(seeds)
    base = np.stack([PALETTES[z][rng.integers(0, len(PALETTES[z]))] for z in zone])
    base = np.clip(base * rng.uniform(0.78, 1.12, (n, 1)) + rng.normal(0, 0.02, (n, 3)), 0, 1)
    angle = rng.uniform(0, 2 * np.pi, n)
    lean = np.stack([np.cos(angle), np.sin(angle)], axis=1) * rng.uniform(2.0, 6.0, (n, 1))
    x, y = frame.grid()
    dx, dy = x - seeds[owner, 0].astype(np.float32), y - seeds[owner, 1].astype(np.float32)
    sheen = dx * lean[owner, 0].astype(np.float32) + dy * lean[owner, 1].astype(np.float32)
    ripple = grain(frame, (0.022, 0.075), rng) + 0.7 * grain(frame, (0.008, 0.011), rng)
    bubbles = np.clip(grain(frame, (0.0045, 0.0045), rng) - 0.45, 0, 1)
    sun = np.hypot(x - design.sun[0], y - design.sun[1])
    behind = 0.92 + 0.42 * np.exp(-((sun / 0.40) ** 2))
    light = behind * (1 + sheen + 0.13 * ripple + 0.5 * bubbles - 20 * (dx * dx + dy * dy))
    streak = smoothstep(0.0, 0.9, _streaks(frame, owner, n, rng))
    other = np.roll(base, 1, axis=1) * 0.25 + base[:, ::-1] * 0.15 + base * 0.6
    colour = mix(base.astype(np.float32)[owner], other.astype(np.float32)[owner], 0.75 * streak)
    colour = colour * np.clip(light, 0.25, 1.7)[..., None]
    glare = np.clip(light - 1.05, 0, 1)[..., None] * np.float32(0.38)
    return colour * (1 - glare) + glare, np.asarray(0.005 * ripple + 0.006 * bubbles, np.float32)


def _streaks(frame: Frame, owner: NDArray[np.int64], count: int, rng: np.random.Generator) -> Array:
    """Swirls of a second colour in the melt; every piece of glass is cut from another place."""
    sheet = Noise(rng)
    size = 384
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / np.float32(size)
    bent = sheet(x * 6, y * 6)
    melt = sheet.fbm(x * 9 + bent, y * 30 + 2 * bent, 2)
    px, py = frame.grid()
    shift = rng.integers(0, size, (count, 2))
    i = (py * 380).astype(np.int64) + shift[owner, 0]
    j = (px * 380).astype(np.int64) + shift[owner, 1]
    return np.asarray(melt[i % size, j % size], np.float32)


def _halo(colour: Array) -> Array:
    """Light that spills over the lead: a wide faint bloom of the bright glass."""
    height, width = colour.shape[:2]
    small = resize(
        np.clip(colour, 0, 1) ** 2, max(2, height // 24), max(2, width // 24), smooth=False
    )
    return colour + np.float32(0.16) * np.clip(resize(small, height, width), 0, 1)
