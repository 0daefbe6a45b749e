"""A night over a valley: sky strokes wind round glowing discs, lamps in the village below."""

from __future__ import annotations

from dataclasses import dataclass

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

SKY = hexes("0a1440", "10266b", "173f8f", "1c5fa8", "2a86b4", "66b3bd", "c4dfc6")
GLOW = hexes("fff8d6", "ffe98a", "fccb3f", "e9a52d", "a9ba62", "5ba79a")
LAND = hexes("0a1336", "12284f", "15465e", "1f6663", "4f8d66", "8fae74")
LAMP = hexes("fff3b0", "ffd84f", "ffb02e", "ff8a2a")
WALL = hexes("3b5a8c", "56739b", "7a7f8f", "2e4a74", "8a7560")
ROOF = hexes("7a2f2a", "98432c", "5b2d3f", "2a2c55", "b05a30")


@dataclass(frozen=True)
class Vortex:
    """A whirl of the sky: centre in fractions, disc and reach in units, turning sense."""

    fx: float
    fy: float
    disc: float
    reach: float
    turn: float


WHIRLS = (
    Vortex(0.23, 0.24, 0.062, 0.21, 2.6),
    Vortex(0.60, 0.12, 0.030, 0.12, -2.2),
    Vortex(0.86, 0.27, 0.042, 0.15, 2.2),
    Vortex(0.45, 0.41, 0.026, 0.10, -2.2),
    Vortex(0.06, 0.55, 0.022, 0.09, 2.0),
    Vortex(0.95, 0.53, 0.018, 0.08, -2.0),
    Vortex(0.68, 0.44, 0.0, 0.17, -3.0),
    Vortex(0.42, 0.16, 0.0, 0.10, 2.4),
    Vortex(0.22, 0.53, 0.0, 0.09, -2.4),
)


Whirls = tuple[Vortex, ...]


@dataclass(frozen=True)
class Guide:
    """What the strokes read: ``flow`` ``(H, W, 2)``, ``colour`` ``(H, W, 3)``, ``sky`` mask."""

    flow: Array
    colour: Array
    sky: Array
    glow: Array


def paint(size: tuple[int, int], rng: np.random.Generator) -> Array:
    """A starlit valley in thick paint, ``(H, W, 3)`` sRGB in [0, 1]."""
    frame = Frame(*size)
    whirls = _whirls(rng)
    guide = _guide(frame.at(GUIDE), whirls, rng)
    canvas = blank(*size, guide.colour * 0.8)
    for spacing, width, length, shake in (
        (0.030, 0.040, 0.19, 0.05),
        (0.0155, 0.0185, 0.12, 0.075),
    ):
        canvas = _follow(canvas, guide, (spacing, width, length, shake), rng)
    canvas = _sparks(canvas, guide, rng)
    canvas = _discs(canvas, whirls, rng)
    canvas = _village(canvas, rng)
    return finish(canvas, size, depth=1.0)


def _guide(frame: Frame, whirls: Whirls, rng: np.random.Generator) -> Guide:
    noise = Noise(rng)
    flow = _sky_flow(frame, noise, whirls)
    colour, glow = _sky_colour(frame, noise, flow, whirls)
    sky = np.ones_like(glow)
    for k, (base, swell) in enumerate(((0.665, 0.05), (0.735, 0.045), (0.82, 0.05))):
        colour, flow, sky = _hill(frame, noise, (k, base, swell), (colour, flow, sky))
    flow = flow / np.maximum(np.linalg.norm(flow, axis=2, keepdims=True), 1e-6)
    return Guide(flow.astype(np.float32), colour, sky, glow * sky)


def _whirls(rng: np.random.Generator) -> Whirls:
    """The whirls of this night: a little moved, grown or shrunk."""
    moved = []
    for w in WHIRLS:
        (dx, dy), grow = rng.normal(0, 0.018, 2), rng.uniform(0.9, 1.12)
        moved.append(Vortex(w.fx + dx, w.fy + dy, w.disc * grow, w.reach * grow, w.turn))
    return tuple(moved)


