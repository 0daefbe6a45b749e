"""Masks: read, split by colour, pair, normalise, soften. Arrays ``(H, W)`` float32 in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from impasto.errors import InputError, UsageError
from impasto.images.files import shown
from impasto.images.model import FloatArray, Limits, Picture
from impasto.images.modes import AnyArray
from impasto.images.reading import DEFAULT_LIMITS, load

MAX_REGIONS = 8

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_NEAR = 48.0  # levels of 255 between colours that lossy compression may have made of one
_EVEN = 16  # levels that the neighbours of a pixel inside a region may differ by
_LEAST_FLAT = 0.3  # share of pixels that must lie inside regions rather than on borders
_LEAST = 0.002  # share of those below which a colour is noise
_COLOURED = 0.01  # share of pixels with a hue above which a mask is one of colours
_STRAY = 0.05  # share of those that may lie far from all colours


@dataclass(frozen=True, eq=False)
class Region:
    """One colour of a painted mask.

    Attributes:
        colour: Red, green and blue, 0 to 255.
        mask: ``(H, W)`` float32, 1 inside and 0 outside.
        area: Share of the picture, in (0, 1].
    """

    colour: tuple[int, int, int]
    mask: FloatArray
    area: float


def load_mask(
    source: str | Path | bytes | BinaryIO | Image.Image | AnyArray,
    limits: Limits = DEFAULT_LIMITS,
    *,
    invert: bool = False,
) -> FloatArray:
    """A picture as one mask: its alpha if it has any, else its luma.

    Args:
        source: As for :func:`impasto.images.load`.
        limits: What is refused before decoding.
        invert: Exchange inside and outside.

    Returns:
        ``(H, W)`` float32 in [0, 1]; white or opaque is 1.

    Raises:
        InputError: The picture cannot be used.
    """
    mask = mask_of(load(source, limits))
    return np.ascontiguousarray(1.0 - mask if invert else mask, dtype=np.float32)


def mask_of(picture: Picture) -> FloatArray:
    """A decoded picture as a mask: its alpha if it has any, else its luma.

    Returns:
        ``(H, W)`` float32 in [0, 1]; white or opaque is 1.
    """
    mask = picture.alpha if picture.alpha is not None else picture.rgb @ _LUMA
    return np.ascontiguousarray(np.clip(mask, 0.0, 1.0), dtype=np.float32)


def is_coloured(picture: Picture) -> bool:
    """Whether a mask says something by its colours: more than a hundredth of it is not grey."""
    if picture.alpha is not None:
        return False
    spread = picture.rgb.max(axis=2) - picture.rgb.min(axis=2)
    return bool((spread > _NEAR / 255.0).mean() > _COLOURED)


def split_colours(picture: Picture, *, most: int = MAX_REGIONS) -> list[Region]:
    """The regions of a mask that was painted in plain colours, largest first.

    A picture of at most ``most`` distinct colours is split exactly. Otherwise (JPEG, softened
    edges) the most frequent colours of even places that are well apart are taken, and every
    pixel goes to the nearest of them.

    Args:
        picture: The mask.
        most: Most regions, 1 to 8.

    Returns:
        Regions that cover the picture without overlap; equal areas in the order of colours.

    Raises:
        InputError: The picture is not made of that few colours.
        ValueError: ``most`` is out of range.
    """
    if not 1 <= most <= MAX_REGIONS:
        raise ValueError(f"most must be within 1..{MAX_REGIONS}, got {most}")
    levels = np.floor(picture.rgb * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)
    codes = _codes(levels)
    colours = np.flatnonzero(np.bincount(codes.ravel(), minlength=1 << 24))
    palette = _unpack(colours) if len(colours) <= most else _palette(levels, codes, most)
    if palette is None:
        raise InputError(
            f"{shown(picture.source.name)} is not a mask of at most {most} plain colours",
            hint="paint each region in one colour and save as PNG",
        )
    table = np.zeros(1 << 24, np.uint8)
    table[colours] = _nearest(_unpack(colours), palette)[0]
    return _regions(table[codes], palette)


def _codes(levels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    r, g, b = (levels[:, :, i].astype(np.int32) for i in range(3))
    return np.asarray((r << 16) | (g << 8) | b)


def _unpack(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.stack([codes >> 16, (codes >> 8) & 255, codes & 255], axis=1).astype(np.float64)


def _palette(
    levels: npt.NDArray[np.uint8], codes: npt.NDArray[np.int32], most: int
) -> npt.NDArray[np.float64] | None:
    """The plain colours of a mask with noise or soft edges; ``None`` if it has none, or more.

    Only pixels whose neighbours are like them count: the rest are borders, where compression
    and smoothing make colours that are nobody's.
    """
    flat = _flat(levels)
    if flat.mean() < _LEAST_FLAT:
        return None
    counts = np.bincount(codes[flat], minlength=1 << 24)
    colours = np.flatnonzero(counts)
    counts = counts[colours]
    palette = _frequent(_unpack(colours), counts, most)
    _, distance = _nearest(_unpack(colours), palette)
    is_plain = counts[distance >= _NEAR].sum() <= _STRAY * counts.sum()
    return palette if is_plain else None


def _flat(levels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Pixels whose 3 x 3 neighbourhood spans few levels in every channel, ``(H, W)``."""
    low = high = np.pad(levels, ((1, 1), (1, 1), (0, 0)), mode="edge")
    for axis in (0, 1):
        shifts = [slice(k, k + levels.shape[axis]) for k in range(3)]
        cut = [(shift,) if axis == 0 else (slice(None), shift) for shift in shifts]
        low = np.minimum.reduce([low[c] for c in cut])
        high = np.maximum.reduce([high[c] for c in cut])
    return np.asarray((high - low).max(axis=2) <= _EVEN)


