"""Antialiased resampling as exact, differentiable, separable matrix products.

Each axis is a banded matrix: row ``i`` holds the weights of the input samples that make output
sample ``i``. When shrinking, the kernel is widened by the factor of reduction, so that every
input sample counts (the convolution form of resampling; Schumacher, "General filtered image
rescaling", Graphics Gems III, 1992). The band is applied in blocks of output samples, each a
small dense product with the slice of input that it needs: memory stays near that of the input
and the output, and the result is the same on every run.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

F64 = npt.NDArray[np.float64]

_BLOCK = 128  # output samples per product: small against a picture, large enough for BLAS


def _overlap(x: F64, extent: float) -> F64:
    """Length shared by a unit interval and one of length ``extent`` whose centres are x apart."""
    shared = np.minimum(extent / 2, x + 0.5) - np.maximum(-extent / 2, x - 0.5)
    return np.asarray(np.clip(shared, 0.0, None))


def _triangle(x: F64) -> F64:
    return np.asarray(np.clip(1.0 - np.abs(x), 0.0, None))


def _cubic(x: F64) -> F64:
    """Cubic convolution with a = -0.5 (Keys 1981, eq. 15): third-order accurate."""
    t = np.abs(x)
    near = (1.5 * t - 2.5) * t * t + 1.0
    far = ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    return np.where(t < 1.0, near, np.where(t < 2.0, far, 0.0))


def _lanczos(x: F64) -> F64:
    """Sinc windowed by the central lobe of a sinc three times as wide."""
    return np.where(np.abs(x) < 3.0, np.sinc(x) * np.sinc(x / 3.0), 0.0)


_KERNELS: dict[str, tuple[Callable[[F64], F64], float]] = {
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
    "lanczos": (_lanczos, 3.0),
}
MODES = ("auto", "area", *_KERNELS)


def fit_size(h: int, w: int, longest: int) -> tuple[int, int]:
    """The size whose longer edge is ``longest``, with the aspect ratio kept.

    Args:
        h: Height in pixels.
        w: Width in pixels.
        longest: Wanted longer edge in pixels; larger than the picture enlarges it.

    Returns:
        ``(height, width)``, rounded to the nearest integer (halves up) and at least 1.

    Raises:
        ValueError: A size below 1.

    >>> fit_size(600, 800, 400)
    (300, 400)
    """
    if min(h, w, longest) < 1:
        raise ValueError(f"sizes must be at least 1, got {h} x {w} to {longest}")
    edge = max(h, w)
    return (
        max(1, (2 * h * longest + edge) // (2 * edge)),
        max(1, (2 * w * longest + edge) // (2 * edge)),
    )


def _band(n_in: int, n_out: int, mode: str) -> tuple[npt.NDArray[np.int64], F64]:
    """Weights of one axis.

    Returns:
        First input index of each output sample ``(n_out,)`` and weights ``(n_out, K)`` that sum
        to one in each row; entries beyond the end of the axis are zero.
    """
    scale = n_in / n_out
    widen = max(scale, 1.0)
    reach = scale / 2 if mode == "area" else _KERNELS[mode][1] * widen
    centre = (np.arange(n_out) + 0.5) * scale
    first = np.clip(np.floor(centre - reach), 0, n_in - 1).astype(np.int64)
    last = np.clip(np.ceil(centre + reach), 1, n_in).astype(np.int64)
    index = first[:, None] + np.arange(int((last - first).max()))[None, :]  # (n_out, K)
    offset = index + 0.5 - centre[:, None]
    if mode == "area":
        weights = _overlap(offset, scale)
    else:
        weights = _KERNELS[mode][0](offset / widen)
    weights = np.where(index < last[:, None], weights, 0.0)
    return first, weights / weights.sum(axis=1, keepdims=True)


def _blocks(n_in: int, n_out: int, mode: str) -> list[tuple[int, int, F64]]:
    """The band cut into dense blocks ``(low, high, (outputs, high - low))``."""
    first, weights = _band(n_in, n_out, mode)
    width = weights.shape[1]
    blocks = []
    for start in range(0, n_out, _BLOCK):
        rows = slice(start, min(start + _BLOCK, n_out))
        low = int(first[rows][0])
        high = min(n_in, int(first[rows][-1]) + width)
        dense = np.zeros((rows.stop - rows.start, high - low + width))
        columns = first[rows][:, None] - low + np.arange(width)[None, :]
        np.put_along_axis(dense, columns, weights[rows], axis=1)
        blocks.append((low, high, dense[:, : high - low]))
    return blocks


def _along(t: Tensor, n_out: int, mode: str, *, axis: int) -> Tensor:
    """Resample the last (``axis=-1``) or the last but one axis (``axis=-2``)."""
    n_in = t.shape[axis]
    if n_in == n_out:
        return t
    kernel = _axis_mode(n_in, n_out, mode)
    parts = []
    for low, high, dense in _blocks(n_in, n_out, kernel):
        matrix = torch.from_numpy(dense).to(device=t.device, dtype=t.dtype)
        piece = t.narrow(axis, low, high - low)
        parts.append(piece @ matrix.T if axis == -1 else matrix @ piece)
    return torch.cat(parts, dim=axis)


def _axis_mode(n_in: int, n_out: int, mode: str) -> str:
    if mode == "auto":
        return "lanczos" if n_out < n_in else "bicubic"
    return mode


def _check(t: Tensor, size: tuple[int, int]) -> tuple[int, int]:
    h, w = size
    if not t.is_floating_point():
        raise ValueError(f"expected a floating-point tensor, got {t.dtype}")
    if t.ndim < 2 or min(t.shape[-2:]) < 1 or min(h, w) < 1:
        raise ValueError(f"cannot resize {tuple(t.shape)} to {h} x {w}")
    return h, w


def resize(t: Tensor, size: tuple[int, int], *, mode: str = "auto", clamp: bool = False) -> Tensor:
    """Resample a picture with antialiasing.

    Args:
        t: ``(..., H, W)`` floating point. Half precision is computed in float32.
        size: Wanted ``(height, width)``.
        mode: ``"auto"`` (Lanczos-3 along an axis that shrinks, bicubic along one that grows),
            ``"lanczos"``, ``"bicubic"``, ``"bilinear"`` or ``"area"``.
        clamp: Limit the result to [0, 1]. Lanczos and bicubic overshoot at edges; off by
            default, so that the operator stays linear and its gradient exact.

    Returns:
        ``(..., height, width)``, same device and dtype, never the caller's tensor.

    Raises:
        ValueError: An unknown mode, an integer tensor, or an empty size.
    """
    if mode not in MODES:
        raise ValueError(f"unknown mode {mode!r}; known: {', '.join(MODES)}")
    h, w = _check(t, size)
    work = t.float() if t.dtype in (torch.float16, torch.bfloat16) else t
    # The axis that shrinks more goes first: fewer samples for the second pass.
    if h * t.shape[-1] <= w * t.shape[-2]:
        out = _along(_along(work, h, mode, axis=-2), w, mode, axis=-1)
    else:
        out = _along(_along(work, w, mode, axis=-1), h, mode, axis=-2)
    out = out.clamp(0.0, 1.0) if clamp else out
    return out.clone() if out is t else out.to(t.dtype)


def resize_periodic(t: Tensor, size: tuple[int, int]) -> Tensor:
    """Resample a picture that goes on at its opposite edges; so does the result.

    Args:
        t: ``(..., H, W)`` floating point.
        size: Wanted ``(height, width)``.

    Returns:
        ``(..., height, width)``, as :func:`resize` makes it of an endless plane of copies.

    Raises:
        ValueError: An integer tensor, or an empty size.
    """
    h, w = _check(t, size)
    for axis, n in ((-2, h), (-1, w)):
        copies = torch.cat([t, t, t], axis)
        wanted = (3 * n, t.shape[-1]) if axis == -2 else (t.shape[-2], 3 * n)
        t = resize(copies, wanted).narrow(axis, n, n)
    return t.contiguous()


def resize_map(t: Tensor, size: tuple[int, int]) -> Tensor:
    """Resample a mask or weight map; the result stays within the range of the input.

    Args:
        t: ``(..., H, W)`` in [0, 1].
        size: Wanted ``(height, width)``.

    Returns:
        ``(..., height, width)``: the mean over each pixel's area along an axis that shrinks,
        linear interpolation along one that grows.

    Raises:
        ValueError: An integer tensor, or an empty size.
    """
    h, w = _check(t, size)
    work = t.float() if t.dtype in (torch.float16, torch.bfloat16) else t
    for axis, n in ((-2, h), (-1, w)):
        work = _along(work, n, "area" if n < work.shape[axis] else "bilinear", axis=axis)
    # Weights are not negative and sum to one; the clamp removes the last bit of rounding.
    low, high = t.detach().amin().to(work.dtype), t.detach().amax().to(work.dtype)
    return torch.clamp(work, low, high).to(t.dtype)