def _sky_flow(frame: Frame, noise: Noise, whirls: Whirls) -> Array:
    """Wind from the left with curl noise, and the whirls on top, ``(H, W, 2)``."""
    x, y = frame.grid()
    psi = noise.fbm(x * 2.6 + 3, y * 2.6 + 9, 2)
    dy, dx = np.gradient(psi * np.float32(GUIDE * 0.22))
    u, v = 0.75 + dy, 0.25 * np.sin(x * 5.5 + 0.8) - dx
    for w in whirls:
        cx, cy = frame.place(w.fx, w.fy)
        rx, ry = x - cx, y - cy
        r = np.hypot(rx, ry) + 1e-4
        if w.disc:  # the wind dies down in the halo, so that its rings close
            calm = 1 - np.exp(-((r / (0.75 * w.reach)) ** 4))
            u, v = u * calm, v * calm
        pull = w.turn * np.exp(-((r / w.reach) ** 2) * 1.1)
        # A slight inward lean turns rings into spirals where there is no disc.
        lean = 0.0 if w.disc else 0.28 * abs(w.turn)
        u, v = u - pull * ry / r - lean * rx, v + pull * rx / r - lean * ry
    return np.stack([u, v], axis=-1).astype(np.float32)


def _sky_colour(frame: Frame, noise: Noise, flow: Array, whirls: Whirls) -> tuple[Array, Array]:
    """Bands drawn out along the flow, and the light of the discs."""
    x, y = frame.grid()
    px, py = x, y
    for _ in range(26):
        wind = lookup(flow, px, py)
        px, py = px - 0.0085 * wind[..., 0], py - 0.0085 * wind[..., 1]
    band = noise.fbm(px * 8, py * 10, 3)
    tone = 0.36 + 0.30 * band + 0.16 * (y / frame.tall)
    light = np.zeros_like(x)
    for w in whirls:
        cx, cy = frame.place(w.fx, w.fy)
        r = np.hypot(x - cx, y - cy)
        if w.disc:
            light = np.maximum(light, np.exp(-np.maximum(r - w.disc, 0) / (0.52 * w.reach)))
        else:
            tone = tone + 0.26 * np.exp(-((r / (0.7 * w.reach)) ** 2))
    colour = ramp(np.clip(tone + 0.35 * light**2, 0, 1), SKY)
    warm = ramp(np.clip(1.15 - light, 0, 1), GLOW)
    strength = smoothstep(0.30, 0.72, light + 0.16 * band)
    return mix(colour, warm, strength), light


def _hill(
    frame: Frame, noise: Noise, shape: tuple[int, float, float], below: tuple[Array, Array, Array]
) -> tuple[Array, Array, Array]:
    """One ridge in front of what is there: colour, flow along the slope, sky mask."""
    k, base, swell = shape
    colour, flow, sky = below
    x, y = frame.grid()
    f = x / np.float32(frame.wide)
    ridge = base + swell * np.sin(f * (5.2 + 2.1 * k) + 1.9 * k + 0.6) * (0.6 + 0.4 * f)
    ridge = ridge + 0.012 * noise(x * 6 + 11 * k, np.full_like(x, 3.3 * k))
    down = y / np.float32(frame.tall) - ridge
    inside = (down > 0).astype(np.float32)
    furrow = np.sin(
        (70 - 14 * k) * down / (0.6 + 2.5 * np.maximum(down, 0)) + 3 * noise(x * 3, y * 3)
    )
    tone = 0.30 + 0.34 * noise.fbm(x * 5 + 7 * k, y * 11 + 2 * x, 3) + 0.15 * furrow
    tone = tone + 0.65 * np.exp(-np.maximum(down, 0) / 0.014) - 0.05 * k
    earth = ramp(np.clip(tone, 0, 1), LAND)
    slope = np.gradient(ridge, axis=1) * np.float32(GUIDE * frame.tall)
    rows = slope * (1 + 2 * down) + 0.5 * noise(x * 4 + k, y * 4) * smoothstep(0.0, 0.12, down)
    along = np.stack([np.ones_like(rows), rows], axis=-1)
    return mix(colour, earth, inside), mix(flow, along, inside), sky * (1 - inside)