def _frequent(
    colours: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], most: int
) -> npt.NDArray[np.float64]:
    """Greedily the most frequent colours, each taking along all that lie near it."""
    # Frequency of a neighbourhood (cells of 16 levels), so that noise does not split the count.
    cells = (colours // 16).astype(np.int64) @ np.array([256, 16, 1])
    left = counts.astype(np.float64)
    picked: list[npt.NDArray[np.float64]] = []
    while len(picked) < most:
        cell = np.argmax(np.bincount(cells, weights=left, minlength=4096))
        colour = colours[np.argmax(np.where(cells == cell, left, -1.0))]
        near = np.linalg.norm(colours - colour, axis=1) < _NEAR
        if left[near].sum() < _LEAST * counts.sum():
            break
        picked.append(colour)
        left[near] = 0.0
    return np.array(picked)


def _nearest(
    colours: npt.NDArray[np.float64], palette: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Index of and distance to the nearest of the palette, for each colour."""
    distances = np.stack([np.linalg.norm(colours - colour, axis=1) for colour in palette])
    return distances.argmin(axis=0), distances.min(axis=0)


def _regions(labels: npt.NDArray[np.uint8], palette: npt.NDArray[np.float64]) -> list[Region]:
    regions = []
    for index, colour in enumerate(palette):
        inside = labels == index
        r, g, b = (int(value) for value in colour)
        if inside.any():
            regions.append(Region((r, g, b), inside.astype(np.float32), float(inside.mean())))
    return sorted(regions, key=lambda region: (-region.area, region.colour))


def pair_regions(
    content: Sequence[Region], style: Sequence[Region]
) -> list[tuple[FloatArray, FloatArray]]:
    """Regions of two painted masks that have the same colour, in the order of ``content``.

    Args:
        content: Regions of the photo's mask.
        style: Regions of the painting's mask.

    Returns:
        Pairs of masks, of the photo and of the painting.

    Raises:
        UsageError: A colour of the photo's mask is missing from the painting's.
    """
    pairs = []
    for region in content:
        other = min(style, key=lambda candidate: math.dist(candidate.colour, region.colour))
        if math.dist(other.colour, region.colour) >= _NEAR:
            known = ", ".join(_hex(candidate) for candidate in style)
            raise UsageError(
                f"the style mask has no region coloured {_hex(region)}", hint=f"it has {known}"
            )
        pairs.append((region.mask, other.mask))
    return pairs


def _hex(region: Region) -> str:
    return "#" + "".join(f"{value:02x}" for value in region.colour)


def normalise(masks: Sequence[FloatArray]) -> list[FloatArray]:
    """Several masks scaled at each pixel so that they sum to one.

    Args:
        masks: Arrays of one shape, not negative. They are not changed.

    Returns:
        New masks; where all are zero, every one gets an equal share.

    Raises:
        ValueError: No masks, different shapes, or values that are negative or not finite.
    """
    if not masks or any(mask.shape != masks[0].shape for mask in masks):
        raise ValueError("masks to normalise must have one shape")
    stack = np.stack(masks).astype(np.float64)  # (N, H, W)
    if not np.isfinite(stack).all() or stack.min() < 0.0:
        raise ValueError("masks must be finite and not negative")
    total = stack.sum(axis=0)
    covered = total > 0.0
    shares = np.where(covered, stack / np.where(covered, total, 1.0), 1.0 / len(masks))
    return [share.astype(np.float32) for share in shares]


def soften(mask: FloatArray, radius: float) -> FloatArray:
    """Blur the edges of a mask with a Gaussian.

    Args:
        mask: ``(H, W)`` in [0, 1].
        radius: Standard deviation in pixels; 0 leaves the mask as it is.

    Returns:
        A new mask in [0, 1]. The border is continued outwards, so a full mask stays full.

    Raises:
        ValueError: A radius that is negative or not finite.
    """
    if not (math.isfinite(radius) and radius >= 0.0):
        raise ValueError(f"radius must be at least 0, got {radius}")
    reach = math.ceil(4 * radius)
    if reach == 0:
        return mask.copy()
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius) ** 2)
    taps /= taps.sum()
    out = mask.astype(np.float64)
    for axis in (0, 1):
        out = _along(out, taps, axis)
    return np.clip(out, 0.0, 1.0).astype(np.float32)


def _along(
    values: npt.NDArray[np.float64], taps: npt.NDArray[np.float64], axis: int
) -> npt.NDArray[np.float64]:
    reach = len(taps) // 2
    width = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
    padded = np.moveaxis(np.pad(values, width, mode="edge"), axis, 0)
    n = values.shape[axis]
    out = np.zeros_like(padded[:n])
    for i, tap in enumerate(taps):
        out += tap * padded[i : i + n]
    return np.moveaxis(out, 0, axis)
