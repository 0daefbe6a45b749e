"""Drawing many antialiased, bristly brush strokes at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

_SPACING = 0.7  # of samples, in pixels: no pixel under a stroke is missed (1 / sqrt 2)
_BRISTLES = 256  # entries of the table of bristle heights
_CHUNK = 1 << 17  # samples at a time
_COVER_SHIFT, _COVER_STEPS = 26, 31
#: Strokes that can be drawn at once.
MOST_STROKES = 1 << 18


@dataclass(frozen=True)
class Strokes:
    """Strokes of one brush, later ones above earlier ones.

    Attributes:
        points: Control points ``(N, L, 2)`` (y, x) in pixels; after ``counts`` the last repeats.
        counts: How many control points are meant, ``(N,)``, at least 1.
        colours: ``(N, 3)``.
        grain: ``(N,)`` in [0, 1]: which bristles.
        radius: Half the width, in pixels.
    """

    points: Tensor
    counts: Tensor
    colours: Tensor
    grain: Tensor
    radius: float


def drawn(canvas: Tensor, strokes: Strokes) -> Tensor:
    """Lay strokes over a canvas.

    Every pixel takes the stroke that covers it best, the later one of two; that stroke is blended
    by its coverage, so edges are antialiased against what lies below all of them.

    Args:
        canvas: ``(1, 4, H, W)``: colour and thickness of the paint.
        strokes: Placed in pixels of the canvas.

    Returns:
        A new canvas.
    """
    height, width = canvas.shape[-2:]
    margin = math.ceil(strokes.radius) + 2  # control points are inside, so nothing reaches farther
    across = width + 2 * margin
    keys = torch.zeros((height + 2 * margin) * across, dtype=torch.int32, device=canvas.device)
    for index, key in _samples(strokes, margin, across):
        keys.scatter_reduce_(0, index, key, "amax")
    key = keys.view(-1, across)[margin : margin + height, margin : margin + width].reshape(-1)
    cover = (key >> _COVER_SHIFT).float() / _COVER_STEPS
    bristle = (key & 255).float().unsqueeze(1) / 255.0
    colour = strokes.colours[(key >> 8) & (MOST_STROKES - 1)]
    # Between bristles the paint is thin and a little darker.
    paint = torch.cat([colour * (0.93 + 0.12 * bristle), bristle], 1)
    flat = canvas[0].reshape(4, -1).T.lerp(paint, cover.unsqueeze(1))
    return flat.T.reshape(1, 4, height, width).clamp(0.0, 1.0)


def _samples(strokes: Strokes, margin: int, width: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Pixels under the strokes and the keys that compete for them, in chunks.

    A key is coverage (5 bits), stroke (18 bits), bristle height (8 bits): the maximum decides.
    """
    radius, reach = strokes.radius, strokes.radius + 0.5
    centre, normal, owner, end = _centrelines(strokes)
    count = 2 * math.ceil(reach / _SPACING) + 1
    across = torch.linspace(-reach, reach, count, device=centre.device)
    profiles = _profiles(across, radius)
    hairs = (strokes.grain * (_BRISTLES - 1)).long()[owner]
    # Round ends: the half width shrinks like a circle's within one radius of an end.
    near = (1.0 - end / radius).clamp(0.0, 1.0)
    half = radius * (1.0 - near * near).sqrt() + 0.5
    rank = (owner << 8).int()
    size = max(1, _CHUNK // count)
    for start in range(0, len(centre), size):
        part = slice(start, start + size)
        y = torch.addcmul(centre[part, 0:1] + margin, normal[part, 0:1], across).round_()
        x = torch.addcmul(centre[part, 1:2] + margin, normal[part, 1:2], across).round_()
        cover = (half[part].unsqueeze(1) - across.abs()).clamp_(0.0, 1.0).mul_(_COVER_STEPS)
        key = profiles[hairs[part]].add_(rank[part].unsqueeze(1))
        key += cover.int() << _COVER_SHIFT
        # Whole numbers up to 2^24 only are exact in float32; rows are added as integers.
        index = y.long().mul_(width).add_(x.long())
        yield index.reshape(-1), key.reshape(-1)


def _profiles(across: Tensor, radius: float) -> Tensor:
    """Thickness of paint across the stroke for each start in the table of hairs, 0 to 255."""
    table = _bristle_table().to(across.device)
    hair = (across / radius * (3.0 + radius)).long()
    place = (torch.arange(_BRISTLES, device=across.device).unsqueeze(1) + hair) % _BRISTLES
    dome = 1.0 - 0.55 * (across / across[-1]) ** 2
    return (dome * (0.55 + 0.45 * table[place]) * 255.0).int()


def _centrelines(strokes: Strokes) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points on the uniform cubic B-splines of all strokes.

    Returns:
        Places ``(P, 2)``, unit normals ``(P, 2)``, strokes ``(P,)``, and the distance along the
        stroke to its nearer end ``(P,)``, in pixels.
    """
    first, last = strokes.points[:, :1], strokes.points[:, -1:]
    points = torch.cat([first, first, strokes.points, last, last], 1)  # (N, L + 4, 2)
    per = max(2, math.ceil(strokes.radius / _SPACING))
    t = (torch.arange(per, device=points.device, dtype=torch.float32) + 0.5) / per
    basis = torch.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    )
    slope = torch.stack([-((1 - t) ** 2), 3 * t**2 - 4 * t, -3 * t**2 + 2 * t + 1, t**2])
    windows = points.unfold(1, 4, 1)  # (N, L + 1, 2, 4)
    place = (windows @ (basis / 6.0)).permute(0, 1, 3, 2).flatten(1, 2)  # (N, S, 2)
    tangent = (windows @ slope).permute(0, 1, 3, 2).flatten(1, 2)
    step = torch.zeros(place.shape[:2], device=place.device)
    step[:, 1:] = (place[:, 1:] - place[:, :-1]).norm(dim=2)
    run = step.cumsum(1)
    end = torch.minimum(run, run[:, -1:] - run)
    # Past the last control point the spline stands still.
    segment = torch.arange(place.shape[1], device=place.device) // per
    keep = (segment <= strokes.counts.unsqueeze(1)) & (tangent.norm(dim=2) > 1e-4)
    tangent = tangent[keep] / tangent[keep].norm(dim=1, keepdim=True)
    normal = torch.stack([tangent[:, 1], -tangent[:, 0]], 1)
    owner = torch.arange(len(place), device=place.device).unsqueeze(1).expand_as(keep)[keep]
    return place[keep], normal, owner, end[keep]


@cache
def _bristle_table() -> Tensor:
    """Heights of the hairs of a brush, smooth, in [0, 1], periodic."""
    noise = torch.rand(_BRISTLES, generator=torch.Generator().manual_seed(7))
    smooth = (noise + 0.6 * (noise.roll(1) + noise.roll(-1))) / 2.2
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())
