"""Cartoon: flat colour from edge-aware smoothing, and ink lines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from impasto.filters.base import FILTERS, Filter, param, pixels
from impasto.filters.kernels import domain_transform, gaussian
from impasto.filters.lines import xdog
from impasto.images.spaces import oklab_to_rgb, rgb_to_oklab


@FILTERS.register("cartoon")
@dataclass(frozen=True)
class Cartoon(Filter):
    """Comic look: flat areas, few steps of light, ink lines along the edges.

    Domain-transform smoothing, soft quantisation of the lightness (Winnemöller, Olsen, Gooch
    2006), more chroma, and flow-based difference-of-Gaussians lines.
    """

    name: ClassVar[str] = "cartoon"
    title: ClassVar[str] = "Cartoon (domain transform, XDoG lines)"
    source: ClassVar[str] = "Gastal, Oliveira 2011; Winnemöller, Kyprianidis, Olsen 2012"

    smoothing: float = param(40.0, 0.0, 200.0, "reach of the smoothing, px at 1024")
    levels: int = param(8, 2, 32, "steps of lightness")
    lines: float = param(0.95, 0.0, 1.0, "opacity of the ink")
    width: float = param(1.5, 0.4, 5.0, "width of the lines, px at 1024")
    vividness: float = param(1.3, 0.0, 2.5, "factor on the chroma")

    def render(self, image: Tensor) -> Tensor:
        """Smooth, quantise, ink."""
        reach = pixels(self.smoothing, image)
        # A slightly blurred guide: fine texture is no edge, so it is smoothed away.
        guide = gaussian(image, pixels(1.2, image))
        flat = domain_transform(image, guide, reach, 0.2) if self.smoothing else image
        lab = rgb_to_oklab(flat)
        # Inks are brighter than photographs: lift the shadows.
        light, chroma = lab[:, :1].clamp_min(0.0) ** 0.85, lab[:, 1:]
        coloured = oklab_to_rgb(
            torch.cat([quantised(light, self.levels), chroma * self.vividness], 1)
        )
        if not self.lines:
            return coloured
        fine = rgb_to_oklab(domain_transform(image, image, pixels(5.0, image), 0.3, passes=2))[
            :, :1
        ]
        ink = xdog(fine, pixels(self.width, image), sensitivity=0.985)
        return coloured.clamp(0.0, 1.0) * (1.0 - self.lines * (1.0 - ink))


def quantised(light: Tensor, levels: int, sharpness: float = 3.0) -> Tensor:
    """Soft steps: near the border of two steps a tanh leads from one to the other.

    Args:
        light: In [0, 1].
        levels: Number of steps; black and white are steps.
        sharpness: Of the transitions; the result is continuous at any value.
    """
    step = 1.0 / (levels - 1)
    border = ((light / step).floor() + 0.5) * step
    lean = torch.tanh(2.0 * sharpness * (light - border) / step)
    return border + 0.5 * step * lean / math.tanh(sharpness)
