"""Colour transfer by mean and spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from impasto.filters._colour import (
    from_lab,
    from_oklab,
    from_ruderman,
    to_lab,
    to_oklab,
    to_ruderman,
)
from impasto.filters.base import FILTERS, ReferenceFilter, choice, param

_SPACES = {
    "lab": (to_lab, from_lab),
    "oklab": (to_oklab, from_oklab),
    "ruderman": (to_ruderman, from_ruderman),
}


@FILTERS.register("reinhard")
@dataclass(frozen=True)
class Reinhard(ReferenceFilter):
    """Colours of a painting: its mean and spread, channel by channel, in a colour space.

    ``x' = (x - mean) * std_painting / std_photo + mean_painting`` (equations 10 and 11).

    Deviations: CIELAB by default, where dark noise is not blown up as in the paper's logarithmic
    space (``space=ruderman``); the factor on a channel is at most ``contrast``.
    """

    name: ClassVar[str] = "reinhard"
    title: ClassVar[str] = "Colour transfer (Reinhard)"
    source: ClassVar[str] = (
        "Reinhard, Ashikhmin, Gooch, Shirley 2001, Color transfer between images"
    )

    strength: float = param(1.0, 0.0, 1.0, "share of the change")
    light: float = param(0.7, 0.0, 1.0, "share of the change for the lightness")
    contrast: float = param(2.0, 1.0, 10.0, "largest factor on the spread of a channel")
    space: str = choice("lab", tuple(_SPACES), "where means and spreads are taken")

    def transfer(self, image: Tensor, reference: Tensor) -> Tensor:
        """Match the first two moments."""
        forward, back = _SPACES[self.space]
        source, target = forward(image), forward(reference)
        mean, spread = _moments(source)
        wanted_mean, wanted_spread = _moments(target)
        factor = wanted_spread / spread.clamp_min(1e-6)
        factor = factor.clamp(1.0 / self.contrast, self.contrast)
        moved = (source - mean) * factor + wanted_mean
        share = torch.tensor([self.light, 1.0, 1.0], device=image.device).view(1, 3, 1, 1)
        return back(source + self.strength * share * (moved - source))


def _moments(image: Tensor) -> tuple[Tensor, Tensor]:
    wide = image.double()
    mean = wide.mean((2, 3), keepdim=True)
    return mean.float(), wide.std((2, 3), correction=0, keepdim=True).float()
