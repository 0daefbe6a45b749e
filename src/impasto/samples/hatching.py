"""An etching on sepia paper: hatched mountains, a tower by a lake, a tree in front."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
    blur,
    hexes,
    lookup,
    resize,
    smoothstep,
)
from impasto.samples.surface import Mask, grain, paper, polygon

Point = NDArray[np.float64]
"""x and y in units, ``(2,)``."""


SEPIA = hexes("e9d6b0")[0]
INK = hexes("2b1a10")[0]
SHORE = 0.66
LINE = 0.036
"""Length of a pen line in units."""

MASONRY = (
    (((-0.13, 0), (-0.13, -0.055), (-0.02, -0.055), (-0.02, 0)), 0.80, 1.57),
    (((-0.145, -0.052), (-0.115, -0.100), (-0.03, -0.100), (-0.01, -0.052)), 0.34, 1.15),
    (((-0.036, 0.004), (-0.032, -0.17), (0.032, -0.17), (0.036, 0.004)), 0.86, 0.0),
    (((-0.046, -0.165), (0.0, -0.265), (0.046, -0.165)), 0.40, 1.2),
)
"""Wall and roof of the house, shaft and cap of the tower: corners in units, tone, direction."""
WINDOWS = ((0.004, -0.13), (-0.012, -0.07), (-0.10, -0.03), (-0.06, -0.03))
PANE = np.array([(0, 0), (0.009, 0), (0.009, 0.02), (0, 0.02)])


@dataclass(frozen=True)
class Scene:
    """``tone`` ``(H, W)``, 0 black to 1 paper; unit ``form`` ``(H, W, 2)``: along the surface."""

    tone: Array
    form: Array


def paint(size: tuple[int, int], rng: np.random.Generator) -> Array:
    """A landscape in hatched ink, ``(H, W, 3)`` sRGB in [0, 1]."""
    canvas = blank(*size, SEPIA, least=1000)
    scene = _scene(Frame(*size).at(GUIDE), rng)
    sheet = paper(canvas.frame, SEPIA, rng) * _wash(canvas.frame, scene)
    canvas = replace(canvas, colour=sheet.astype(np.float32))
    # Each pass marks what is darker than its limit: along the form first, then across it.
    for turn, limit, spacing, width in (
        (0.0, 0.90, 0.0060, 0.0011),
        (0.0, 0.66, 0.0052, 0.0014),
        (0.62, 0.52, 0.0050, 0.0013),
        (-0.70, 0.38, 0.0048, 0.0015),
        (1.40, 0.24, 0.0046, 0.0017),
        (0.30, 0.12, 0.0044, 0.0020),
    ):
        canvas = _hatch(canvas, scene, (turn, limit, spacing, width), rng)
    canvas = _contours(canvas, scene, rng)
    return finish(_plate(canvas, rng), size, depth=0.25)


def _scene(frame: Frame, rng: np.random.Generator) -> Scene:
    """Light, shade and direction of everything, from the sky to the tree in front."""
    noise = Noise(rng)
    scene = _sky(frame, noise)
    for k in range(3):
        scene = _ridge(frame, noise, k, scene, rng)
    scene = _lake(frame, noise, scene)
    scene = _tower(frame, scene, rng)
    scene = _bank(frame, noise, scene)
    scene = _tree(frame, scene, rng)
    size = np.maximum(np.linalg.norm(scene.form, axis=2, keepdims=True), 1e-6)
    tone = np.clip(0.49 + 1.25 * (scene.tone - 0.54), 0, 1)
    return Scene(tone.astype(np.float32), (scene.form / size).astype(np.float32))


def _wash(frame: Frame, scene: Scene) -> Array:
    """A thin brown wash under the lines, darker in the shade, ``(H, W, 3)`` factors."""
    soft = resize(blur(scene.tone, 2), frame.height, frame.width)
    shade = np.clip(0.75 - soft, 0, 1)[..., None]
    return np.asarray(1 - np.array([0.20, 0.26, 0.34]) * shade, np.float32)


def _over(scene: Scene, where: Mask, tone: Array, u: ArrayLike, v: ArrayLike) -> Scene:
    """The scene with a new surface ``where`` it is true."""
    form = np.stack(np.broadcast_arrays(u, v), axis=-1)
    return Scene(
        np.where(where, tone, scene.tone).astype(np.float32),
        np.where(where[..., None], form, scene.form).astype(np.float32),
    )


def _sky(frame: Frame, noise: Noise) -> Scene:
    """Bright towards the horizon, ruled level; round clouds are left white."""
    x, y = frame.grid()
    down = y / np.float32(frame.tall)
    puff = noise.fbm(x * 3.2, y * 6.5, 4)
    cloud = smoothstep(0.0, 0.25, puff)
    shade = smoothstep(0.15, -0.15, noise.fbm(x * 3.2 - 0.12, y * 6.5 - 0.22, 4) - puff)
    tone = 0.50 + 0.78 * down + cloud * (0.16 + 0.40 * shade) - 0.05 * cloud
    form = np.stack([np.ones_like(x), 0.10 * noise(x * 3, y * 3)], axis=-1)
    return Scene(tone.astype(np.float32), form.astype(np.float32))


def _ridge(frame: Frame, noise: Noise, k: int, scene: Scene, rng: np.random.Generator) -> Scene:
    """A mountain range with lit and shaded faces; nearer ranges are lower and darker."""
    x, y = frame.grid()
    fx, down = x / np.float32(frame.wide), y / np.float32(frame.tall)
    peak, wide = rng.uniform(0.25, 0.75), (0.20, 0.30, 0.45)[k]
    swell = (0.34, 0.20, 0.10)[k] * np.exp(-(((fx - peak) / wide) ** 2))
    rough = np.abs(noise.fbm(x * (3.5 + k) + 7 * k, np.full_like(x, 1.7 + k), 4))
    crest = SHORE - 0.05 - 0.03 * (2 - k) - swell + (0.10, 0.07, 0.05)[k] * rough
    below = down - crest
    craggy = noise.fbm(x * 6 + 9 * below + k, y * 3.2, 3)
    slope = np.gradient(crest, axis=1) * GUIDE
    face = np.tanh(-1.6 * slope + 2.6 * craggy - 0.15)
    tone = 0.56 + 0.25 * face + (0.09, 0.04, -0.06)[k] + 0.4 * np.clip(below, 0, 0.2)
    # The crest itself is a pen line, so that lit faces do not melt into the clouds.
    rim = np.exp(-((below / 0.0045) ** 2))
    tone = tone - 0.75 * rim
    lean = np.where(face > 0, 0.85, -0.7) + 0.35 * craggy
    lean = np.where(rim > 0.3, np.arctan2(1.0, slope * frame.tall), lean)
    return _over(scene, below > 0, tone, np.sin(lean), np.cos(lean))


def _lake(frame: Frame, noise: Noise, scene: Scene) -> Scene:
    """Still water: the picture above the shore upside down, drawn level."""
    x, y = frame.grid()
    down = y / np.float32(frame.tall)
    ripple = 0.02 * noise(x * 4, y * 55)
    mirrored = lookup(scene.tone, x + ripple, (2 * SHORE - down) * frame.tall)
    glitter = 0.18 * smoothstep(0.15, 0.5, noise(x * 4, y * 45))
    tone = 0.22 + 0.62 * mirrored + glitter + 0.10 * noise(x * 3, y * 30)
    return _over(scene, down > SHORE, tone, np.ones_like(x), 0.03 * noise(x * 6, y * 20))


def _tower(frame: Frame, scene: Scene, rng: np.random.Generator) -> Scene:
    """A round tower with a cone roof and a house beside it on a spit of land."""
    x, y = frame.grid()
    cx, base = frame.place(0.64 + rng.uniform(-0.06, 0.08), SHORE + 0.012)
    at = np.array([cx, base])
    spit = ((x - cx + 0.02) / 0.21) ** 2 + ((y - base - 0.012) / 0.020) ** 2 < 1
    scene = _over(scene, spit, 0.30 + 0 * x, np.ones_like(x), 0.1 * np.sin(60 * x))
    for corners, light, angle in MASONRY:
        round_ = np.clip((x - cx) / 0.036, -1, 1) if angle == 0.0 else 0.25 * np.sign(x - cx)
        tone = light - 0.34 * np.clip(round_ + 0.25, 0, 1) ** 0.8
        along = (np.cos(angle) + 0 * x, np.sin(angle) + 0.25 * round_)
        scene = _over(scene, polygon(frame, at + corners), tone, *along)
    for window in WINDOWS:
        pane = polygon(frame, at + window + PANE)
        scene = _over(scene, pane, 0.03 + 0 * x, 0 * x, 1 + 0 * x)
    return scene


def _bank(frame: Frame, noise: Noise, scene: Scene) -> Scene:
    """The near bank: tussocks whose blades stand up from a dark ground."""
    x, y = frame.grid()
    fx, down = x / np.float32(frame.wide), y / np.float32(frame.tall)
    edge = 0.955 - 0.17 * smoothstep(0.62, 0.0, fx) + 0.018 * noise.fbm(x * 9, 0 * x, 3)
    below = down - edge
    tuft = noise.fbm(x * 8, y * 10, 2)
    tone = 0.44 + 0.55 * tuft + 0.5 * np.exp(-np.maximum(below, 0) / 0.012) - 1.1 * below
    lean = 0.45 * noise(x * 10, y * 4)
    return _over(scene, below > 0, tone, np.sin(lean), np.cos(lean))


def _tree(frame: Frame, scene: Scene, rng: np.random.Generator) -> Scene:
    """A gnarled tree on the left: trunk and boughs, then round clumps of leaves lit from above."""
    boughs = _boughs(np.array(frame.place(0.15, 0.93)), rng)
    for start, end, thick in boughs:
        scene = _patch(frame, scene, _limb, (start, end, thick))
    tips = np.array([end for _, end, thick in boughs if thick < 0.011])
    clumps = np.repeat(tips, 2, axis=0) + rng.normal(0, 0.026, (2 * len(tips), 2))
    for centre in clumps[np.argsort(-clumps[:, 1])]:
        scene = _patch(frame, scene, _clump, (centre, centre, rng.uniform(0.030, 0.052)))
    return scene


Part = tuple[Point, Point, float]
"""A part of the tree: from where to where, and its half width; all in units."""


def _patch(
    frame: Frame,
    scene: Scene,
    draw: Callable[[Scene, tuple[Array, Array], Part], Scene],
    part: Part,
) -> Scene:
    """The scene with one part drawn; only the pixels round it are computed."""
    start, end, reach = part
    low = (np.minimum(start, end) - 1.4 * reach) * frame.unit
    high = (np.maximum(start, end) + 1.4 * reach) * frame.unit + 1
    (left, top), (right, foot) = np.maximum(low, 0).astype(int), np.maximum(high, 0).astype(int)
    window = (slice(top, foot), slice(left, right))
    x, y = frame.grid()
    tone, form = scene.tone.copy(), scene.form.copy()
    new = draw(Scene(tone[window], form[window]), (x[window], y[window]), part)
    tone[window], form[window] = new.tone, new.form
    return Scene(tone, form)


def _clump(scene: Scene, at: tuple[Array, Array], part: Part) -> Scene:
    """A round mass of leaves with a scalloped edge; pen lines curl round it."""
    (x, y), ((cx, cy), _, radius) = at, part
    dx, dy = (x - cx) / radius, (y - cy) / (0.78 * radius)
    angle = np.arctan2(dy, dx)
    edge = 1 + 0.16 * np.sin(7 * angle + cx * 99) + 0.08 * np.sin(13 * angle + cy * 77)
    r = np.hypot(dx, dy) / edge
    tone = 0.66 - 0.36 * dy - 0.24 * dx - 0.34 * smoothstep(0.55, 1.0, r) * (dy > -0.2)
    return _over(scene, r < 1, tone, -dy + 0.35 * dx, dx + 0.35 * dy)


def _boughs(root: Point, rng: np.random.Generator) -> list[Part]:
    """Segments (start, end, half width in units) of a tree grown by splitting."""
    todo = [(root, -1.50, 0.150, 0.026, 0)]
    done: list[Part] = []
    while todo:
        start, angle, length, thick, depth = todo.pop()
        middle = start + 0.5 * length * np.array([np.cos(angle), np.sin(angle)])
        bent = angle + rng.normal(0, 0.22)
        end = middle + 0.5 * length * np.array([np.cos(bent), np.sin(bent)])
        done += [(start, middle, thick), (middle, end, 0.85 * thick)]
        if depth < 4:
            for side in (-1, 1):
                turn = side * rng.uniform(0.30, 0.62)
                shorter = length * rng.uniform(0.66, 0.84)
                todo.append((end, bent + turn, shorter, 0.66 * thick, depth + 1))
    return done


def _limb(scene: Scene, at: tuple[Array, Array], part: Part) -> Scene:
    """A rounded limb, shaded on its right side; bark runs along it."""
    (x, y), (a, b, thick) = at, part
    d = b - a
    t = np.clip(((x - a[0]) * d[0] + (y - a[1]) * d[1]) / (d @ d), 0, 1)
    off = ((x - a[0]) * -d[1] + (y - a[1]) * d[0]) / np.sqrt(d @ d)
    far = np.hypot(x - a[0] - t * d[0], y - a[1] - t * d[1])
    tone = 0.34 + 0.34 * off / thick
    return _over(scene, far < thick, tone, d[0] + 0 * x, d[1] + 0.15 * np.sin(70 * off) * abs(d[0]))


def _hatch(
    canvas: Canvas,
    scene: Scene,
    rule: tuple[float, float, float, float],
    rng: np.random.Generator,
) -> Canvas:
    """One pass: lines turned by ``turn`` from the form wherever it is darker than ``limit``."""
    turn, limit, spacing, width = rule
    x, y = spread(canvas.frame, (LINE * spacing) ** 0.5, rng)
    dark = limit - lookup(scene.tone, x, y) + rng.normal(0, 0.025, len(x))
    keep = dark > 0
    x, y, dark = x[keep], y[keep], np.clip(dark[keep], 0, 0.5)
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u, v = scene.form[..., 0], scene.form[..., 1]
    flow = np.stack([c * u - s * v, s * u + c * v], axis=-1)
    path = trace(flow, x, y, LINE * rng.uniform(0.7, 1.3, len(x)), 6)
    path += rng.normal(0, 0.0003, path.shape).astype(np.float32)
    wide = (width * (0.65 + 1.5 * dark) * rng.uniform(0.8, 1.2, len(x))).astype(np.float32)
    # A line stops where the light begins: both ends must still be dark enough.
    ends = [lookup(scene.tone, path[:, k, 0], path[:, k, 1]) for k in (0, -1)]
    keep = np.maximum(*ends) < limit + 0.16
    ink = vary(np.broadcast_to(INK, (len(x), 3)), 0.05, rng)
    strokes = Strokes(path, wide, ink, ink).take(np.flatnonzero(keep))
    return lay(canvas, strokes, Brush(hairs=2, dry=0.0, ragged=0.3, taper=0.8, load=0.4), rng)


def _contours(canvas: Canvas, scene: Scene, rng: np.random.Generator) -> Canvas:
    """Short pen lines along the edges where light and dark meet."""
    gy, gx = (np.asarray(g, np.float32) for g in np.gradient(scene.tone))
    edge = np.hypot(gx, gy)
    x, y = spread(canvas.frame, 0.0062, rng)
    strength = lookup(edge, x, y)
    keep = strength > 0.10
    x, y = x[keep], y[keep]
    angle = np.arctan2(lookup(gx, x, y), -lookup(gy, x, y))
    path = straight(x, y, angle, 0.014 * rng.uniform(0.7, 1.3, len(x)), rng.normal(0, 0.05, len(x)))
    width = (0.0013 + 0.0030 * np.minimum(strength[keep], 0.35)).astype(np.float32)
    ink = vary(np.broadcast_to(INK * np.float32(0.85), (len(x), 3)), 0.04, rng)
    return lay(
        canvas, Strokes(path, width, ink, ink), Brush(hairs=2, dry=0, taper=0.6, load=0.4), rng
    )


def _plate(canvas: Canvas, rng: np.random.Generator) -> Canvas:
    """Plate tone: a warm film of ink, heavier at the margins, wiped unevenly."""
    frame = canvas.frame
    x, y = frame.grid()
    rim = np.minimum.reduce([x, y, frame.wide - x, frame.tall - y])
    film = 0.10 * smoothstep(0.10, 0.0, rim) + 0.04 * (1 + grain(frame, (0.10, 0.30), rng)) / 2
    tint = np.array([0.75, 0.95, 1.15], np.float32) * film[..., None]
    return replace(canvas, colour=(canvas.colour * (1 - tint)).astype(np.float32))
