"""A colour woodblock print: rolling waves in flat blues, contour lines, foam, a pale sun."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from impasto.samples.brush import Canvas, blank, finish
from impasto.samples.fields import Array, Frame, Noise, hexes, mix, smoothstep
from impasto.samples.surface import disc, grain, paper, polygon

CREAM, FOAM = hexes("efe3c4", "f7f0dc")
LINE = hexes("10264a")[0]
SUN = hexes("d9573a")[0]
BLUES = hexes("c9d5c4", "93b5bb", "5a8fa8", "2f6792", "1c467c", "122f5f")
SKY = hexes("24508a", "7fa3b0", "dcd8bd", "efdcb4", "eec9a0")


@dataclass(frozen=True)
class Swell:
    """One row of waves: place and size in units, phase and lean of the crests."""

    base: float
    high: float
    long: float
    phase: float
    lean: float
    tone: int


def paint(size: tuple[int, int], rng: np.random.Generator) -> Array:
    """Waves under a low sun, ``(H, W, 3)`` sRGB in [0, 1]."""
    canvas = blank(*size, CREAM)
    frame = canvas.frame
    image = Image.fromarray(_bytes(_sky(frame, rng)))
    draw = ImageDraw.Draw(image)
    for swell in _swells(frame, rng):
        _wave(draw, frame, swell, rng)
    _birds(draw, frame, rng)
    printed = np.asarray(image, np.float32) / np.float32(255)
    return finish(_impression(canvas, printed, rng), size, depth=0.35)


def _bytes(colour: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(np.clip(colour * 255 + 0.5, 0, 255), np.uint8)


def _sky(frame: Frame, rng: np.random.Generator) -> Array:
    """A wiped gradient from blue to warm cream, a sun, and long bars of mist."""
    x, y = frame.grid()
    down = y / np.float32(frame.tall)
    wiped = np.clip(down / 0.56, 0, 1)
    knots = np.linspace(0, 1, len(SKY)) ** 0.75
    sky = np.stack([np.interp(wiped, knots, SKY[:, c]) for c in range(3)], axis=-1)
    sun = polygon(frame, disc(frame.place(0.70 + rng.normal(0, 0.05), 0.30), 0.125))
    sky[sun] = SUN + (SKY[3] - SUN) * smoothstep(0.28, 0.48, down)[sun][:, None] * 0.6
    noise = Noise(rng)
    for k in range(4):
        level = 0.20 + 0.085 * k + 0.02 * rng.normal()
        edge = noise(x * 2.2 + 9 * k, np.full_like(x, 4.1 * k))
        half = np.clip(0.010 + 0.016 * edge, 0, 1)
        sky[np.abs(down - level - 0.004 * np.sin(5 * x + k)) < half] = CREAM
    return sky.astype(np.float32)


def _swells(frame: Frame, rng: np.random.Generator) -> list[Swell]:
    """Rows of waves from the horizon to the front, each larger and bluer than the one behind."""
    rows = []
    for k in range(8):
        near = k / 7
        rows.append(
            Swell(
                base=frame.tall * (0.485 + 0.60 * near**1.25),
                high=0.016 + 0.088 * near**1.1,
                long=0.16 + 0.44 * near,
                phase=float(rng.uniform(0, 1)),
                lean=float((0.30 + 0.75 * near) * rng.uniform(0.8, 1.2)),
                tone=k % 2,
            )
        )
    return rows


def _crest(frame: Frame, swell: Swell, depth: float) -> Array:
    """A contour ``(n, 2)`` in units: ``depth`` 0 is the crest line, 1 is almost level.

    Points of a trochoid (F. J. von Gerstner, 1804) that lean forward the more the higher they are.
    """
    t = np.linspace(-1.2, frame.wide / swell.long + 1.2, 700) + swell.phase
    calm = np.exp(-1.5 * depth)
    a = 2 * np.pi * t
    vary = 1 + 0.28 * np.sin(1.7 * t + 5 * swell.phase) + 0.16 * np.sin(4.1 * t)
    up = swell.high * calm * vary * (np.cos(a) - 0.25 * np.cos(2 * a))
    x = (t - swell.phase) * swell.long - 0.105 * swell.long * calm * np.sin(a)
    x = x + swell.lean * 1.5 * np.maximum(up, 0) * calm**2
    y = swell.base - up + depth * (1.5 * swell.high + 0.05)
    return np.stack([x, y], axis=1)


def _wave(draw: ImageDraw.ImageDraw, frame: Frame, swell: Swell, rng: np.random.Generator) -> None:
    """One row: flat bands of blue, contour lines between them, foam on the crests."""
    near = swell.high / 0.104
    depths = np.linspace(0, 1.15, 6) ** 1.2
    floor = [(frame.wide + 0.5, frame.tall + 0.5), (-0.5, frame.tall + 0.5)]
    for k, depth in enumerate(depths):
        shade = BLUES[min(len(BLUES) - 1, k + (1 if swell.tone else 0))]
        outline = np.concatenate([_crest(frame, swell, float(depth)), floor])
        draw.polygon(_pixels(frame, outline), fill=_ink(shade))
    for k, depth in enumerate(np.linspace(0, 1.35, 13) ** 1.1):
        width = (0.0042 if k == 0 else 0.0017 + 0.0010 * (k % 3 == 0)) * (0.45 + 0.6 * near)
        line = _pixels(frame, _crest(frame, swell, float(depth)))
        draw.line(line, fill=_ink(LINE), width=max(1, round(width * frame.unit)), joint="curve")
    _foam(draw, frame, swell, rng)


def _foam(draw: ImageDraw.ImageDraw, frame: Frame, swell: Swell, rng: np.random.Generator) -> None:
    """Scalloped foam where the crest is high, and drops thrown ahead of it."""
    line = _crest(frame, swell, 0.0)
    up = (swell.base - line[:, 1]) / swell.high
    size = 0.19 * swell.high
    high = np.flatnonzero(up > 0.52)
    gone = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    stops = [
        i for i, j in zip(high[1:], high[:-1], strict=True) if gone[i] // size != gone[j] // size
    ]
    rim = max(1, round(0.0017 * frame.unit * (0.45 + swell.high / 0.17)))
    for row, scale in ((1.25, 0.62), (0.45, 0.85), (-0.1, 1.0)):
        for i in stops:
            radius = size * scale * rng.uniform(0.7, 1.15) * min(1.0, 0.35 + (up[i] - 0.5) * 1.4)
            cx, cy = line[i] + (rng.normal(0, 0.2) * size, row * size)
            _round(draw, frame, (cx, cy), radius, rim)
    for i in stops:
        if up[i] > 0.95 and rng.random() < 0.7:
            dx, dy = rng.uniform(-0.2, 0.9) * swell.high, -rng.uniform(0.15, 0.6) * swell.high
            _round(
                draw, frame, (line[i, 0] + dx, line[i, 1] + dy), size * rng.uniform(0.1, 0.26), 0
            )


def _round(
    draw: ImageDraw.ImageDraw, frame: Frame, at: tuple[float, float], radius: float, rim: int
) -> None:
    x, y, r = at[0] * frame.unit, at[1] * frame.unit, max(1.0, radius * frame.unit)
    box = (x - r, y - r, x + r, y + r)
    draw.ellipse(box, fill=_ink(FOAM), outline=_ink(LINE) if rim else None, width=rim)


def _birds(draw: ImageDraw.ImageDraw, frame: Frame, rng: np.random.Generator) -> None:
    """A flight of plovers on a rising line."""
    for k in range(9):
        fx, fy = 0.12 + 0.045 * k + rng.normal(0, 0.012), 0.34 - 0.020 * k + rng.normal(0, 0.018)
        x, y = frame.place(fx, fy)
        span = 0.020 * rng.uniform(0.75, 1.2)
        t = np.linspace(-1, 1, 17)
        wing = np.stack([x + span * t, y - span * (0.55 * np.abs(t) ** 0.6 - 0.35 * t * t)], axis=1)
        body = np.concatenate([wing, wing[::-1] + np.array([0, 0.006])])
        draw.polygon(_pixels(frame, body), fill=_ink(LINE))


def _impression(canvas: Canvas, printed: Array, rng: np.random.Generator) -> Canvas:
    """What the block leaves on the paper: wood grain in the colour, fibres, a bare margin."""
    frame = canvas.frame
    x, y = frame.grid()
    bend = grain(frame, (0.35, 0.5), rng)
    rings = np.sin(2 * np.pi * (y * 26 + 2.2 * bend + 0.3 * grain(frame, (0.02, 0.4), rng)))
    plank = 0.5 * rings + 0.7 * grain(frame, (0.0045, 0.30), rng)
    mottled = 0.6 * grain(frame, (0.009, 0.012), rng) + 0.5 * grain(frame, (0.05, 0.05), rng)
    sheet = paper(frame, CREAM, rng)
    thin = np.clip(0.10 + 0.085 * plank + 0.075 * mottled, 0, 1)
    colour = mix(printed * sheet / CREAM, sheet, thin)
    rim = np.minimum.reduce([x, y, frame.wide - x, frame.tall - y])
    ragged = rim + 0.0008 * grain(frame, (0.012, 0.012), rng)
    colour = mix(sheet, colour, smoothstep(0.020, 0.023, ragged))
    border = np.abs(ragged - 0.0235) < 0.0016
    colour[border] = LINE * 1.1
    relief = 0.0006 * mottled + 0.0004 * plank
    return replace(canvas, colour=colour, relief=relief.astype(np.float32))


def _pixels(frame: Frame, points: Array) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in points * frame.unit]


def _ink(colour: Array) -> tuple[int, int, int]:
    red, green, blue = (int(v) for v in _bytes(colour))
    return red, green, blue