def _follow(
    canvas: Canvas,
    guide: Guide,
    scale: tuple[float, float, float, float],
    rng: np.random.Generator,
) -> Canvas:
    """One layer of strokes along the flow, shorter and finer near the lights."""
    spacing, width, length, shake = scale
    x, y = spread(canvas.frame, spacing, rng)
    near = lookup(guide.glow, x, y)
    ground = 1 - lookup(guide.sky, x, y)
    reach = length * (1 - 0.62 * near - 0.35 * ground) * rng.uniform(0.75, 1.25, len(x))
    path = trace(guide.flow, x, y, reach)
    colour = lookup(guide.colour, x, y)
    wide = width * (1 - 0.35 * near) * rng.uniform(0.75, 1.25, len(x))
    order = np.argsort(ground, kind="stable")
    strokes = Strokes(
        path,
        wide.astype(np.float32),
        vary(colour, shake, rng),
        vary(colour * np.float32(1.12) + np.float32(0.03), 1.8 * shake, rng),
    )
    return lay(canvas, strokes.take(order), Brush(), rng)


def _sparks(canvas: Canvas, guide: Guide, rng: np.random.Generator) -> Canvas:
    """Thin strokes of pure light and deep colour that ride on the currents."""
    x, y = spread(canvas.frame, 0.021, rng)
    keep = (lookup(guide.sky, x, y) > 0.5) & (rng.random(len(x)) < 0.42)
    x, y = x[keep], y[keep]
    near, base = lookup(guide.glow, x, y), lookup(guide.colour, x, y)
    bright = rng.random(len(x)) < 0.58
    pale = mix(hexes("8fd0d8")[0], hexes("ffe27a")[0], smoothstep(0.25, 0.6, near))
    colour = np.where(bright[:, None], base * 0.45 + pale * 0.55, base * 0.62)
    path = trace(guide.flow, x, y, 0.10 * rng.uniform(0.5, 1.3, len(x)))
    width = (0.0085 * rng.uniform(0.6, 1.3, len(x))).astype(np.float32)
    strokes = Strokes(path, width, vary(colour, 0.06, rng), vary(colour, 0.12, rng))
    return lay(canvas, strokes, Brush(hairs=5, dry=0.4, taper=0.7, load=1.5), rng)


def _discs(canvas: Canvas, whirls: Whirls, rng: np.random.Generator) -> Canvas:
    """Rings of thick yellow, from the halo to the white-hot middle."""
    paths, widths, colours = [], [], []
    for w in (w for w in whirls if w.disc):
        cx, cy = canvas.frame.place(w.fx, w.fy)
        for q in np.linspace(1.9, 0.0, 9):
            r = max(q * w.disc, 0.002)
            count = max(3, round(2 * np.pi * r / (0.9 * w.disc)) + 2)
            start = rng.uniform(0, 2 * np.pi, count)
            sweep = np.minimum(1.0 * w.disc / r, 2.2) * np.linspace(-0.5, 0.5, 11)
            angle = start[:, None] + sweep
            radius = r * (1 + 0.05 * rng.normal(size=(count, 1)))
            paths.append(np.stack([cx + radius * np.cos(angle), cy + radius * np.sin(angle)], -1))
            widths.append(np.full(count, 0.30 * w.disc) * rng.uniform(0.8, 1.2, count))
            colours.append(ramp(np.full(count, min(1.0, q / 2.1)), GLOW))
    colour = np.concatenate(colours)
    strokes = Strokes(
        np.concatenate(paths).astype(np.float32),
        np.concatenate(widths).astype(np.float32),
        vary(colour, 0.05, rng),
        vary(colour, 0.09, rng),
    )
    return lay(canvas, strokes, Brush(load=1.3), rng)


