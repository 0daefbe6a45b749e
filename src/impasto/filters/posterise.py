"""Posterise: the picture in a handful of colours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor

from impasto.filters.base import FILTERS, Filter, choice, param, pixels
from impasto.filters.kernels import domain_transform, gaussian
from impasto.images.spaces import oklab_to_rgb, rgb_to_oklab

#: Palettes by name, dark to light, as ``#rrggbb``.
PALETTES: dict[str, tuple[str, ...]] = {
    "woodblock": (
        "#1b2a41",
        "#2f5d7c",
        "#7fa3a8",
        "#b5432e",
        "#d98e4a",
        "#e9cf9c",
        "#5f6f4e",
        "#f4ead2",
    ),
    "poster": ("#14171c", "#0b3954", "#1f7a8c", "#c81d25", "#f58f29", "#ffd23f", "#f7f3e3"),
    "sepia": ("#20140c", "#4a2f1b", "#7a5230", "#a97c50", "#d0ab7d", "#efdcb8"),
    "gameboy": ("#0f380f", "#306230", "#8bac0f", "#9bbc0f"),
    "riso": ("#1d2a6b", "#3255a4", "#ff665e", "#ffb511", "#f7efe2"),
    "ink": ("#111111", "#6b6b6b", "#f5f1e8"),
}
# Bayer 1973, order 8.
_BAYER_ORDER = 3
# Hue separates areas of a poster better than light does: chroma counts more in distances.
_METRIC = (1.0, 2.2, 2.2)


@FILTERS.register("posterise")
@dataclass(frozen=True)
class Posterise(Filter):
    """Poster: a few flat colours, found in the photo or named, with clean borders.

    Colours are the centres of k-means in Oklab (Lloyd 1982), started at the farthest points, so
    no chance is involved; detail finer than ``smoothing`` is removed first, by an edge-aware
    filter before and a vote of the neighbours after.
    """

    name: ClassVar[str] = "posterise"
    title: ClassVar[str] = "Posterise"
    source: ClassVar[str] = "Lloyd 1982 (k-means) in Oklab, Ottosson 2020; Bayer 1973"

    colours: int = param(8, 2, 32, "number of colours (auto palette)")
    palette: str = choice("auto", ("auto", *PALETTES), "colours of the photo, or named ones")
    smoothing: float = param(4.0, 0.0, 40.0, "size of the detail left out, px at 1024")
    dither: float = param(0.0, 0.0, 1.0, "ordered dithering between neighbouring colours")
    vividness: float = param(1.2, 0.0, 2.5, "factor on the chroma of the auto palette")

    def render(self, image: Tensor) -> Tensor:
        """Smooth, find the palette, give each pixel its nearest colour."""
        size = pixels(self.smoothing, image)
        smooth = domain_transform(image, image, 4.0 * size, 0.35) if size > 0 else image
        lab = rgb_to_oklab(smooth)
        if self.palette == "auto":
            lab = lab * torch.tensor(_METRIC, device=lab.device).view(1, 3, 1, 1)
            centres = _kmeans(lab, self.colours)
            factors = torch.tensor([1.0, self.vividness, self.vividness])
            shown = _srgb(centres / torch.tensor(_METRIC) * factors)
        else:
            shown = named(self.palette)
            centres = rgb_to_oklab(shown.T.reshape(1, 3, -1, 1))[0, :, :, 0].T
        if self.dither > 0:
            lab = lab + self.dither * _bayer(lab, centres)
        labels = _nearest(lab, centres.to(lab.device))
        if size > 0 and self.dither == 0:
            labels = _vote(labels, len(centres), 0.35 * size)
        return shown.to(image)[labels].permute(2, 0, 1).unsqueeze(0)


def named(palette: str) -> Tensor:
    """A palette by name as ``(K, 3)`` sRGB in [0, 1]."""
    codes = (code.lstrip("#") for code in PALETTES[palette])
    return torch.tensor([[int(code[i : i + 2], 16) / 255.0 for i in (0, 2, 4)] for code in codes])


def _srgb(centres: Tensor) -> Tensor:
    return oklab_to_rgb(centres.T.reshape(1, 3, -1, 1)).clamp(0.0, 1.0)[0, :, :, 0].T


def _kmeans(lab: Tensor, count: int, rounds: int = 24) -> Tensor:
    """``(count, 3)`` centres of the colours of ``(1, 3, H, W)``, by weighted k-means."""
    points, weights = _histogram(lab)
    centres = points[weights.argmax()][None]
    nearest = (points - centres[0]).square().sum(1)
    while len(centres) < count:  # the farthest, most frequent colour next
        centres = torch.cat([centres, points[(nearest * weights.sqrt()).argmax()][None]])
        nearest = torch.minimum(nearest, (points - centres[-1]).square().sum(1))
    for _ in range(rounds):
        labels = torch.cdist(points, centres).argmin(1)
        mass = torch.zeros(count).index_add_(0, labels, weights).unsqueeze(1)
        sums = torch.zeros_like(centres).index_add_(0, labels, points * weights.unsqueeze(1))
        centres = torch.where(mass > 0, sums / mass.clamp_min(1e-12), centres)
    return centres


def _histogram(lab: Tensor) -> tuple[Tensor, Tensor]:
    """Mean colours of the occupied cells of a 32^3 grid ``(N, 3)``, and their weights.

    The weight is the count to the power 0.55: a small red flower deserves a colour as well.
    """
    points = lab[0].reshape(3, -1).T.cpu()
    cells = ((points * torch.tensor([1.0, 0.7, 0.7]) + torch.tensor([0.0, 0.5, 0.5])) * 32).long()
    cells = cells.clamp(0, 31)
    keys, inverse, counts = torch.unique(
        (cells[:, 0] * 32 + cells[:, 1]) * 32 + cells[:, 2], return_inverse=True, return_counts=True
    )
    sums = torch.zeros(len(keys), 3).index_add_(0, inverse, points)
    return sums / counts.unsqueeze(1), counts.float().pow(0.55)


def _nearest(lab: Tensor, centres: Tensor) -> Tensor:
    """Index of the nearest centre for each pixel, ``(H, W)``."""
    best = torch.full(lab.shape[-2:], float("inf"), device=lab.device)
    labels = torch.zeros(lab.shape[-2:], dtype=torch.long, device=lab.device)
    for index, centre in enumerate(centres):
        distance = (lab[0] - centre.view(3, 1, 1)).square().sum(0)
        closer = distance < best
        best = torch.where(closer, distance, best)
        labels = torch.where(closer, index, labels)
    return labels


def _vote(labels: Tensor, count: int, sigma: float) -> Tensor:
    """Give each pixel the colour that weighs most in a Gaussian around it."""
    best = torch.zeros(labels.shape, device=labels.device)
    result = labels
    for index in range(count):
        share = gaussian((labels == index).float()[None, None], sigma)[0, 0]
        wins = share > best
        best = torch.where(wins, share, best)
        result = torch.where(wins, index, result)
    return result


@cache
def _bayer_tile() -> Tensor:
    """The 8 x 8 Bayer matrix in (-0.5, 0.5)."""
    tile = torch.zeros(1, 1)
    for _ in range(_BAYER_ORDER):
        tile = torch.cat(
            [torch.cat([4 * tile, 4 * tile + 2], 1), torch.cat([4 * tile + 3, 4 * tile + 1], 1)], 0
        )
    return (tile + 0.5) / tile.numel() - 0.5


def _bayer(lab: Tensor, centres: Tensor) -> Tensor:
    """Thresholds to add to the lightness, spread over the mean distance of the palette's steps."""
    height, width = lab.shape[-2:]
    tile = _bayer_tile().repeat(-(-height // 8), -(-width // 8))[:height, :width]
    lightness = centres[:, 0].sort().values
    step = float(lightness[-1] - lightness[0]) / max(len(centres) - 1, 1)
    return torch.stack([tile * step, 0 * tile, 0 * tile]).unsqueeze(0).to(lab.device)
