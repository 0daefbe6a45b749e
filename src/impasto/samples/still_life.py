"""A ray-marched scene: fruit and a cup on a table, one large lamp, soft shadows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impasto.samples.fields import Array, Frame, Noise, hexes, mix, resize, smoothstep, supersampled

LAMP = np.array([-0.768, 0.512, 0.384], np.float32)
"""Unit vector towards the middle of the lamp."""
EYE = np.array([0.0, 1.75, 5.2], np.float32)
AIM = np.array([-0.12, 0.50, 0.0], np.float32)
LENS = 1.5
"""Distance of the picture plane from the eye, in units."""
WALL = -2.6
"""Depth of the back wall; the table is the plane y = 0."""


@dataclass(frozen=True)
class Thing:
    """A body: signed distance of points ``(N, 3)``, a bounding ball, albedo and gloss in [0, 1]."""

    distance: Callable[[Array], Array]
    middle: tuple[float, float, float]
    reach: float
    albedo: Array
    gloss: float


def paint(size: tuple[int, int], rng: np.random.Generator) -> Array:
    """A still life with soft light, ``(H, W, 3)`` sRGB in [0, 1]."""
    frame = supersampled(*size)
    things = _things(rng)
    wood = Noise(rng)
    rays = _rays(frame)
    depth, which = _first_hit(things, rays)
    light = np.empty_like(rays)
    for first in range(0, len(rays), 1 << 17):
        part = slice(first, first + (1 << 17))
        light[part] = _shade(things, wood, rays[part], (depth[part], which[part]))
    # Filmic exposure, then the sRGB transfer curve approximated by its mean exponent.
    seen = (1 - np.exp(-1.55 * light)) ** np.float32(1 / 2.2)
    picture = seen.reshape(frame.height, frame.width, 3).astype(np.float32)
    return np.clip(resize(picture, *size, smooth=False), 0, 1)


def _things(rng: np.random.Generator) -> list[Thing]:
    """A cup and four fruit; the seed moves them, resizes them and deals the colours."""
    skins = hexes("b3161a", "e07a12", "5f8f1e", "e8c02a", "6a1f4a") ** 2.2
    skins = skins[rng.permutation(5)]
    places = ((-1.05, 0.55, 0.46), (-0.20, 1.00, 0.36), (1.35, 0.35, 0.42), (-1.75, -0.45, 0.52))
    things = [
        _cup(
            (0.52, -0.35),
            0.62 * rng.uniform(0.92, 1.06),
            hexes("2f5f9f", "d9d2c4", "2f7f78")[rng.integers(0, 3)] ** 2.2,
        )
    ]
    for k, (x, z, r) in enumerate(places):
        radius = r * rng.uniform(0.92, 1.08)
        middle = (x + rng.normal(0, 0.05), radius * 0.97, z + rng.normal(0, 0.05))
        things.append(_fruit(middle, radius, skins[k]))
    return things


def _fruit(middle: tuple[float, float, float], radius: float, skin: Array) -> Thing:
    """A ball, dented a little at the stalk like an apple."""
    centre = np.array(middle, np.float32)

    def distance(p: Array) -> Array:
        q = p - centre
        flat = np.hypot(q[:, 0], q[:, 2])
        dent = 0.16 * radius * np.exp(-((flat / (0.34 * radius)) ** 2)) * (q[:, 1] > 0)
        return np.asarray(0.9 * (np.sqrt(flat**2 + q[:, 1] ** 2) - radius + dent), np.float32)

    return Thing(distance, middle, 1.05 * radius, skin, 0.55)


def _cup(at: tuple[float, float], radius: float, glaze: Array) -> Thing:
    """A mug: an open cylinder with a rounded rim, and a ring for a handle."""
    tall = 1.75 * radius

    def distance(p: Array) -> Array:
        x, y, z = p[:, 0] - at[0], p[:, 1], p[:, 2] - at[1]
        swell = radius * (0.90 + 0.10 * np.clip(y / tall, 0, 1))
        flat = np.hypot(x, z)
        shell = np.hypot(np.abs(flat - swell), np.maximum(np.abs(y - tall / 2) - tall / 2, 0))
        floor = np.hypot(np.maximum(flat - swell, 0), np.maximum(np.abs(y - 0.06), 0))
        ring = np.hypot(x - 1.08 * radius, y - 0.55 * tall) - 0.42 * radius
        handle = np.hypot(ring, z) - 0.075 * radius
        handle = np.maximum(handle, 0.94 * radius - flat)
        body = np.minimum(shell, floor) - 0.055 * radius
        return np.asarray(0.85 * np.minimum(body, handle), np.float32)

    middle = (at[0] + 0.2 * radius, 0.5 * tall, at[1])
    return Thing(distance, middle, 1.55 * radius, glaze, 0.9)


def _rays(frame: Frame) -> Array:
    """Unit directions ``(H * W, 3)`` through the pixels of a camera at ``EYE``."""
    x, y = frame.grid()
    forward = (AIM - EYE) / np.linalg.norm(AIM - EYE)
    right = np.cross(forward, np.array([0, 1, 0], np.float32))
    right = right / np.linalg.norm(right)
    up = np.cross(right, forward)
    px, py = x.ravel() - frame.wide / 2, frame.tall / 2 - y.ravel()
    rays = px[:, None] * right + py[:, None] * up + LENS * forward
    return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True), np.float32)


def _span(thing: Thing, origin: Array, rays: Array) -> tuple[Array, Array]:
    """Where rays enter and leave the bounding ball; entry beyond exit when they miss it."""
    to = np.asarray(thing.middle, np.float32) - origin
    along = (to * rays).sum(1)
    off = (to * to).sum(1) - along**2
    half = np.sqrt(np.maximum(thing.reach**2 - off, 0))
    miss = off > thing.reach**2
    return np.where(miss, np.inf, np.maximum(along - half, 0)), np.where(miss, 0, along + half)


def _first_hit(things: list[Thing], rays: Array) -> tuple[Array, NDArray[np.int64]]:
    """Depth of the nearest surface and what it is: a thing, -1 the table, -2 the wall."""
    with np.errstate(divide="ignore"):
        table = np.where(rays[:, 1] < 0, -EYE[1] / rays[:, 1], np.inf)
        wall = np.where(rays[:, 2] < 0, (WALL - EYE[2]) / rays[:, 2], np.inf)
    depth = np.minimum(table, wall).astype(np.float32)
    which = np.where(table <= wall, -1, -2)
    for k, thing in enumerate(things):
        enter, leave = _span(thing, np.broadcast_to(EYE, rays.shape), rays)
        index = np.flatnonzero(enter < np.minimum(leave, depth))
        t, alive = enter[index].astype(np.float32), np.ones(len(index), bool)
        for _ in range(56):
            live = np.flatnonzero(alive)
            step = thing.distance(EYE + t[live, None] * rays[index[live]])
            t[live] += step
            alive[live] = (step > 4e-4) & (t[live] < leave[index[live]])
        found = (t < np.minimum(leave[index], depth[index])) & ~np.isnan(t)
        depth[index[found]], which[index[found]] = t[found], k
    return depth, which


def _shade(
    things: list[Thing], wood: Noise, rays: Array, hit: tuple[Array, NDArray[np.int64]]
) -> Array:
    """Linear light ``(N, 3)`` that comes back along the rays."""
    depth, which = hit
    at = EYE + depth[:, None] * rays
    normal, albedo, gloss = _surface(things, wood, at, which)
    above = at + normal * np.float32(0.01)
    lit = np.clip(normal @ LAMP, 0, 1) * _shadow(things, above)
    open_ = _openness(things, above, normal)
    sky = (0.5 + 0.5 * normal[:, 1]) * open_
    warm, cool = np.array([1.00, 0.86, 0.68]) * 1.55, np.array([0.30, 0.36, 0.46]) * 0.62
    bounce = (0.5 - 0.5 * normal[:, 1]) * open_ * 0.28
    light = lit[:, None] * warm + sky[:, None] * cool + bounce[:, None] * np.array([0.7, 0.45, 0.3])
    half = LAMP - rays
    half = half / np.linalg.norm(half, axis=1, keepdims=True)
    shine = np.clip((half * normal).sum(1), 0, 1) ** (20 + 120 * gloss) * gloss * np.sign(lit)
    facing = np.clip(-(rays * normal).sum(1), 0, 1)
    mirror = gloss * (0.04 + 0.30 * (1 - facing) ** 4) * open_
    out = albedo * light + (1.1 * shine * np.minimum(4 * lit, 1))[:, None]
    return np.asarray(out + mirror[:, None] * np.array([0.75, 0.75, 0.8]), np.float32)


def _surface(
    things: list[Thing], wood: Noise, at: Array, which: NDArray[np.int64]
) -> tuple[Array, Array, Array]:
    """Normal ``(N, 3)``, albedo ``(N, 3)`` and gloss ``(N,)`` at the points that are seen."""
    normal = np.zeros_like(at)
    normal[which == -1, 1] = 1
    normal[which == -2, 2] = 1
    albedo = np.empty_like(at)
    gloss = np.where(which == -1, np.float32(0.12), np.float32(0))
    wall, table = hexes("6f7f78")[0] ** 2.2, hexes("8a5a34", "b98050") ** 2.2
    # The lamp makes a pool of light on the wall, brightest behind the cup.
    back = at[which == -2]
    pool = np.exp(-(((back[:, 0] + 0.4) / 2.3) ** 2) - ((back[:, 1] - 0.7) / 1.6) ** 2)
    albedo[which == -2] = wall * (0.30 + 0.95 * pool)[:, None]
    board = at[which == -1]
    ring = wood(board[:, 0] * 0.5, board[:, 2] * 2.2) * 4
    grain = 0.5 + 0.3 * np.sin(6.3 * ring) + 0.4 * wood(board[:, 0] * 2, board[:, 2] * 28)
    albedo[which == -1] = mix(table[0], table[1], np.clip(grain, 0, 1))
    for k, thing in enumerate(things):
        seen = which == k
        normal[seen] = _gradient(thing.distance, at[seen])
        albedo[seen], gloss[seen] = thing.albedo, thing.gloss
    return normal, albedo, gloss


def _gradient(distance: Callable[[Array], Array], p: Array, h: float = 2e-3) -> Array:
    """Unit normals by central differences of the distance, ``(N, 3)``."""
    axes = np.eye(3, dtype=np.float32) * np.float32(h)
    slope = np.stack([distance(p + a) - distance(p - a) for a in axes], axis=1)
    return np.asarray(slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9))


def _shadow(things: list[Thing], origin: Array) -> Array:
    """Share of the lamp that is seen from points ``(N, 3)``.

    The penumbra is the smallest ratio of clearance to distance along the way to the middle of the
    lamp; source: I. Quilez, "Soft shadows in raymarched SDFs" (2010).
    """
    free = np.ones(len(origin), np.float32)
    toward = np.broadcast_to(LAMP, origin.shape)
    for thing in things:
        wide = Thing(thing.distance, thing.middle, 1.6 * thing.reach, thing.albedo, 0)
        enter, leave = _span(wide, origin, toward)
        index = np.flatnonzero(enter < leave)
        t = np.maximum(enter[index], 0.02).astype(np.float32)
        for _ in range(22):
            gap = thing.distance(origin[index] + t[:, None] * LAMP)
            free[index] = np.minimum(free[index], np.clip(0.5 + 4.5 * gap / t, 0, 1))
            t = np.minimum(t + np.clip(gap, 0.025, 0.25), leave[index].astype(np.float32) + 0.02)
    return smoothstep(0.0, 1.0, free)


def _openness(things: list[Thing], at: Array, normal: Array) -> Array:
    """Share of the surroundings that is seen from points ``(N, 3)``: contact shadows."""
    hidden = np.zeros(len(at), np.float32)
    for thing in things:
        near = np.linalg.norm(at - np.asarray(thing.middle, np.float32), axis=1) < thing.reach + 0.7
        p, n = at[near], normal[near]
        for reach, weight in ((0.08, 0.40), (0.22, 0.32), (0.50, 0.22)):
            gap = np.clip(thing.distance(p + reach * n) / reach, 0, 1)
            hidden[near] += np.float32(weight) * (1 - gap)
    return np.asarray(np.exp(-1.1 * hidden), np.float32)
