"""Stained glass: cells of one colour in lead."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.filters.base import FILTERS, Filter, param, pixels, seed
from impasto.filters.kernels import domain_transform, gaussian, smoothstep, value_noise
from impasto.images.spaces import oklab_to_rgb, rgb_to_oklab

_ROUNDS = 5


@FILTERS.register("stained_glass")
@dataclass(frozen=True)
class StainedGlass(Filter):
    """Church window: glowing pieces of coloured glass that follow the shapes, held by lead.

    Pieces are clusters of place and colour, grown from a hexagonal grid (SLIC); their borders are
    smoothed, the lead has an even width and a highlight, and each piece has its own colour,
    streaks and a lighter middle.
    """

    name: ClassVar[str] = "stained_glass"
    title: ClassVar[str] = "Stained glass"
    source: ClassVar[str] = "Achanta et al. 2012 (SLIC superpixels); leading and glass our own"

    cell: float = param(30.0, 10.0, 200.0, "size of a piece, px at 1024")
    lead: float = param(2.8, 0.5, 15.0, "width of the lead, px at 1024")
    regularity: float = param(1.4, 0.1, 20.0, "low: pieces follow the picture; high: a grid")
    glow: float = param(0.6, 0.0, 1.0, "light through the glass")
    seed: int = seed()

    def render(self, image: Tensor) -> Tensor:
        """Cluster, smooth, colour, lead."""
        generator = torch.Generator().manual_seed(self.seed)
        cell = max(pixels(self.cell, image), 3.0)
        guide = gaussian(image, 0.06 * cell)
        smooth = domain_transform(image, guide, cell, 0.25, passes=2)
        labels, groups = _pieces(rgb_to_oklab(smooth), cell, self.regularity, generator)
        # Twice: the first round takes specks away, the second rounds what is left.
        labels, _ = _smoothed(labels, groups, 0.13 * cell)
        labels, distance = _smoothed(labels, groups, 0.1 * cell)
        glass = self._glass(image, labels, distance / cell, generator)
        return _leaded(glass, distance, pixels(self.lead, image))

    def _glass(
        self, image: Tensor, labels: Tensor, depth: Tensor, generator: torch.Generator
    ) -> Tensor:
        """One colour a piece, brighter in its middle, with streaks."""
        lab = rgb_to_oklab(image)
        count = int(labels.max()) + 1
        flat = labels.reshape(-1)
        sums = torch.zeros(count, 3, device=image.device).index_add_(
            0, flat, lab[0].reshape(3, -1).T
        )
        means = sums / torch.bincount(flat, minlength=count).clamp_min(1).unsqueeze(1)
        tint = 0.025 * torch.randn(count, generator=generator).to(image.device)
        light = (means[:, 0] * (1.0 + 0.08 * self.glow) + tint).clamp(0.0, 0.97)
        chroma = means[:, 1:] * (1.35 + 0.4 * self.glow)
        pieces = torch.cat([light.unsqueeze(1), chroma], 1)[flat].T.reshape(1, 3, *labels.shape)
        height, width = labels.shape
        streaks = value_noise(height, width, pixels(26.0, image), generator, octaves=3)
        middle = smoothstep(0.0, 0.24, depth) - 0.5
        shade = self.glow * (0.16 * middle + 0.035 * streaks.to(image.device))
        return oklab_to_rgb(torch.cat([pieces[:, :1] * (1.0 + shade), pieces[:, 1:]], 1))


def _pieces(
    lab: Tensor, cell: float, regularity: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cluster a picture into pieces.

    Args:
        lab: ``(1, 3, H, W)``.
        cell: Distance of the first centres, in pixels.
        regularity: Weight of the place against the colour.
        generator: Moves the first centres off their grid.

    Returns:
        Labels ``(H, W)`` and, per label, its group in 0..8: pieces of one group do not touch.
    """
    height, width = lab.shape[-2:]
    # Clustered at a size where a piece is some 14 pixels wide: finer detail is no use to it.
    factor = max(1.0, cell / 14.0)
    size = (max(1, round(height / factor)), max(1, round(width / factor)))
    small = F.interpolate(lab, size=size, mode="area")[0]
    step = cell / factor
    rows, columns = max(1, round(size[0] / step)), max(1, round(size[1] / step))
    y = torch.arange(size[0], device=lab.device).view(-1, 1).expand(size)
    x = torch.arange(size[1], device=lab.device).view(1, -1).expand(size)
    row, column = (y * rows) // size[0], (x * columns) // size[1]
    # Squared distance: regularity * (place / step)^2 + (colour / 0.1)^2, colours in Oklab.
    weight = math.sqrt(regularity) / step
    features = torch.cat([torch.stack([y * weight, x * weight]), small * 10.0])
    points = features.reshape(5, -1).T.contiguous()
    row, column = row.reshape(-1), column.reshape(-1)
    labels = row * columns + column
    index = torch.arange(rows * columns, device=lab.device)
    shift = torch.zeros(rows * columns, 5)
    # Odd rows are moved by half a cell, and all centres a little at random: no honeycomb.
    shift[:, :2] = 0.7 * torch.rand(rows * columns, 2, generator=generator) - 0.35
    shift[:, 1] += 0.5 * (index.cpu() // columns % 2) - 0.25
    shift = (weight * step * shift).to(lab.device)
    for _ in range(_ROUNDS):
        centres = _centres(points, labels, rows * columns) + shift
        labels = _assigned(points, centres, row, column, (rows, columns))
        shift = torch.zeros_like(shift)
    big = F.interpolate(
        labels.view(1, 1, *size).float(), size=(height, width), mode="nearest-exact"
    )
    return big[0, 0].long(), (index // columns % 3) * 3 + index % columns % 3


def _centres(points: Tensor, labels: Tensor, count: int) -> Tensor:
    sums = torch.zeros(count, points.shape[1], device=points.device).index_add_(0, labels, points)
    sizes = torch.bincount(labels, minlength=count).unsqueeze(1)
    # An empty piece goes where no pixel is nearest to it.
    return torch.where(sizes > 0, sums / sizes.clamp_min(1), torch.full_like(sums, 1e6))


def _assigned(
    points: Tensor, centres: Tensor, row: Tensor, column: Tensor, grid: tuple[int, int]
) -> Tensor:
    """The nearest of the centres that began in the 3 x 3 cells around each pixel."""
    best = torch.full((points.shape[0],), float("inf"), device=points.device)
    labels = torch.zeros(points.shape[0], dtype=torch.long, device=points.device)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            candidate = (row + dy).clamp(0, grid[0] - 1) * grid[1] + (column + dx).clamp(
                0, grid[1] - 1
            )
            distance = (points - centres[candidate]).square().sum(1)
            closer = distance < best
            best = torch.where(closer, distance, best)
            labels = torch.where(closer, candidate, labels)
    return labels


def _smoothed(labels: Tensor, groups: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Round off the borders of pieces and measure the distance to them.

    The indicator of each group is blurred; the strongest group wins. Near a straight border the
    two strongest differ by ``erf(d / (sqrt 2 sigma))``, so their difference gives the distance d.

    Returns:
        Labels ``(H, W)``; distance to the border in pixels, ``(1, 1, H, W)``, exact to 2 sigma.
    """
    member = groups[labels]
    shares = torch.cat(
        [gaussian((member == group).float()[None, None], sigma) for group in range(9)], 1
    )
    top = shares.topk(2, 1)
    contrast = (top.values[:, :1] - top.values[:, 1:]).clamp(0.0, 0.9999)
    distance = math.sqrt(2.0) * sigma * torch.erfinv(contrast)
    return _settled(labels, groups, top.indices[0, 0]), distance


def _settled(labels: Tensor, groups: Tensor, winner: Tensor) -> Tensor:
    """Give each pixel the label, out of those near it, that belongs to its winning group."""
    for _ in range(4):
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1), (0, 3), (0, -3), (1, 3), (1, -3)):
            wrong = groups[labels] != winner
            near = labels.roll(step, axis)
            labels = torch.where(wrong & (groups[near] == winner), near, labels)
    return labels


def _leaded(glass: Tensor, distance: Tensor, width: float) -> Tensor:
    """Lay lead over the borders: dark, with a soft highlight along its middle, and a shadow."""
    half = max(0.5 * width, 0.6)
    lead = (half + 0.5 - distance).clamp(0.0, 1.0)
    shadow = 1.0 - 0.35 * smoothstep(3.0 * half, half, distance)
    ridge = 0.07 + 0.16 * smoothstep(0.75 * half, 0.0, distance)
    return glass.clamp(0.0, 1.0) * shadow * (1.0 - lead) + ridge * lead
