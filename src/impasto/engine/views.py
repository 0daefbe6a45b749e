"""A picture as it is seen from slightly elsewhere: what remains after that is not noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

#: What surrounds the picture.
GREY = 0.5


@dataclass(frozen=True)
class Views:
    """Random views: padded, shifted, scaled, turned; drawn anew for every step.

    What a network shows only at one exact place, size and angle is mostly its aliasing. A picture
    that has to excite it from everywhere is made of shapes.

    The draws are a function of the seed and the step, so that a resumed run sees the same views.

    Source: Olah, Mordvintsev & Schubert, Feature Visualization, Distill 2017.

    Deviations: shift, scale and turn are one resampling (bilinear) instead of three; they are
    continuous rather than from a list; outside the picture is grey.

    Attributes:
        pad: Grey px added on each side.
        jitter: Largest shift, px.
        scale: Largest change of size: factors from ``1 / (1 + scale)`` to ``1 + scale``.
        rotate: Largest turn, degrees.
        count: Views per step; their excitations are averaged.
        seed: Of the draws.
    """

    pad: int = 0
    jitter: float = 0.0
    scale: float = 0.0
    rotate: float = 0.0
    count: int = 1
    seed: int = 0

    def __call__(self, image: Tensor, step: int) -> Tensor:
        """``image`` (B, 3, H, W) as seen at ``step``: (count B, 3, H + 2 pad, W + 2 pad)."""
        image = image.repeat(self.count, 1, 1, 1) if self.count > 1 else image
        height, width = (n + 2 * self.pad for n in image.shape[-2:])
        if not (self.jitter or self.scale or self.rotate):
            return F.pad(image, (self.pad,) * 4, value=GREY) if self.pad else image
        moves = self.moves(len(image), step).to(image)
        grid = self._grid(moves, image, height, width)
        seen = F.grid_sample(image - GREY, grid, padding_mode="zeros", align_corners=False)
        return seen + GREY

    def moves(self, count: int, step: int) -> Tensor:
        """Shift in x and y (px), size and turn (radians) of each view, (count, 4)."""
        generator = seeded(self.seed, step)
        draws = 2 * torch.rand(count, 4, generator=generator) - 1
        shift = draws[:, :2] * self.jitter
        size = (draws[:, 2:3] * math.log1p(self.scale)).exp()
        turn = draws[:, 3:] * math.radians(self.rotate)
        return torch.cat([shift, size, turn], 1)

    def _grid(self, moves: Tensor, image: Tensor, height: int, width: int) -> Tensor:
        """Where each pixel of the views comes from, in grid_sample's units, (N, H, W, 2)."""
        shift, size, turn = moves[:, :2], moves[:, 2, None, None], moves[:, 3, None, None]
        y = torch.arange(height).to(image)[:, None] - (height - 1) / 2
        x = torch.arange(width).to(image) - (width - 1) / 2
        across = (turn.cos() * x + turn.sin() * y) / size - shift[:, 0, None, None]
        down = (turn.cos() * y - turn.sin() * x) / size - shift[:, 1, None, None]
        own_height, own_width = image.shape[-2:]
        return torch.stack([across * (2 / own_width), down * (2 / own_height)], -1)


def seeded(seed: int, step: int) -> torch.Generator:
    """A generator for the draws of one step, on the CPU, so that devices agree."""
    return torch.Generator().manual_seed(_mixed(seed, step))


def _mixed(seed: int, step: int) -> int:
    """One seed out of two numbers, such that neighbours have nothing in common."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    return (mixed ^ (mixed >> 31)) & (2**63 - 1)