def _village(canvas: Canvas, rng: np.random.Generator) -> Canvas:
    """Houses in the valley, back to front, on ground that their windows light up."""
    frame = canvas.frame
    count = 30
    fx = rng.normal(0.60, 0.15, count).clip(0.2, 0.97)
    fy = 0.770 + 0.018 * np.sin(fx * 9) + rng.uniform(-0.028, 0.030, count)
    order = np.argsort(fy)
    x = (fx[order] * frame.wide).astype(np.float32)
    y = (fy[order] * frame.tall).astype(np.float32)
    tall = (0.036 * rng.uniform(0.75, 1.25, count)).astype(np.float32)
    canvas = _lamplight(canvas, x, y, rng)
    canvas = _path_home(canvas, rng)
    parts = [_house(float(x[k]), float(y[k]), float(tall[k]), rng) for k in range(count)]
    path, width, colour = (np.concatenate([p[i] for p in parts]) for i in range(3))
    strokes = Strokes(path, width, vary(colour, 0.05, rng), vary(colour, 0.16, rng))
    return lay(canvas, strokes, Brush(hairs=5, dry=0.1, ragged=0.08, taper=0.1, load=1.6), rng)


def _house(x: float, y: float, tall: float, rng: np.random.Generator) -> tuple[Array, ...]:
    """Wall, roof and window strokes of one house: paths, widths and colours."""
    wide = tall * rng.uniform(1.1, 1.6)
    wall, roof = WALL[rng.integers(0, len(WALL))], ROOF[rng.integers(0, len(ROOF))]
    rows = [(0.0, 0.12 * k * tall * 2, 0.0, wide, 0.30 * tall, wall) for k in (0.6, 0.0, -0.6)]
    rows += [
        (sign * 0.27 * wide, -0.42 * tall, sign * 0.62, 0.72 * wide, 0.26 * tall, roof)
        for sign in (-1.0, 1.0)
    ]
    for sign in rng.permutation([-0.26, 0.24])[: rng.integers(1, 3)]:
        lamp = LAMP[rng.integers(0, len(LAMP))]
        rows.append((sign * wide, 0.06 * tall, 1.57, 0.40 * tall, 0.21 * tall, lamp))
    dx, dy, angle, length, width = (np.array([r[i] for r in rows], np.float32) for i in range(5))
    colour = np.stack([r[5] for r in rows]).astype(np.float32)
    return straight(x + dx, y + dy, angle, length), width, colour


def _lamplight(canvas: Canvas, x: Array, y: Array, rng: np.random.Generator) -> Canvas:
    """Ochre and rust dabs on the grass round the houses."""
    each = 7
    gx = np.repeat(x, each) + rng.normal(0, 0.030, len(x) * each).astype(np.float32)
    gy = np.repeat(y, each) + np.abs(rng.normal(0.012, 0.014, len(x) * each)).astype(np.float32)
    colour = hexes("c9832b", "8c5a2b", "5d6a38", "e0a53c")[rng.integers(0, 4, len(gx))]
    path = straight(gx, gy, rng.normal(0, 0.18, len(gx)), 0.036)
    width = (0.008 * rng.uniform(0.7, 1.4, len(gx))).astype(np.float32)
    strokes = Strokes(path, width, vary(colour, 0.06, rng), vary(colour * 0.6, 0.1, rng))
    return lay(canvas, strokes, Brush(hairs=5, taper=0.6), rng)


def _path_home(canvas: Canvas, rng: np.random.Generator) -> Canvas:
    """A lane that winds from the village to the lower edge and widens as it comes nearer."""
    frame = canvas.frame
    t = np.sort(rng.beta(1.5, 1.0, 420)).astype(np.float32)
    middle = 0.56 - 0.20 * t + 0.10 * np.sin(5.2 * t + 0.3) * (0.35 + t)
    half = 0.012 + 0.085 * t**1.6
    x = (middle + half * rng.uniform(-1, 1, len(t))) * frame.wide
    y = (0.79 + 0.24 * t**1.25) * frame.tall
    lit = np.clip(1.0 - 1.15 * t + 0.15 * rng.normal(size=len(t)), 0, 1).astype(np.float32)
    colour = ramp(lit, hexes("2c4a78", "5a6f96", "9a8a78", "d8a552", "ffd772"))
    lean = (-0.20 + 0.52 * np.cos(5.2 * t + 0.3)) * 0.9
    path = straight(x.astype(np.float32), y.astype(np.float32), lean * 0.35, 0.02 + 0.05 * t)
    strokes = Strokes(path, 0.005 + 0.010 * t, vary(colour, 0.07, rng), vary(colour, 0.14, rng))
    return lay(canvas, strokes, Brush(hairs=6, taper=0.5), rng)
