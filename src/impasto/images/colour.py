"""Colours of a result: keep those of the photo, or give the painting those of the photo.

The spaces themselves are in :mod:`impasto.images.spaces` and can be had from here too.
"""

from __future__ import annotations

import torch
from torch import Tensor

from impasto.errors import UsageError
from impasto.images.spaces import (
    SPACES,
    conversions,
    lab_to_rgb,
    linear_to_srgb,
    luma,
    oklab_to_rgb,
    rgb_to_lab,
    rgb_to_oklab,
    rgb_to_yiq,
    rgb_to_yuv,
    srgb_to_linear,
    yiq_to_rgb,
    yuv_to_rgb,
)

__all__ = [
    "SPACES",
    "clip_gamut",
    "keep_colours",
    "lab_to_rgb",
    "linear_to_srgb",
    "luma",
    "match_histogram",
    "match_mean_cov",
    "oklab_to_rgb",
    "rgb_to_lab",
    "rgb_to_oklab",
    "rgb_to_yiq",
    "rgb_to_yuv",
    "srgb_to_linear",
    "yiq_to_rgb",
    "yuv_to_rgb",
]

_LIGHTNESS_FIRST = ("yiq", "yuv", "lab", "oklab")
_HALVINGS = 24  # of the chroma, to the resolution of float32
_FLAT = 1e-8  # variance relative to the largest below which a direction holds no colour


def _same_batch(t: Tensor, name: str) -> None:
    if t.ndim != 4 or t.shape[1] != 3 or 0 in t.shape or not t.is_floating_point():
        raise ValueError(f"{name}: expected (B, 3, H, W) of floating point, got {tuple(t.shape)}")


def keep_colours(result: Tensor, photo: Tensor, space: str = "lab") -> Tensor:
    """The lightness of ``result`` with the chroma of ``photo``.

    Luminance-only transfer of Gatys et al. 2016, "Preserving color in neural artistic style
    transfer", section 4, applied to the finished picture.

    Args:
        result: ``(B, 3, H, W)`` sRGB; clamped to [0, 1] first.
        photo: The same size, sRGB in [0, 1].
        space: ``"lab"``, ``"yiq"``, ``"yuv"`` or ``"oklab"``.

    Returns:
        ``(B, 3, H, W)`` in [0, 1]. Where the two do not go together, chroma gives way.

    Raises:
        UsageError: A space without a lightness channel.
        ValueError: The sizes differ.
    """
    if space not in _LIGHTNESS_FIRST:
        known = ", ".join(_LIGHTNESS_FIRST)
        raise UsageError(f"cannot keep colours in {space!r}", hint=f"use one of {known}")
    _same_batch(result, "result")
    if result.shape != photo.shape:
        raise ValueError(f"sizes differ: {tuple(result.shape)} and {tuple(photo.shape)}")
    forward, backward = SPACES[space]
    light = forward(result.clamp(0.0, 1.0))[:, :1]
    chroma = forward(photo.clamp(0.0, 1.0))[:, 1:]
    return clip_gamut(backward(torch.cat([light, chroma], dim=1)))


def clip_gamut(rgb: Tensor) -> Tensor:
    """Bring colours into sRGB by reducing chroma at constant lightness and hue (of Oklab).

    Clamping each channel instead would shift hues: a bright orange turns yellow.

    Args:
        rgb: ``(B, 3, H, W)`` sRGB, any values.

    Returns:
        The same shape, in [0, 1]; colours that were inside are unchanged. Meant for finished
        pictures: the gradient of the search is not followed.
    """
    _same_batch(rgb, "rgb")
    outside = ((rgb < 0.0) | (rgb > 1.0)).any(dim=1)  # (B, H, W)
    if not bool(outside.any()):
        return rgb.clone()
    pixels = rgb.detach().permute(0, 2, 3, 1)[outside].T[:, :, None]  # (3, N, 1)
    fixed = _reduce_chroma(pixels)
    out = rgb.permute(0, 2, 3, 1).clone()
    out[outside] = fixed[:, :, 0].T
    return out.permute(0, 3, 1, 2).contiguous()


def _reduce_chroma(pixels: Tensor) -> Tensor:
    """Largest chroma, not above its own, that keeps each of ``(3, N, 1)`` colours in sRGB."""
    lab = rgb_to_oklab(pixels)
    light = lab[:1].clamp(0.0, 1.0)
    low, high = torch.zeros_like(light), torch.ones_like(light)
    slack = 16 * torch.finfo(pixels.dtype).eps
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        trial = oklab_to_rgb(torch.cat([light, lab[1:] * middle]))
        good = ((trial >= -slack) & (trial <= 1 + slack)).all(dim=0, keepdim=True)
        low, high = torch.where(good, middle, low), torch.where(good, high, middle)
    return oklab_to_rgb(torch.cat([light, lab[1:] * low])).clamp(0.0, 1.0)


