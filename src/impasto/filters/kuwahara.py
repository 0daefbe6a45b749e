"""Oil: the anisotropic Kuwahara filter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor

from impasto.filters.base import FILTERS, Filter, param, pixels
from impasto.filters.kernels import gaussian, orientation, structure_tensor

_SECTORS = 8
# Rings of samples in the unit disc: radius, count, turn of the first in units of the spacing.
_RINGS = ((0.0, 1, 0.0), (0.42, 8, 0.0), (0.82, 16, 0.5))
_CHUNK = 1 << 13  # pixels at a time: the gathered samples stay in the cache


@FILTERS.register("kuwahara")
@dataclass(frozen=True)
class Kuwahara(Filter):
    """Oil paint: flat dabs along the shapes, edges kept sharp.

    Each pixel's neighbourhood is an ellipse along the local structure, cut into eight smooth
    sectors; the result is the mean of the sector means, weighted by ``(1 + s_i)^-q`` with ``s_i``
    a sector's standard deviation: sectors across an edge do not count.

    Deviations: the ellipse is read at 41 places of a picture blurred by half their distance, and
    not at every pixel, so the time does not depend on the radius.
    """

    name: ClassVar[str] = "kuwahara"
    title: ClassVar[str] = "Oil (anisotropic Kuwahara)"
    source: ClassVar[str] = "Kyprianidis, Kang, Döllner 2009; sector weights 2010"

    radius: float = param(7.0, 1.0, 30.0, "radius of a dab, px at 1024")
    sharpness: float = param(8.0, 1.0, 18.0, "how firmly the calmest sector wins (q)")
    stretch: float = param(1.0, 0.0, 4.0, "how long dabs get along edges (0: round)")
    smoothness: float = param(3.0, 0.5, 12.0, "scale on which the direction is felt, px at 1024")
    passes: int = param(2, 1, 4, "times that it is painted over")

    def render(self, image: Tensor) -> Tensor:
        """Run the passes, each with directions from the picture before it."""
        for _ in range(self.passes):
            image = self._paint(image)
        return image

    def _paint(self, image: Tensor) -> Tensor:
        radius = pixels(self.radius, image)
        tensor = structure_tensor(image, pixels(self.smoothness, image))
        tx, ty, anisotropy = orientation(tensor)
        # Axes from the anisotropy, of constant area (Kyprianidis 2009, alpha = 1 / stretch).
        long = 1.0 + self.stretch * anisotropy
        axes = torch.cat(
            [tx * radius * long, ty * radius * long, -ty * radius / long, tx * radius / long], 1
        )  # (1, 4, H, W)
        # Half the distance between samples: what is between them is averaged, not skipped.
        moments = torch.cat([image, (image * image).sum(1, True)], 1)
        moments = gaussian(moments, 0.14 * radius if radius > 2.0 else 0.0)
        return _sectors(moments, axes, self.sharpness)


@cache
def _samples() -> tuple[Tensor, Tensor]:
    """Places in the unit disc ``(N, 2)`` and sector weights ``(8, N)``, rows with sum 1.

    Weights are the polynomial ones of Kyprianidis et al. 2010, ``[(x + zeta) - eta y^2]_+^2``,
    times a Gaussian over the disc.
    """
    places = [
        (radius * math.cos(angle), radius * math.sin(angle), (radius + 0.14) / count)
        for radius, count, turn in _RINGS
        for angle in (2.0 * math.pi * (i + turn) / count for i in range(count))
    ]
    x, y, area = torch.tensor(places, dtype=torch.float64).T
    zeta, eta = 1.0 / 3.0, (1.0 / 3.0 + math.cos(math.pi / 8)) / math.sin(math.pi / 8) ** 2
    rows = []
    for k in range(_SECTORS):
        angle = 2.0 * math.pi * k / _SECTORS
        u = math.cos(angle) * x + math.sin(angle) * y
        v = -math.sin(angle) * x + math.cos(angle) * y
        rows.append((u + zeta - eta * v * v).clamp_min(0.0) ** 2)
    weights = torch.stack(rows)
    weights = weights / weights.sum(0) * torch.exp(-1.5 * (x * x + y * y)) * area
    return torch.stack([x, y], 1).float(), (weights / weights.sum(1, True)).float()


def _sectors(moments: Tensor, axes: Tensor, sharpness: float) -> Tensor:
    """Blend the sector means of every pixel's ellipse.

    Args:
        moments: ``(1, 4, H, W)``: the colour and the sum of its squares.
        axes: ``(1, 4, H, W)``: long half-axis (x, y) and short half-axis (x, y), pixels.
        sharpness: Exponent of the inverse deviation.
    """
    height, width = moments.shape[-2:]
    places, weights = (table.to(moments.device) for table in _samples())
    pixels_ = moments[0].permute(1, 2, 0).reshape(-1, 4).contiguous()
    directions = axes[0].reshape(4, -1)
    result = torch.empty_like(pixels_[:, :3])
    for start in range(0, height * width, _CHUNK):
        stop = min(start + _CHUNK, height * width)
        here = torch.arange(start, stop, device=moments.device)
        x, y = (here % width).float(), (here // width).float()
        part = directions[:, start:stop]
        px = x + places[:, 0:1] * part[0] + places[:, 1:2] * part[2]  # (N, P)
        py = y + places[:, 0:1] * part[1] + places[:, 1:2] * part[3]
        index = py.round_().clamp_(0, height - 1).mul_(width).add_(px.round_().clamp_(0, width - 1))
        read = pixels_.index_select(0, index.int().reshape(-1)).view(len(places), -1)  # (N, 4 P)
        means = (weights @ read).view(_SECTORS, -1, 4)  # (8, P, 4)
        variance = means[..., 3] - means[..., :3].square().sum(-1)
        share = (1.0 + 255.0 / 3.0 * variance.clamp_min(0.0).sqrt()).pow(-sharpness)
        share = share / share.sum(0)
        result[start:stop] = (share.unsqueeze(-1) * means[..., :3]).sum(0)
    return result.T.reshape(1, 3, height, width)
