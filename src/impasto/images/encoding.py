"""Pictures as the bytes of a file, in memory."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from impasto.errors import ImpastoError, UsageError
from impasto.images import metadata as meta
from impasto.images import png, tiff
from impasto.images.kept import into_profile, notices
from impasto.images.model import Kept
from impasto.images.srgb import srgb_profile

Floats = npt.NDArray[np.floating[Any]]
Levels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_LONGEST = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 65_536, "PNG": 2**31 - 1, "TIFF": 2**31 - 1}
_ROWS = 64  # quantised at a time: the work is done in float64
_DEEP = ("PNG", "TIFF")


@dataclass(frozen=True)
class Encoding:
    """How to write.

    Attributes:
        format: ``"PNG"``, ``"JPEG"``, ``"WEBP"``, ``"AVIF"`` or ``"TIFF"``.
        quality: 1 to 100, for the lossy ones.
        bits: 8, or 16 for PNG and TIFF.
        keep: What goes with the picture; its profile with 8 bits only.
    """

    format: str
    quality: int = 95
    bits: int = 8
    keep: Kept = field(default_factory=Kept)

    @property
    def profile(self) -> bytes:
        """The profile of the values that are written."""
        return self.keep.profile if self.keep.profile and self.bits == 8 else srgb_profile()

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise UsageError(f"quality must be within 1..100, got {self.quality}")
        if self.bits not in (8, 16) or (self.bits == 16 and self.format not in _DEEP):
            allowed = "8 or 16" if self.format in _DEEP else "8"
            raise UsageError(f"{self.format} holds {allowed} bits per channel, not {self.bits}")


@dataclass(frozen=True)
class Encoded:
    """The bytes of a file.

    Attributes:
        data: All of it.
        holds_metadata: The settings are inside; otherwise they belong beside it.
        notes: What the format could not keep.
    """

    data: bytes
    holds_metadata: bool
    notes: tuple[str, ...] = ()


def quantise(values: Floats, bits: int) -> Levels:
    """Floats as integers: clamp to [0, 1], scale to full range, round half up.

    Raises:
        ImpastoError: A value is not finite.
    """
    if not np.isfinite(values).all():
        raise ImpastoError("the picture holds values that are not finite; it is not saved")
    out = np.empty(values.shape, np.uint8 if bits == 8 else np.uint16)
    top = 2**bits - 1
    for start in range(0, len(values), _ROWS):
        part = values[start : start + _ROWS].astype(np.float64)
        out[start : start + _ROWS] = np.floor(np.clip(part, 0.0, 1.0) * top + 0.5)
    return out


def encode(
    rgb: Floats, alpha: Floats | None, metadata: dict[str, Any] | None, how: Encoding
) -> Encoded:
    """A picture as the bytes of a file, with an sRGB profile or the one that is kept.

    Args:
        rgb: ``(H, W, 3)`` in [0, 1].
        alpha: ``(H, W)`` in [0, 1] or ``None``.
        metadata: Settings, or ``None``.
        how: Format and quality.

    Raises:
        UsageError: The format cannot hold a picture of that size.
        ImpastoError: A value is not finite.
        ValueError: The shapes are not those of a picture.
    """
    _check_shapes(rgb, alpha, how.format)
    notes: tuple[str, ...] = ()
    if alpha is not None and how.format == "JPEG":
        rgb, alpha, notes = over_white(rgb, alpha), None, ("alpha laid on white: JPEG has none",)
    stack = rgb if alpha is None else np.concatenate([rgb, alpha[:, :, None]], axis=2)
    levels = quantise(stack, how.bits)
    if how.keep.profile and levels.dtype == np.uint8:
        colours = np.ascontiguousarray(levels[..., :3].astype(np.uint8))
        levels[..., :3] = into_profile(colours, how.keep.profile)
    text = None if metadata is None else meta.to_text(metadata)
    if how.format == "PNG":
        return Encoded(_png(levels, text, how), True)
    if how.format == "TIFF":
        keep = how.keep
        data = tiff.write(levels, profile=how.profile, artist=keep.artist, notice=keep.notice)
        return Encoded(data, False)
    return _lossy(levels, text, how, notes)


def over_white(rgb: Floats, alpha: Floats) -> Floats:
    """``rgb`` composited on white, in sRGB values, as browsers do."""
    a = np.clip(alpha, 0.0, 1.0)[:, :, None]
    return np.asarray(rgb * a + (1.0 - a))


def _check_shapes(rgb: Floats, alpha: Floats | None, kind: str) -> None:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise ValueError(f"expected colours (H, W, 3), got {rgb.shape}")
    if alpha is not None and alpha.shape != rgb.shape[:2]:
        raise ValueError(f"alpha {alpha.shape} does not fit colours {rgb.shape}")
    if max(rgb.shape[:2]) > _LONGEST[kind]:
        raise UsageError(
            f"{kind} holds at most {_LONGEST[kind]} pixels along an edge, not {max(rgb.shape[:2])}",
            hint="use .png",
        )


def _png(levels: Levels, text: str | None, how: Encoding) -> bytes:
    if levels.dtype == np.uint16:
        pair = None if text is None else (meta.KEYWORD, text)
        return png.write16(levels.astype(np.uint16), profile=srgb_profile(), text=pair)
    info = PngImagePlugin.PngInfo()
    if text is not None:
        info.add_itxt(meta.KEYWORD, text)
    stream = io.BytesIO()
    image = Image.fromarray(levels)
    options: dict[str, Any] = {"pnginfo": info, "icc_profile": how.profile}
    if how.keep.artist or how.keep.notice:
        options["exif"] = notices(Image.Exif(), how.keep)
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def _lossy(levels: Levels, text: str | None, how: Encoding, notes: tuple[str, ...]) -> Encoded:
    fits = text is not None and how.format != "AVIF" and len(text) <= meta.EXIF_LIMIT
    options: dict[str, Any] = {"quality": how.quality, "icc_profile": how.profile}
    if how.format in ("JPEG", "AVIF"):
        options["subsampling"] = "4:4:4"
    if how.format == "WEBP":
        options |= {"exact": True, "alpha_quality": 100}
    if fits or how.keep.artist or how.keep.notice:
        exif = meta.exif_block(text) if fits and text is not None else Image.Exif()
        options["exif"] = notices(exif, how.keep).tobytes()
    stream = io.BytesIO()
    Image.fromarray(levels).save(stream, how.format, **options)
    return Encoded(stream.getvalue(), text is None or fits, notes)
