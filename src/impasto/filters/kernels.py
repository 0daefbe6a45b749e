"""Image operators that several filters share: blurs, tensors, flow, edge-aware smoothing.

All take and give ``(B, C, H, W)`` float32 and extend the picture beyond its border by repeating
the outermost pixels, so that they work down to 1 x 1. Neighbourhoods are sums of shifted copies:
on a CPU that is faster than a one-channel convolution, for which torch has no fast kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def smoothstep(low: float, high: float, x: Tensor) -> Tensor:
    """0 below ``low``, 1 above ``high``, the cubic Hermite blend between; low may exceed high."""
    t = ((x - low) / (high - low)).clamp(0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def pad(image: Tensor, margin: int) -> Tensor:
    """Repeat the border pixels ``margin`` times on all sides."""
    return F.pad(image, (margin, margin, margin, margin), mode="replicate")


def correlate_axis(image: Tensor, weights: Sequence[float], axis: int) -> Tensor:
    """Correlate along one axis (2: rows, 3: columns) with an odd number of weights."""
    half, size = len(weights) // 2, image.shape[axis]
    margins = (half, half, 0, 0) if axis == 3 else (0, 0, half, half)
    padded = F.pad(image, margins, mode="replicate")
    result = padded.narrow(axis, 0, size) * weights[0]
    for offset in range(1, len(weights)):
        result.add_(padded.narrow(axis, offset, size), alpha=weights[offset])
    return result


def gaussian_weights(sigma: float) -> list[float]:
    """Weights of a sampled Gaussian, cut at three sigma, with sum 1."""
    half = max(1, math.ceil(3.0 * sigma))
    raw = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(-half, half + 1)]
    total = math.fsum(raw)
    return [value / total for value in raw]


def gaussian(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur.

    Small sigmas are separable sums. Above 8 px the picture is first averaged down by a whole
    factor and brought back with cubic interpolation: the blur left to do at the small size is
    reduced by the variance that the averaging and the interpolation add.

    Args:
        image: ``(B, C, H, W)``.
        sigma: Standard deviation in pixels of this picture; below 0.15 nothing happens.
    """
    if sigma < 0.15:
        return image.clone()
    factor = int(sigma // 4)
    if factor < 2 or min(image.shape[-2:]) < 4 * factor:
        weights = gaussian_weights(sigma)
        return correlate_axis(correlate_axis(image, weights, 3), weights, 2)
    height, width = image.shape[-2:]
    bottom, right = -height % factor, -width % factor
    small = F.avg_pool2d(F.pad(image, (0, right, 0, bottom), mode="replicate"), factor)
    # Variance of the box average, in small pixels: (1 - 1 / f^2) / 12.
    rest = math.sqrt((sigma / factor) ** 2 - (1.0 - 1.0 / factor**2) / 12.0)
    weights = gaussian_weights(rest)
    small = correlate_axis(correlate_axis(pad(small, 2), weights, 3), weights, 2)
    grown = F.interpolate(small, scale_factor=factor, mode="bicubic", align_corners=False)
    edge = 2 * factor
    return grown[..., edge : edge + height, edge : edge + width]


def box(image: Tensor, radius: int) -> Tensor:
    """Mean over a square of side ``2 radius + 1``, by running sums in float64."""
    result = image.double()
    for axis in (2, 3):
        size = result.shape[axis]
        margins = (radius + 1, radius, 0, 0) if axis == 3 else (0, 0, radius + 1, radius)
        sums = F.pad(result, margins, mode="replicate").cumsum(axis)
        span = 2 * radius + 1
        result = (sums.narrow(axis, span, size) - sums.narrow(axis, 0, size)) / span
    return result.float()


def guided(image: Tensor, guide: Tensor, radius: int, epsilon: float) -> Tensor:
    """Guided filter with a grey guide (He, Sun, Tang 2010, equations 5 and 6).

    Args:
        image: What is smoothed, ``(B, C, H, W)``.
        guide: ``(B, 1, H, W)``; edges of it stay.
        radius: Of the window, in pixels.
        epsilon: Variance of the guide below which a window counts as flat.
    """
    mean_guide, mean_image = box(guide, radius), box(image, radius)
    variance = box(guide * guide, radius) - mean_guide**2
    covariance = box(guide * image, radius) - mean_guide * mean_image
    slope = covariance / (variance.clamp_min(0.0) + epsilon)
    return box(slope, radius) * guide + box(mean_image - slope * mean_guide, radius)


def gradients(image: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives to the right and downwards with the 3 x 3 operator of Jaehne and Scharr.

    Smoothing 0.1837, 0.6326, 0.1837: the most isotropic of its size (Kyprianidis 2011).
    """
    smooth, derive = (0.183, 0.634, 0.183), (-0.5, 0.0, 0.5)
    dx = correlate_axis(correlate_axis(image, derive, 3), smooth, 2)
    dy = correlate_axis(correlate_axis(image, derive, 2), smooth, 3)
    return dx, dy


def structure_tensor(image: Tensor, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """Smoothed outer products of the gradients, summed over channels (Di Zenzo 1986).

    Returns:
        ``E = sum fx fx``, ``F = sum fx fy``, ``G = sum fy fy``, each ``(B, 1, H, W)``.
    """
    dx, dy = gradients(image)
    products = torch.cat(
        [(dx * dx).sum(1, True), (dx * dy).sum(1, True), (dy * dy).sum(1, True)], 1
    )
    smooth = gaussian(products, sigma)
    return smooth[:, 0:1], smooth[:, 1:2], smooth[:, 2:3]


def orientation(tensor: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Direction along the edges, and how directed the neighbourhood is.

    Args:
        tensor: From :func:`structure_tensor`.

    Returns:
        Unit tangent ``(tx, ty)`` (the eigenvector of the smaller eigenvalue) and anisotropy
        ``(l1 - l2) / (l1 + l2)`` in [0, 1]; a flat place has tangent (1, 0) and anisotropy 0.
    """
    e, f, g = tensor
    spread = torch.sqrt(((e - g) ** 2 + 4.0 * f * f).clamp_min(0.0))
    angle = 0.5 * torch.atan2(2.0 * f, e - g) + 0.5 * math.pi
    flat = (e + g) < 1e-10
    anisotropy = torch.where(flat, torch.zeros_like(e), spread / (e + g).clamp_min(1e-10))
    angle = torch.where(flat, torch.zeros_like(angle), angle)
    return torch.cos(angle), torch.sin(angle), anisotropy.clamp(0.0, 1.0)


def along(image: Tensor, tx: Tensor, ty: Tensor, sigma: float) -> Tensor:
    """Gaussian blur along the streamlines of a direction field (line integral convolution).

    Steps of one pixel (longer ones above sigma 3), values read at the nearest pixel. Directions
    have no sign, so each step keeps the sense of the one before.

    Args:
        image: ``(1, C, H, W)``.
        tx: Tangent to the right, ``(1, 1, H, W)``.
        ty: Tangent downwards.
        sigma: Standard deviation along the line, in pixels.
    """
    channels, (height, width) = image.shape[1], image.shape[-2:]
    flat = image.reshape(channels, -1)
    field = torch.stack([tx.reshape(-1), ty.reshape(-1)])
    stride = max(1.0, sigma / 3.0)
    count = max(1, round(2.5 * sigma / stride))
    weights = [math.exp(-0.5 * (i * stride / sigma) ** 2) for i in range(count + 1)]
    rows = torch.arange(height, device=image.device, dtype=torch.float32)
    columns = torch.arange(width, device=image.device, dtype=torch.float32)
    y0 = rows.repeat_interleave(width)
    x0 = columns.repeat(height)
    total = flat.clone()
    for sense in (1.0, -1.0):
        x, y, direction = x0, y0, field * sense
        for i in range(1, count + 1):
            x = (x + stride * direction[0]).clamp(0, width - 1)
            y = (y + stride * direction[1]).clamp(0, height - 1)
            index = (y.round() * width + x.round()).long()
            total.add_(flat[:, index], alpha=weights[i])
            fresh = field[:, index]
            turned = (fresh * direction).sum(0) < 0
            direction = torch.where(turned, -fresh, fresh)
    return (total / (2.0 * math.fsum(weights) - 1.0)).reshape_as(image)


def domain_transform(
    image: Tensor, guide: Tensor, sigma_space: float, sigma_range: float, passes: int = 3
) -> Tensor:
    """Edge-aware smoothing, recursive form (Gastal and Oliveira 2011).

    Distances on the transformed line are ``1 + sigma_s / sigma_r * sum |d guide|`` (equation 11);
    pass i of N has ``sigma_s sqrt(3) 2^(N - i) / sqrt(4^N - 1)`` (equation 14).

    Args:
        image: What is smoothed, ``(1, C, H, W)``.
        guide: Whose edges stay, ``(1, K, H, W)``.
        sigma_space: Reach in pixels.
        sigma_range: Difference of the guide (summed over channels) that counts as an edge.
        passes: Rows and columns, this many times.
    """
    result = image
    # (W, C, H) for rows, (H, C, W) for columns: the recursion then runs over contiguous slabs.
    steps = {
        axis: 1.0
        + sigma_space / sigma_range * guide[0].diff(dim=axis - 1).abs().sum(0).movedim(axis - 2, 0)
        for axis in (3, 2)
    }
    for index in range(passes):
        sigma = (
            sigma_space * math.sqrt(3.0) * 2.0 ** (passes - 1 - index) / math.sqrt(4.0**passes - 1)
        )
        base = -math.sqrt(2.0) / max(sigma, 1e-6)
        for axis in (3, 2):
            feedback = torch.exp(base * steps[axis]).contiguous()
            result = _recursive(result, feedback, axis)
    return result


def _recursive(image: Tensor, feedback: Tensor, axis: int) -> Tensor:
    """Forward then backward first-order recursion along ``axis`` with per-step feedback."""
    line = image[0].movedim(axis - 1, 0).contiguous().clone()  # (N, C, M)
    weights = feedback.unsqueeze(1).expand(-1, line.shape[1], -1).contiguous()
    slabs, gains = line.unbind(0), weights.unbind(0)
    for i in range(1, len(slabs)):
        slabs[i].lerp_(slabs[i - 1], gains[i - 1])
    for i in range(len(slabs) - 2, -1, -1):
        slabs[i].lerp_(slabs[i + 1], gains[i])
    return line.movedim(0, axis - 1).unsqueeze(0).contiguous()


def value_noise(
    height: int, width: int, period: float, generator: torch.Generator, octaves: int = 1
) -> Tensor:
    """Smooth noise in about [-1, 1], ``(1, 1, H, W)``: random lattices, interpolated, summed.

    The lattice has one extra node on each side, so a picture of another size shows the same
    noise as long as the period scales with it.

    Args:
        height: Of the result.
        width: Of the result.
        period: Distance of lattice nodes of the coarsest octave, in pixels.
        generator: Source of randomness, on the CPU.
        octaves: Each next one has half the period and half the height.
    """
    total = torch.zeros(1, 1, height, width)
    norm = 0.0
    for octave in range(octaves):
        step = max(period / 2**octave, 1.0)
        rows, columns = math.ceil(height / step) + 3, math.ceil(width / step) + 3
        lattice = torch.rand(1, 1, rows, columns, generator=generator) * 2.0 - 1.0
        y = (torch.arange(height) + 0.5) / step + 1.0
        x = (torch.arange(width) + 0.5) / step + 1.0
        amplitude = 0.5**octave
        total += amplitude * _sample_lattice(lattice, y, x)
        norm += amplitude**2
    return total / math.sqrt(norm)


def _sample_lattice(lattice: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Read a lattice at all pairs of ``y`` and ``x`` with a smooth separable interpolation."""

    def matrix(positions: Tensor, size: int) -> Tensor:
        low = positions.floor()
        t = positions - low
        t = t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
        rows = torch.arange(len(positions))
        result = torch.zeros(len(positions), size)
        result[rows, low.long()] = 1.0 - t
        result[rows, low.long() + 1] = t
        return result

    return matrix(y, lattice.shape[2]) @ lattice @ matrix(x, lattice.shape[3]).T
