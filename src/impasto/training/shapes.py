"""Drawn scenes: plain shapes with hard edges, as no photograph has them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

#: How many shapes a scene has, at least and at most.
COUNT = (3, 8)
#: Half of a shape's longer side, in units of the scene's edge.
EXTENT = (0.06, 0.4)
#: Its shorter side in units of the longer one, at least.
NARROW = 0.25
#: How far a colour changes across the scene, at most.
SHADE = 0.3


def drawn(count: int, edge: int, draw: np.random.Generator) -> Tensor:
    """Scenes of ellipses and boxes at any angle on a ground, all softly shaded.

    Args:
        count: Of scenes.
        edge: Their height and width in px.
        draw: Decides everything.

    Returns:
        (count, 3, edge, edge) in [0, 1], edges of shapes one pixel wide.
    """
    return torch.stack([_scene(edge, draw) for _ in range(count)])


def _scene(edge: int, draw: np.random.Generator) -> Tensor:
    places = (torch.arange(edge) + 0.5) / edge
    down, across = torch.meshgrid(places, places, indexing="ij")
    scene = _paint(down, across, draw)
    for _ in range(draw.integers(COUNT[0], COUNT[1], endpoint=True)):
        inside = _distance(down, across, draw) * edge
        scene = scene.lerp(_paint(down, across, draw), (0.5 + inside).clamp(0, 1))
    return scene


def _paint(down: Tensor, across: Tensor, draw: np.random.Generator) -> Tensor:
    """A colour that changes linearly in some direction, (3, H, W)."""
    colour = torch.from_numpy(draw.uniform(0, 1, 3)).float()
    angle, amount = draw.uniform(0, 2 * math.pi), draw.uniform(0, SHADE)
    slope = math.cos(angle) * (across - 0.5) + math.sin(angle) * (down - 0.5)
    return (colour[:, None, None] + amount * slope).clamp(0, 1)


def _distance(down: Tensor, across: Tensor, draw: np.random.Generator) -> Tensor:
    """About how far inside a shape each place is, negative outside, (H, W)."""
    y, x = draw.uniform(0, 1, 2)
    angle = draw.uniform(0, math.pi)
    long = draw.uniform(*EXTENT)
    short = long * draw.uniform(NARROW, 1)
    u = math.cos(angle) * (across - x) + math.sin(angle) * (down - y)
    v = math.cos(angle) * (down - y) - math.sin(angle) * (across - x)
    if draw.integers(2):
        return torch.minimum(long - u.abs(), short - v.abs())
    u, v = u / long, v / short
    radius = torch.hypot(u, v)
    steepness = torch.hypot(u / long, v / short) / radius.clamp_min(1e-6)
    return (1 - radius) / steepness.clamp_min(1e-6)
