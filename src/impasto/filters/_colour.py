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


_XYZ = (
    (0.4123908, 0.3575843, 0.1804808),
    (0.2126390, 0.7151687, 0.0721923),
    (0.0193308, 0.1191948, 0.9505322),
)
_WHITE = (0.9504559, 1.0, 1.0890578)
# Reinhard et al. 2001, equations 4 and 6.
_RUDERMAN_LMS = (
    (0.3811, 0.5783, 0.0402),
    (0.1967, 0.7244, 0.0782),
    (0.0241, 0.1288, 0.8444),
)
_RUDERMAN = (
    (3**-0.5, 3**-0.5, 3**-0.5),
    (6**-0.5, 6**-0.5, -2 * 6**-0.5),
    (2**-0.5, -(2**-0.5), 0.0),
)


def to_lab(image: Tensor) -> Tensor:
    """SRGB to CIELAB (D65), L in [0, 100]."""
    white = torch.tensor(_WHITE).view(1, 3, 1, 1).to(image)
    xyz = _mix(torch.tensor(_XYZ), to_linear(image)) / white
    cut = 216 / 24389
    f = torch.where(xyz > cut, xyz.clamp_min(cut).pow(1 / 3), (24389 / 27 * xyz + 16) / 116)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def from_lab(image: Tensor) -> Tensor:
    """CIELAB (D65) to sRGB, not clamped above 1."""
    light, a, b = image.unbind(1)
    y = (light + 16) / 116
    f = torch.stack([y + a / 500, y, y - b / 200], 1)
    xyz = torch.where(f > 6 / 29, f**3, (116 * f - 16) * 27 / 24389)
    white = torch.tensor(_WHITE).view(1, 3, 1, 1).to(image)
    return to_srgb(_mix(torch.linalg.inv(torch.tensor(_XYZ)), xyz * white))


def to_ruderman(image: Tensor) -> Tensor:
    """SRGB to the decorrelated logarithmic space of Ruderman (l, alpha, beta)."""
    lms = _mix(torch.tensor(_RUDERMAN_LMS), to_linear(image)).clamp_min(1e-3)
    return _mix(torch.tensor(_RUDERMAN), lms.log10())


def from_ruderman(image: Tensor) -> Tensor:
    """Inverse of :func:`to_ruderman`."""
    lms = 10.0 ** _mix(torch.linalg.inv(torch.tensor(_RUDERMAN)), image)
    return to_srgb(_mix(torch.linalg.inv(torch.tensor(_RUDERMAN_LMS)), lms))
