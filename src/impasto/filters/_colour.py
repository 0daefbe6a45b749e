"""Colour spaces that the filters think in."""

from __future__ import annotations

import torch
from torch import Tensor

# Ottosson 2020: linear sRGB -> LMS, and cube-rooted LMS -> Oklab.
_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_OKLAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def _mix(matrix: Tensor, image: Tensor) -> Tensor:
    return torch.einsum("ij,bjhw->bihw", matrix.to(image), image)


def to_linear(image: Tensor) -> Tensor:
    """sRGB to linear light."""
    return torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


def to_srgb(image: Tensor) -> Tensor:
    """Linear light to sRGB."""
    image = image.clamp_min(0.0)
    return torch.where(image <= 0.0031308, image * 12.92, 1.055 * image ** (1 / 2.4) - 0.055)


def to_oklab(image: Tensor) -> Tensor:
    """sRGB to Oklab: lightness in [0, 1], a and b about [-0.4, 0.4]."""
    lms = _mix(torch.tensor(_LMS), to_linear(image)).clamp_min(0.0)
    return _mix(torch.tensor(_OKLAB), lms.pow(1 / 3))


def from_oklab(image: Tensor) -> Tensor:
    """Oklab to sRGB, not clamped above 1."""
    lms = _mix(torch.linalg.inv(torch.tensor(_OKLAB)), image) ** 3
    return to_srgb(_mix(torch.linalg.inv(torch.tensor(_LMS)), lms))
