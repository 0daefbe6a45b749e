"""Colour spaces: sRGB to linear light, YIQ, YUV, Lab and Oklab, and back.

All functions take and give ``(..., 3, H, W)`` floating-point tensors on any device. Values
outside [0, 1] pass through and come back (the curves are continued by symmetry), so that every
pair is an inverse everywhere. sRGB means values encoded by the transfer curve, in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from impasto.errors import UnknownName

F64 = npt.NDArray[np.float64]

# FCC 1953, 47 CFR 73.682: luma 0.299, 0.587, 0.114; I and Q along the skin-tone axis and across.
_YIQ: F64 = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
# ITU-R BT.601, analogue form: U = 0.492 (B - Y), V = 0.877 (R - Y).
_LUMA: F64 = np.array([0.299, 0.587, 0.114])
_YUV: F64 = np.stack(
    [_LUMA, 0.492 * (np.array([0, 0, 1]) - _LUMA), 0.877 * (np.array([1, 0, 0]) - _LUMA)]
)
# IEC 61966-2-1: linear sRGB to XYZ, D65. The white of Lab is its row sums, so that grey is grey.
_XYZ: F64 = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_TO_WHITE_XYZ: F64 = _XYZ / _XYZ.sum(axis=1, keepdims=True)
# CIE 15: L = 116 f(Y) - 16, a = 500 (f(X) - f(Y)), b = 200 (f(Y) - f(Z)).
_LAB: F64 = np.array([[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]])
_KNEE = 6 / 29
# Where the line and the power of the sRGB curve meet. The standard rounds it to 0.04045, which
# leaves a step of 3e-8 there, and with it a pair of curves that are not inverses.
_BEND = 0.0404482362771082
# Ottosson 2020, "A perceptual color space for image processing": linear sRGB to cone responses,
# and their cube roots to L, a, b. Rows are scaled so that white is exactly (1, 0, 0).
_LMS: F64 = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_WHITE_LMS: F64 = _LMS / _LMS.sum(axis=1, keepdims=True)
_OKLAB: F64 = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_OKLAB_WHITE: F64 = _OKLAB - np.outer(_OKLAB.sum(axis=1) - np.array([1.0, 0, 0]), np.full(3, 1 / 3))


def _inverse(matrix: F64) -> F64:
    return np.linalg.inv(matrix).astype(np.float64)


def _mix(t: Tensor, matrix: F64) -> Tensor:
    """Multiply the channels by a 3 x 3 matrix."""
    if t.ndim < 3 or t.shape[-3] != 3 or not t.is_floating_point():
        raise ValueError(
            f"expected (..., 3, H, W) of floating point, got {tuple(t.shape)} {t.dtype}"
        )
    weights = torch.from_numpy(matrix).to(device=t.device, dtype=t.dtype)
    return torch.einsum("ij,...jhw->...ihw", weights, t)


def _odd(curve: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    """``curve`` of the magnitude with the sign of ``t``."""
    if not t.is_floating_point():
        raise ValueError(f"expected floating point, got {t.dtype}")
    return torch.sign(t) * curve(t.abs())


def srgb_to_linear(t: Tensor) -> Tensor:
    """Decode the sRGB transfer curve (IEC 61966-2-1)."""

    def curve(v: Tensor) -> Tensor:
        return torch.where(v <= _BEND, v / 12.92, ((v.clamp(min=0.04) + 0.055) / 1.055) ** 2.4)

    return _odd(curve, t)


def linear_to_srgb(t: Tensor) -> Tensor:
    """Encode with the sRGB transfer curve; inverse of :func:`srgb_to_linear`."""

    def curve(v: Tensor) -> Tensor:
        power = 1.055 * v.clamp(min=0.003) ** (1 / 2.4) - 0.055
        return torch.where(v <= _BEND / 12.92, 12.92 * v, power)

    return _odd(curve, t)


def rgb_to_yiq(t: Tensor) -> Tensor:
    """From sRGB to luma and the two chroma axes of NTSC; linear in the encoded values."""
    return _mix(t, _YIQ)


def yiq_to_rgb(t: Tensor) -> Tensor:
    """Inverse of :func:`rgb_to_yiq`."""
    return _mix(t, _inverse(_YIQ))


def rgb_to_yuv(t: Tensor) -> Tensor:
    """From sRGB to luma and the two chroma axes of BT.601; linear in the encoded values."""
    return _mix(t, _YUV)


def yuv_to_rgb(t: Tensor) -> Tensor:
    """Inverse of :func:`rgb_to_yuv`."""
    return _mix(t, _inverse(_YUV))


def luma(t: Tensor) -> Tensor:
    """BT.601 luma, ``(..., 1, H, W)``."""
    return rgb_to_yuv(t)[..., :1, :, :]


def rgb_to_lab(t: Tensor) -> Tensor:
    """From sRGB to CIE Lab, D65: L in [0, 100], a and b about [-110, 110]."""

    def curve(v: Tensor) -> Tensor:
        line = v / (3 * _KNEE**2) + 4 / 29
        return torch.where(v > _KNEE**3, v.clamp(min=1e-3) ** (1 / 3), line)

    return _mix(curve(_mix(srgb_to_linear(t), _TO_WHITE_XYZ)), _LAB) - _lab_offset(t)


def lab_to_rgb(t: Tensor) -> Tensor:
    """Inverse of :func:`rgb_to_lab`."""
    roots = _mix(t + _lab_offset(t), _inverse(_LAB))
    line = 3 * _KNEE**2 * (roots - 4 / 29)
    xyz = torch.where(roots > _KNEE, roots**3, line)
    return linear_to_srgb(_mix(xyz, _inverse(_TO_WHITE_XYZ)))


def _lab_offset(t: Tensor) -> Tensor:
    return t.new_tensor([16.0, 0.0, 0.0])[:, None, None]


def rgb_to_oklab(t: Tensor) -> Tensor:
    """From sRGB to Oklab: L in [0, 1], a and b about [-0.4, 0.4].

    The gradient is infinite at black in the formula; it is taken as zero there.
    """
    lms = _mix(srgb_to_linear(t), _TO_WHITE_LMS)
    tiny = torch.finfo(lms.dtype).tiny
    safe = torch.where(lms.abs() > tiny, lms, torch.ones_like(lms))
    roots = torch.where(lms.abs() > tiny, _odd(lambda v: v ** (1 / 3), safe), 0.0 * lms)
    return _mix(roots, _OKLAB_WHITE)


def oklab_to_rgb(t: Tensor) -> Tensor:
    """Inverse of :func:`rgb_to_oklab`."""
    lms = _mix(t, _inverse(_OKLAB_WHITE)) ** 3
    return linear_to_srgb(_mix(lms, _inverse(_TO_WHITE_LMS)))


def _same(t: Tensor) -> Tensor:
    return t.clone()


Pair = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]

# Name to (from sRGB, to sRGB).
SPACES: dict[str, Pair] = {
    "rgb": (_same, _same),
    "linear": (srgb_to_linear, linear_to_srgb),
    "yiq": (rgb_to_yiq, yiq_to_rgb),
    "yuv": (rgb_to_yuv, yuv_to_rgb),
    "lab": (rgb_to_lab, lab_to_rgb),
    "oklab": (rgb_to_oklab, oklab_to_rgb),
}


def conversions(name: str) -> Pair:
    """The conversions from and to sRGB of a colour space.

    Raises:
        UnknownName: No space is called so.
    """
    if name not in SPACES:
        raise UnknownName("colour space", name, SPACES)
    return SPACES[name]
