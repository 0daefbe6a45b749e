"""Colour transfer by whole distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.filters.base import FILTERS, ReferenceFilter, choice, param, pixels, seed
from impasto.filters.kernels import guided
from impasto.images.spaces import luma

_QUANTILES = 256
_SAMPLES = 1 << 15
_NODES = 33  # of the colour table, per axis


@FILTERS.register("histogram")
@dataclass(frozen=True)
class Histogram(ReferenceFilter):
    """Colours of a painting: its whole distribution, not only mean and spread.

    ``sliced``: the colours are turned at random, each axis is matched by its quantiles, turned
    back, and again (Pitié 2007). ``channels``: red, green and blue each on its own. Where the map
    stretches colours it stretches noise as well; ``calm`` takes the change of the picture, not
    the picture, through a guided filter (the paper's regraining, in one step).

    Deviations: the map is computed on a table of 33^3 colours and interpolated.
    """

    name: ClassVar[str] = "histogram"
    title: ClassVar[str] = "Colour transfer (distribution)"
    source: ClassVar[str] = "Pitié, Kokaram, Dahyot 2007, Automated colour grading"

    strength: float = param(0.9, 0.0, 1.0, "share of the change")
    mode: str = choice("sliced", ("sliced", "channels"), "all colours together, or each channel")
    rounds: int = param(16, 1, 64, "random rotations (sliced)")
    calm: float = param(8.0, 0.0, 40.0, "reach of the smoothing of the change, px at 1024")
    seed: int = seed()

    def transfer(self, image: Tensor, reference: Tensor) -> Tensor:
        """Build the colour table, look the pixels up, smooth the change."""
        table = self._table(_sampled(image), _sampled(reference)).to(image.device)
        change = _look_up(table, image) - image
        radius = round(pixels(self.calm, image))
        if radius > 0:
            change = guided(change, luma(image), radius, 1e-3)
        return image + self.strength * change

    def _table(self, source: Tensor, target: Tensor) -> Tensor:
        """Where each node of the colour cube goes: ``(33, 33, 33, 3)``, blue outermost."""
        axis = torch.linspace(0.0, 1.0, _NODES)
        blue, green, red = torch.meshgrid(axis, axis, axis, indexing="ij")
        nodes = torch.stack([red, green, blue], -1).reshape(-1, 3)
        if self.mode == "channels":
            nodes, _ = _match_axes(nodes, source, target)
            return nodes.view(_NODES, _NODES, _NODES, 3)
        generator = torch.Generator().manual_seed(self.seed)
        for _ in range(self.rounds):
            turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator))
            moved, drawn = _match_axes(nodes @ turn, source @ turn, target @ turn)
            nodes, source = moved @ turn.T, drawn @ turn.T
        return nodes.view(_NODES, _NODES, _NODES, 3)


def _sampled(image: Tensor) -> Tensor:
    """At most ``_SAMPLES`` colours of a picture, evenly spread, ``(N, 3)``."""
    points = image[0].reshape(3, -1).T.cpu()
    return points[:: max(1, len(points) // _SAMPLES)]


def _match_axes(nodes: Tensor, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Send the quantiles of ``source`` to those of ``target`` on each axis.

    Returns:
        ``nodes`` and ``source`` after the map; outside the range of the source it is a shift.
    """
    levels = torch.linspace(0.0, 1.0, _QUANTILES)
    moved, drawn = [], []
    for k in range(nodes.shape[1]):
        have, want = torch.quantile(source[:, k], levels), torch.quantile(target[:, k], levels)
        moved.append(_interpolate(nodes[:, k], have, want))
        drawn.append(_interpolate(source[:, k], have, want))
    return torch.stack(moved, 1), torch.stack(drawn, 1)


def _interpolate(x: Tensor, have: Tensor, want: Tensor) -> Tensor:
    """Piecewise linear map through the points ``(have, want)``, slope 1 outside."""
    high = torch.searchsorted(have, x.contiguous()).clamp(1, len(have) - 1)
    low = high - 1
    span = have[high] - have[low]
    t = torch.where(span > 1e-9, (x - have[low]) / span.clamp_min(1e-9), torch.full_like(x, 0.5))
    inside = want[low] + t.clamp(0.0, 1.0) * (want[high] - want[low])
    outside = (x - have[-1]).clamp_min(0.0) + (x - have[0]).clamp_max(0.0)
    return inside + outside


def _look_up(table: Tensor, image: Tensor) -> Tensor:
    """Trilinear interpolation of the table at every pixel."""
    grid = (image[0].permute(1, 2, 0) * 2.0 - 1.0).unsqueeze(0).unsqueeze(0)  # x: red
    volume = table.permute(3, 0, 1, 2).unsqueeze(0)  # (1, 3, blue, green, red)
    looked = F.grid_sample(volume, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return looked[:, :, 0]
