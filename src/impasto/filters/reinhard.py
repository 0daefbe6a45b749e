"""Colour transfer by mean and spread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from impasto.filters.base import FILTERS, ReferenceFilter, choice, param
from impasto.images.spaces import (
    lab_to_rgb,
    linear_to_srgb,
    oklab_to_rgb,
    rgb_to_lab,
    rgb_to_oklab,
    srgb_to_linear,
)

# As the paper prints them: from linear RGB to cones, and from their logarithms to three axes.
_LMS = ((0.3811, 0.5783, 0.0402), (0.1967, 0.7244, 0.0782), (0.0241, 0.1288, 0.8444))
_AXES = (
    (3**-0.5, 3**-0.5, 3**-0.5),
    (6**-0.5, 6**-0.5, -2 * 6**-0.5),
    (2**-0.5, -(2**-0.5), 0.0),
)

#: How far beyond [0, 1] a channel may be before its chroma gives way, and steps of finding by how
#: much.
_SLACK, _HALVINGS = 0.01, 7


def _mix(matrix: Tensor, image: Tensor) -> Tensor:
    return torch.einsum("ij,bjhw->bihw", matrix.to(image), image)


def to_ruderman(image: Tensor) -> Tensor:
    """From sRGB to Ruderman's decorrelated logarithmic space (l, alpha, beta)."""
    cones = _mix(torch.tensor(_LMS), srgb_to_linear(image)).clamp_min(1e-3)
    return _mix(torch.tensor(_AXES), cones.log10())


def from_ruderman(image: Tensor) -> Tensor:
    """Inverse of :func:`to_ruderman`."""
    cones = 10.0 ** _mix(torch.linalg.inv(torch.tensor(_AXES)), image)
    return linear_to_srgb(_mix(torch.linalg.inv(torch.tensor(_LMS)), cones))


_SPACES = {
    "lab": (rgb_to_lab, lab_to_rgb),
    "oklab": (rgb_to_oklab, oklab_to_rgb),
    "ruderman": (to_ruderman, from_ruderman),
}


@FILTERS.register("reinhard")
@dataclass(frozen=True)
class Reinhard(ReferenceFilter):
    """Colours of a painting: its mean and spread, channel by channel, in a colour space.

    ``x' = (x - mean) * std_painting / std_photo + mean_painting``.

    Deviations: CIELAB by default, where dark noise is not blown up as in the paper's logarithmic
    space (``space=ruderman``); the factor on a channel is at most ``contrast``; colours that no
    screen shows lose chroma, not hue (``lab`` and ``oklab``).
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
        graded = source + self.strength * share * (moved - source)
        return _within(graded, back) if self.space != "ruderman" else back(graded)


def _within(lab: Tensor, back: Callable[[Tensor], Tensor]) -> Tensor:
    """To sRGB; where that is no colour of a screen, with less chroma, of the same hue and light.

    Cutting red, green and blue at 1 instead turns a white, made blue, to neon.
    """
    made = back(lab)
    if bool(((made > -_SLACK) & (made < 1.0 + _SLACK)).all()):
        return made
    low, high = torch.zeros_like(lab[:, :1]), torch.ones_like(lab[:, :1])
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        tried = back(torch.cat([lab[:, :1], middle * lab[:, 1:]], 1))
        fits = ((tried > -_SLACK) & (tried < 1.0 + _SLACK)).all(1, keepdim=True)
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    outside = ((made < -_SLACK) | (made > 1.0 + _SLACK)).any(1, keepdim=True)
    less = back(torch.cat([lab[:, :1], low * lab[:, 1:]], 1))
    return torch.where(outside, less, made)


def _moments(image: Tensor) -> tuple[Tensor, Tensor]:
    wide = image.double()
    mean = wide.mean((2, 3), keepdim=True)
    return mean.float(), wide.std((2, 3), correction=0, keepdim=True).float()
