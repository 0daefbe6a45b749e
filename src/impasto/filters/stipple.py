"""Stippling: a drawing of dots."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.filters.base import FILTERS, Filter, param, pixels, seed, switch
from impasto.filters.kernels import gaussian
from impasto.images.spaces import luma, oklab_to_rgb, rgb_to_oklab

_TILE = 64  # side of the blue-noise tile
_ROUNDS = 5  # of Lloyd's relaxation
_WORK = 2.5  # distance of dots in black, in pixels of the grid on which they are relaxed


@FILTERS.register("stipple")
@dataclass(frozen=True)
class Stipple(Filter):
    """Ink dots, dense in the dark and sparse in the light, never clumped.

    Weighted Voronoi stippling: dots start where the darkness exceeds a blue-noise threshold, and
    move to the darkness-weighted centres of their Voronoi cells, a few times. Cells come from
    jump flooding (Rong, Tan 2006).
    """

    name: ClassVar[str] = "stipple"
    title: ClassVar[str] = "Stippling"
    source: ClassVar[str] = "Secord 2002, Weighted Voronoi stippling"

    spacing: float = param(4.0, 2.0, 24.0, "distance of dots in black, px at 1024")
    dot: float = param(1.0, 0.4, 2.0, "size of the dots; 1 just fills black")
    contrast: float = param(1.0, 0.0, 3.0, "contrast of tones and edges")
    colour: bool = switch(False, "inks in the colours of the photo")
    seed: int = seed()

    def render(self, image: Tensor) -> Tensor:
        """Find the dots, draw the dots."""
        spacing = max(pixels(self.spacing, image), 2.0)
        dark = _darkness(luma(image), self.contrast)
        dots = _placed(dark, spacing, self.seed)
        cover = _drawn(dots, dark, 0.47 * spacing * self.dot)
        paper = torch.tensor([0.985, 0.975, 0.95], device=image.device).view(1, 3, 1, 1)
        ink = torch.tensor([0.08, 0.08, 0.10], device=image.device).view(1, 3, 1, 1)
        if self.colour:
            lab = rgb_to_oklab(gaussian(image, 0.5 * spacing))
            ink = oklab_to_rgb(torch.cat([0.35 + 0.3 * lab[:, :1], 1.5 * lab[:, 1:]], 1)).clamp(
                0, 1
            )
        return paper * (1.0 - cover) + ink * cover


def _darkness(grey: Tensor, contrast: float) -> Tensor:
    """Share of ink in [0, 1]: sharpened, with a curve that leaves lights empty."""
    detail = grey - gaussian(grey, pixels(6.0, grey))
    sharp = (grey + 1.2 * contrast * detail).clamp(0.0, 1.0)
    # Between the perceived and the physical tone: dots are seen both as dots and as grey.
    dark = 1.0 - sharp**1.2
    steep = dark * dark * (3.0 - 2.0 * dark)
    return dark + 0.5 * min(contrast, 2.0) * (steep - dark)


def _placed(dark: Tensor, spacing: float, seed: int) -> Tensor:
    """Relaxed dots ``(N, 2)`` (y, x), in pixels of the picture, for a darkness ``(1, 1, H, W)``."""
    height, width = dark.shape[-2:]
    scale = _WORK / spacing
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    mode = "area" if scale <= 1 else "bilinear"
    weight = F.interpolate(dark, size=size, mode=mode)[0, 0].cpu().clamp(0.0, 1.0)
    # A hexagonal packing has 2 / sqrt 3 dots in a square of its spacing.
    share = weight * (2.0 / math.sqrt(3.0)) / _WORK**2
    tile = _blue_noise(seed % 16)
    repeats = (-(-size[0] // _TILE), -(-size[1] // _TILE))
    start = (share > tile.repeat(repeats)[: size[0], : size[1]]).nonzero()
    dots = start.float()
    if len(dots) == 0:
        return dots
    cells = torch.full(size, -1, dtype=torch.long)
    cells[start[:, 0], start[:, 1]] = torch.arange(len(dots))
    step = 2 ** max(0, math.ceil(math.log2(max(size))) - 2)
    steps = [step >> k for k in range(step.bit_length())]
    for _ in range(_ROUNDS):
        cells = _flooded(cells, dots, steps)
        dots = _centres(cells, weight + 1e-4, dots)
        steps = [2, 1]  # dots move little: the cells before are nearly right
    return (dots + 0.5) * torch.tensor([height / size[0], width / size[1]]) - 0.5


def _flooded(cells: Tensor, dots: Tensor, steps: list[int]) -> Tensor:
    """The nearest dot of each pixel, by jump flooding from known neighbours."""
    height, width = cells.shape
    y = torch.arange(height, dtype=torch.float32).view(-1, 1)
    x = torch.arange(width, dtype=torch.float32).view(1, -1)
    # One more dot, far away, stands for "none": index -1.
    py = torch.cat([dots[:, 0], torch.tensor([1e6])])
    px = torch.cat([dots[:, 1], torch.tensor([1e6])])
    best = (py[cells] - y) ** 2 + (px[cells] - x) ** 2
    for step in steps:
        padded = F.pad(cells, (step, step, step, step), value=-1)
        for dy in (0, step, 2 * step):
            for dx in (0, step, 2 * step):
                near = padded[dy : dy + height, dx : dx + width]
                distance = (py[near] - y) ** 2 + (px[near] - x) ** 2
                closer = distance < best
                best = torch.where(closer, distance, best)
                cells = torch.where(closer, near, cells)
    return cells


def _centres(cells: Tensor, weight: Tensor, dots: Tensor) -> Tensor:
    """Weighted centres of the cells; a dot without a cell stays."""
    height, width = cells.shape
    flat, mass = cells.reshape(-1), weight.reshape(-1)
    y = torch.arange(height, dtype=torch.float32).repeat_interleave(width)
    x = torch.arange(width, dtype=torch.float32).repeat(height)
    total = torch.bincount(flat, mass, len(dots))
    centre = torch.stack(
        [torch.bincount(flat, mass * y, len(dots)), torch.bincount(flat, mass * x, len(dots))], 1
    )
    return torch.where(total.unsqueeze(1) > 0, centre / total.unsqueeze(1).clamp_min(1e-12), dots)


def _drawn(dots: Tensor, dark: Tensor, radius: float) -> Tensor:
    """Antialiased discs, a little larger in the dark; coverage ``(1, 1, H, W)``."""
    height, width = dark.shape[-2:]
    margin = math.ceil(1.25 * radius) + 2
    across = width + 2 * margin
    cover = torch.zeros((height + 2 * margin) * across)
    base = dots.round().long()
    tone = dark[0, 0].cpu()[base[:, 0].clamp(0, height - 1), base[:, 1].clamp(0, width - 1)]
    size = radius * (0.75 + 0.45 * tone)
    for dy in range(-margin + 1, margin):
        for dx in range(-margin + 1, margin):
            place = base + torch.tensor([dy, dx])
            distance = (place - dots).norm(dim=1)
            index = (place[:, 0] + margin) * across + place[:, 1] + margin
            cover.scatter_reduce_(0, index, (size + 0.5 - distance).clamp(0.0, 1.0), "amax")
    inner = cover.view(-1, across)[margin : margin + height, margin : margin + width]
    return inner.reshape(1, 1, height, width).to(dark.device)


@cache
def _blue_noise(seed: int) -> Tensor:
    """Thresholds in (0, 1) whose every level set is evenly spread, ``(64, 64)``, periodic.

    Each next rank goes into the largest void (Ulichney 1993), measured with a kernel that falls
    off slowly, so that sparse levels are even as well.
    """
    side = torch.arange(_TILE)
    near = torch.minimum(side, _TILE - side).double()
    squared = near.view(-1, 1) ** 2 + near.view(1, -1) ** 2
    kernel = torch.exp(-squared / (2 * 1.5**2)) + 0.5 / (squared + 1.0)
    wide = kernel.repeat(2, 2).numpy()
    chance = torch.rand(_TILE, _TILE, generator=torch.Generator().manual_seed(seed))
    energy = 1e-3 * chance.double().numpy()
    ranks = torch.empty(_TILE, _TILE)
    for rank in range(_TILE * _TILE):
        y, x = divmod(int(energy.argmin()), _TILE)
        ranks[y, x] = rank
        energy += wide[_TILE - y : 2 * _TILE - y, _TILE - x : 2 * _TILE - x]
        energy[y, x] = float("inf")
    return (ranks + 0.5) / (_TILE * _TILE)
