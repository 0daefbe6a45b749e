"""Watercolour: flat washes, dark edges, bleeding pigment, rough paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.filters.base import FILTERS, Filter, param, pixels, seed
from impasto.filters.kernels import gaussian, gradients, smoothstep, value_noise
from impasto.filters.kuwahara import Kuwahara
from impasto.images.spaces import luma, oklab_to_rgb, rgb_to_oklab


@FILTERS.register("watercolour")
@dataclass(frozen=True)
class Watercolour(Filter):
    """Watercolour: light washes with wobbly, darker edges, pigment in the grain of the paper.

    Each effect changes the density d of the pigment, and the colour with it:
    ``C' = C (1 - (1 - C) (d - 1))`` (the paper's formula). Densities come from turbulent flow
    (slow noise), pigment dispersion and paper (fine noise), and the gradient of the washes (edge
    darkening). The wobble displaces the washes along the paper's slope.

    Deviations: washes are made by an anisotropic Kuwahara filter instead of morphological
    smoothing after mean shift; the lightest places are left as bare paper.
    """

    name: ClassVar[str] = "watercolour"
    title: ClassVar[str] = "Watercolour"
    source: ClassVar[str] = "Bousseau, Kaplan, Thollot, Sillion 2006"

    wash: float = param(9.0, 2.0, 30.0, "size of the detail that flows together, px at 1024")
    edges: float = param(1.0, 0.0, 3.0, "pigment gathered at the edges of washes")
    flow: float = param(1.0, 0.0, 3.0, "uneven, clouded pigment")
    grain: float = param(1.0, 0.0, 3.0, "roughness of the paper")
    seed: int = seed()

    def render(self, image: Tensor) -> Tensor:
        """Abstract, wobble, vary the density."""
        generator = torch.Generator().manual_seed(self.seed)
        paper = _paper(image, generator)
        wobble = self._noise(image, 28.0, generator, 3), self._noise(image, 28.0, generator, 3)
        washes = Kuwahara(radius=self.wash, passes=1, sharpness=10.0).render(_tinted(image))
        washes = _displaced(washes, wobble, pixels(1.6 + 0.8 * self.flow, image))
        density = 1.0 + 0.5 * self.flow * self._clouds(image, generator)
        density = density + self.edges * _gathered(washes)
        density = density + 0.28 * self.grain * paper
        painted = _pigmented(washes, density)
        # Rough paper shows through where the brush was dry: in the lightest washes.
        bare = smoothstep(0.80, 0.96, luma(painted) + 0.03 * self.grain * paper)
        return painted + bare * (torch.ones_like(painted) * 0.985 - painted)

    def _clouds(self, image: Tensor, generator: torch.Generator) -> Tensor:
        slow = self._noise(image, 220.0, generator, 4)
        return 0.6 * slow + 0.4 * self._noise(image, 60.0, generator, 3)

    def _noise(
        self, image: Tensor, period: float, generator: torch.Generator, octaves: int
    ) -> Tensor:
        height, width = image.shape[-2:]
        noise = value_noise(height, width, pixels(period, image), generator, octaves)
        return noise.to(image.device)


def _tinted(image: Tensor) -> Tensor:
    """The photo as transparent colour: lighter, a little more chroma."""
    lab = rgb_to_oklab(image)
    light = 1.0 - 0.74 * (1.0 - lab[:, :1].clamp(0.0, 1.0)) ** 1.15
    return oklab_to_rgb(torch.cat([light, 1.25 * lab[:, 1:]], 1)).clamp(0.0, 1.0)


def _paper(image: Tensor, generator: torch.Generator) -> Tensor:
    """Height of cold-pressed paper, about [-1, 1]."""
    height, width = image.shape[-2:]
    coarse = value_noise(height, width, pixels(5.0, image), generator, 2)
    fine = value_noise(height, width, pixels(2.2, image), generator)
    return (0.6 * coarse + 0.5 * fine).to(image.device)


def _displaced(image: Tensor, wobble: tuple[Tensor, Tensor], reach: float) -> Tensor:
    """Move every pixel by up to about ``reach`` pixels along a noise field."""
    height, width = image.shape[-2:]
    y = torch.arange(height, device=image.device).view(-1, 1) + reach * wobble[0][0, 0]
    x = torch.arange(width, device=image.device).view(1, -1) + reach * wobble[1][0, 0]
    grid = torch.stack([(2.0 * x + 1.0) / width - 1.0, (2.0 * y + 1.0) / height - 1.0], -1)
    return F.grid_sample(image, grid[None], padding_mode="border", align_corners=False)


def _gathered(washes: Tensor) -> Tensor:
    """Extra density where a wash ends: a thin dark rim on a wide soft one."""
    total = torch.zeros_like(washes[:, :1])
    for sigma, weight in ((0.9, 1.6), (3.0, 1.6)):
        dx, dy = gradients(gaussian(washes, pixels(sigma, washes)))
        slope = (dx.abs() + dy.abs()).sum(1, True) * pixels(sigma, washes)
        total = total + weight * slope
    return total.clamp_max(1.1)


def _pigmented(image: Tensor, density: Tensor) -> Tensor:
    """Bousseau et al. 2006, with the density kept in [0.3, 2.5]."""
    return (image * (1.0 - (1.0 - image) * (density.clamp(0.3, 2.5) - 1.0))).clamp(0.0, 1.0)
