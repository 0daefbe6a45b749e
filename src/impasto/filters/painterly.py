"""Painterly rendering: curved brush strokes, large ones first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.filters.base import FILTERS, Filter, param, pixels, seed
from impasto.filters.kernels import gaussian, orientation, structure_tensor
from impasto.filters.strokes import MOST_STROKES, Strokes, drawn

_SHORTEST, _LONGEST = 3, 9  # control points of a stroke, one brush radius apart
_CURVATURE = 0.7  # f_c: how far a stroke may turn from step to step
_BATCHES = 10  # strokes of a layer are laid in this many rounds, each over the one before


@FILTERS.register("painterly")
@dataclass(frozen=True)
class Painterly(Filter):
    """Brush strokes: long curved dabs of large to small brushes, finer only where needed.

    Hertzmann's algorithm: for each brush, largest first, the canvas is compared with the photo
    blurred to the brush's size; where the error of a cell exceeds ``tolerance`` a stroke starts
    at the worst place, runs across the gradient as a cubic B-spline, and ends where its colour
    would do harm. Bristles, and light on the relief of the paint, are our own.

    Deviations: directions come from the smoothed structure tensor, so strokes run on through
    flat areas; strokes are laid in ten rounds a layer, in random order.
    """

    name: ClassVar[str] = "painterly"
    title: ClassVar[str] = "Brush strokes (Hertzmann)"
    source: ClassVar[str] = "Hertzmann 1998, Painterly rendering with curved brush strokes"

    brush: float = param(20.0, 4.0, 80.0, "radius of the largest brush, px at 1024")
    layers: int = param(4, 1, 6, "brushes, each half as large as the one before")
    tolerance: float = param(0.09, 0.01, 0.5, "error of colour that is not painted over")
    relief: float = param(0.5, 0.0, 1.5, "light on the thickness of the paint")
    seed: int = seed()

    def render(self, image: Tensor) -> Tensor:
        """Paint layer over layer, then light the relief."""
        generator = torch.Generator().manual_seed(self.seed)
        # Colour and thickness; nothing is painted yet, so the first layer covers everything.
        canvas = torch.cat(
            [image.mean((2, 3), keepdim=True).expand_as(image), torch.zeros_like(image[:, :1])], 1
        )
        for layer in range(self.layers):
            radius = pixels(self.brush, image) / 2**layer
            if layer and radius < 1.0:
                break
            wanted = gaussian(image, 0.35 * radius)
            tolerance = 0.0 if layer == 0 else self.tolerance
            for strokes in _planned(canvas, wanted, max(radius, 1.0), tolerance, generator):
                canvas = drawn(canvas, strokes)
        return _lit(canvas, self.relief, pixels(1.0, image))


def _planned(
    canvas: Tensor, wanted: Tensor, radius: float, tolerance: float, generator: torch.Generator
) -> Iterator[Strokes]:
    """The strokes of one layer in rounds, planned on the canvas as it was before the layer."""
    starts = _starts(canvas, wanted, radius, tolerance)
    starts = starts[torch.randperm(len(starts), generator=generator).to(starts.device)]
    points, lengths, colours = _traced(canvas[:, :3], wanted, starts, radius)
    jitter = torch.randn(len(starts), 1, generator=generator) * 0.018
    tints = torch.randn(len(starts), 3, generator=generator) * 0.010
    colours = (colours + (jitter + tints).to(colours)).clamp(0.0, 1.0)
    grain = torch.rand(len(starts), generator=generator).to(colours.device)
    rounds = max(_BATCHES, len(starts) // MOST_STROKES + 1)
    for part in range(rounds):
        pick = slice(part, None, rounds)
        if len(lengths[pick]):
            yield Strokes(points[pick], lengths[pick], colours[pick], grain[pick], radius)


def _starts(canvas: Tensor, wanted: Tensor, radius: float, tolerance: float) -> Tensor:
    """Worst pixel of each grid cell whose mean error exceeds the tolerance, ``(N, 2)`` (y, x)."""
    error = (canvas[:, :3] - wanted).square().sum(1, True).sqrt()
    height, width = error.shape[-2:]
    cell = max(1, round(radius))
    padded = F.pad(error, (0, -width % cell, 0, -height % cell), value=-1.0)
    mean = F.avg_pool2d(padded.clamp_min(0.0), cell)
    _, where = F.max_pool2d(padded, cell, return_indices=True)
    index = where[mean >= tolerance]
    across = padded.shape[-1]
    return torch.stack([index // across, index % across], 1).float()


def _traced(
    canvas: Tensor, wanted: Tensor, starts: Tensor, radius: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Follow the directions from all starts at once.

    Returns:
        Control points ``(N, L, 2)`` (y, x), the last repeated; counts ``(N,)``; colours ``(N, 3)``.
    """
    height, width = wanted.shape[-2:]
    tx, ty, _ = orientation(structure_tensor(wanted, 1.5 * radius))
    field = torch.stack([ty.reshape(-1), tx.reshape(-1)], 1)
    target, painted = wanted[0].reshape(3, -1).T, canvas[0].reshape(3, -1).T
    limit = torch.tensor([height - 1.0, width - 1.0], device=wanted.device)

    def at(place: Tensor) -> Tensor:
        rounded = place.round()
        return (rounded[:, 0] * width + rounded[:, 1]).long()

    place, index = starts, at(starts)
    colours, last = target[index], field[index]
    points = [place]
    counts = torch.ones(len(starts), dtype=torch.long, device=wanted.device)
    alive = torch.ones(len(starts), dtype=torch.bool, device=wanted.device)
    for step in range(1, _LONGEST):
        turn = field[index]
        turn = torch.where((turn * last).sum(1, True) < 0, -turn, turn)
        turn = _CURVATURE * turn + (1.0 - _CURVATURE) * last
        last = turn / turn.norm(dim=1, keepdim=True).clamp_min(1e-6)
        ahead = place + radius * last
        inside = ((ahead >= 0) & (ahead <= limit)).all(1)
        index = at(ahead.clamp_min(0.0).minimum(limit))
        better = (target[index] - painted[index]).square().sum(1)
        worse = (target[index] - colours).square().sum(1)
        alive = alive & inside & ((step < _SHORTEST) | (worse <= better))
        place = torch.where(alive.unsqueeze(1), ahead, place)
        counts += alive
        points.append(place)
    return torch.stack(points, 1), counts, colours


def _lit(canvas: Tensor, relief: float, scale: float) -> Tensor:
    """Light from the upper left on the thickness of the paint."""
    colour, height = canvas[:, :3], gaussian(canvas[:, 3:], 0.6 * scale)
    if relief == 0:
        return colour
    padded = F.pad(height, (1, 1, 1, 1), mode="replicate")
    slope = (padded[..., 2:, 2:] - padded[..., :-2, :-2]) / 2.0
    light = torch.tanh(3.0 * slope * math.sqrt(max(scale, 0.1)))
    return colour * (1.0 + 0.3 * relief * light) + 0.03 * relief * light.clamp_min(0.0)
