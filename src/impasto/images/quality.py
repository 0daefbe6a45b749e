"""How near a picture is to the true one, as papers on super-resolution measure it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import UsageError

#: Weights of red, green and blue in studio luma, for values in [0, 1] (ITU-R BT.601): 16 to 235.
STUDIO = (65.481, 128.553, 24.966)
#: Highest value of 8 bits, which figures refer to.
PEAK = 255.0
#: Edge and deviation of the window of structural similarity, and its two constants.
WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
#: Squared errors below this are rounding: the figure stays finite, at about 148 dB.
LEAST = 1e-10


def studio_luma(image: Tensor) -> Tensor:
    """Luma of (B, 3, H, W) in [0, 1] as (B, 1, H, W) float64, 16 to 235."""
    weights = torch.tensor(STUDIO, dtype=torch.float64, device=image.device).view(1, 3, 1, 1)
    return 16 + (image.double() * weights).sum(1, keepdim=True)


def psnr(image: Tensor, true: Tensor, border: int = 0) -> float:
    """Peak signal-to-noise ratio on luma: ``10 log10(255^2 / mean squared error)``, in dB.

    Args:
        image: (B, 3, H, W); rounded to 8 bits first.
        true: The like, in [0, 1].
        border: Pixels on each side that do not count.

    Raises:
        UsageError: Two sizes, or nothing inside the border.
    """
    a, b = _both(image, true, border, 1)
    error = (a - b).square().mean() / PEAK**2
    return float(-10 * torch.log10(error.clamp_min(LEAST / PEAK**2)))


def ssim(image: Tensor, true: Tensor, border: int = 0) -> float:
    """Mean structural similarity of luma, at most 1.

    Means, variances and covariance under a Gaussian window of 11 px and deviation 1.5, at every
    place where it lies inside: ``(2 m n + c1) (2 cov + c2) / ((m^2 + n^2 + c1) (v + w + c2))``.

    Source: Wang, Bovik, Sheikh & Simoncelli 2004, eq. 13, with the constants given there.

    Args:
        image: See :func:`psnr`.
        true: As there.
        border: As there.

    Raises:
        UsageError: Two sizes, or less than a window inside the border.
    """
    a, b = _both(image, true, border, WINDOW)
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a = _blurred(a * a) - mean_a.square()
    var_b = _blurred(b * b) - mean_b.square()
    covariance = _blurred(a * b) - mean_a * mean_b
    c1, c2 = (K1 * PEAK) ** 2, (K2 * PEAK) ** 2
    similar = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float((similar / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean())


def _both(image: Tensor, true: Tensor, border: int, least: int) -> tuple[Tensor, Tensor]:
    """The lumas inside the border, each rounded to 8 bits per colour before."""
    if image.shape != true.shape:
        sizes = " and ".join(f"{t.shape[-1]} x {t.shape[-2]}" for t in (image, true))
        raise UsageError(f"pictures of two sizes cannot be compared: {sizes}")
    if min(image.shape[-2:]) - 2 * border < least:
        raise UsageError(
            f"{image.shape[-1]} x {image.shape[-2]} px are too few to compare",
            hint=f"at least {least + 2 * border} on each side",
        )
    inner = slice(border, -border or None)
    found = [
        studio_luma((t.clamp(0, 1) * PEAK).round() / PEAK)[..., inner, inner] for t in (image, true)
    ]
    return found[0], found[1]


def _blurred(plane: Tensor) -> Tensor:
    """(B, 1, H, W) under the window, where it lies inside."""
    place = torch.arange(WINDOW, dtype=plane.dtype, device=plane.device) - WINDOW // 2
    row = torch.exp(-0.5 * (place / SIGMA) ** 2)
    row = (row / row.sum()).view(1, 1, 1, -1)
    return F.conv2d(F.conv2d(plane, row), row.mT)