def match_mean_cov(style: Tensor, content: Tensor) -> Tensor:
    """Recolour a painting so that the mean and covariance of its colours are those of a photo.

    Gatys et al. 2016, "Preserving color in neural artistic style transfer", section 3, with the
    symmetric square root ("image analogies" variant):
    ``x -> S_c^(1/2) S_s^(-1/2) (x - m_s) + m_c``.

    Args:
        style: ``(B, 3, H, W)`` sRGB.
        content: ``(B, 3, H', W')`` sRGB; the size may differ.

    Returns:
        The recoloured ``style``, same shape and dtype, not clipped: clip it with
        :func:`clip_gamut`. Where the painting has no variation along an axis of colour (a grey
        picture, a plain one), none is invented.

    Deviations:
        Directions with less than 1e-8 of the painting's largest variance are left out (the
        paper assumes covariances of full rank).
    """
    _same_batch(style, "style")
    _same_batch(content, "content")
    style_mean, style_cov = _moments(style)
    content_mean, content_cov = _moments(content)
    transform = _power(content_cov, 0.5) @ _power(style_cov, -0.5)  # (B, 3, 3)
    flat = style.flatten(2) - style_mean.to(style)  # (B, 3, H*W)
    out = transform.to(style) @ flat + content_mean.to(style)
    return out.reshape(style.shape)


def _moments(t: Tensor) -> tuple[Tensor, Tensor]:
    """Mean ``(B, 3, 1)`` and covariance ``(B, 3, 3)`` of the colours, in float64 on the CPU."""
    # Not every device has float64; the products over pixels are centred, so float32 serves there.
    work = t if t.device.type == "mps" else t.double()
    flat = work.flatten(2)  # (B, 3, H*W)
    mean = flat.mean(dim=2, keepdim=True)
    centred = flat - mean
    cov = centred @ centred.transpose(1, 2) / flat.shape[2]
    return mean.cpu().double(), cov.cpu().double()


def _power(cov: Tensor, exponent: float) -> Tensor:
    """Symmetric power of covariances; a pseudo-inverse where the exponent is negative."""
    values, vectors = torch.linalg.eigh(cov)
    floor = (_FLAT * values[:, -1:]).clamp(min=1e-12)
    powers = torch.where(values > floor, values.clamp(min=1e-300) ** exponent, 0.0)
    powered: Tensor = vectors @ torch.diag_embed(powers) @ vectors.transpose(1, 2)
    return powered


def match_histogram(src: Tensor, ref: Tensor, space: str = "rgb") -> Tensor:
    """Give each channel of ``src`` the distribution of the same channel of ``ref``.

    Exact matching of cumulative distributions (Gonzalez and Woods, section 3.3); equal values
    stay equal, between the values of ``ref`` is interpolated linearly.

    Args:
        src: ``(B, 3, H, W)`` sRGB.
        ref: ``(B, 3, H', W')`` sRGB; the size may differ.
        space: Where the channels are taken: any of :data:`SPACES`.

    Returns:
        ``(B, 3, H, W)``, same dtype; in spaces other than ``"rgb"`` brought back into [0, 1] by
        :func:`clip_gamut`.

    Raises:
        UnknownName: No space is called so.
        ValueError: The batches differ, or a shape is wrong.
    """
    _same_batch(src, "src")
    _same_batch(ref, "ref")
    if src.shape[0] != ref.shape[0]:
        raise ValueError(f"batches differ: {src.shape[0]} and {ref.shape[0]}")
    forward, backward = conversions(space)
    pairs = zip(forward(src).flatten(0, 1), forward(ref).flatten(0, 1), strict=True)
    matched = torch.stack([_match_channel(a, b) for a, b in pairs]).reshape(src.shape)
    return matched if space == "rgb" else clip_gamut(backward(matched))


def _match_channel(src: Tensor, ref: Tensor) -> Tensor:
    _, inverse, counts = torch.unique(src, return_inverse=True, return_counts=True)
    values, ref_counts = torch.unique(ref, return_counts=True)
    # Ranks in float64: a float32 cannot tell the last of 2^24 pixels from the one before.
    wanted = counts.cpu().double().cumsum(0) / src.numel()
    have = ref_counts.cpu().double().cumsum(0) / ref.numel()
    levels = _interpolate(wanted, have, values.cpu().double())
    return levels.to(src)[inverse]


def _interpolate(x: Tensor, places: Tensor, values: Tensor) -> Tensor:
    """Piecewise linear function through ``(places, values)``, constant beyond its ends."""
    right = torch.searchsorted(places, x).clamp(0, len(places) - 1)
    left = (right - 1).clamp(min=0)
    span = places[right] - places[left]
    share = torch.where(span > 0, (x - places[left]) / torch.where(span > 0, span, 1.0), 1.0)
    return torch.lerp(values[left], values[right], share.clamp(0.0, 1.0))
