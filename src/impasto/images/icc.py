"""Colour profiles: from whatever a file says its values mean to sRGB.

Profiles of three primaries and curves (cameras, displays, Adobe RGB, ProPhoto, Display P3) are
evaluated here in floating point, because Pillow's colour management works on 8 bits. Tables,
CMYK and Lab go through it. Section numbers are those of ICC.1:2010.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from impasto.images.model import FloatArray
from impasto.images.srgb import PRIMARIES, srgb_profile

F64 = npt.NDArray[np.float64]
Curve = Callable[[F64], F64]

_ROWS = 256  # converted at a time: the work is done in float64
_SRGB: F64 = np.array([*PRIMARIES.values()]).T
_SAME = 0.5 / 255  # a profile that changes no value by more is sRGB under another name


@dataclass(frozen=True)
class MatrixProfile:
    """Device values to the profile connection space: a curve per channel, then a matrix.

    Attributes:
        matrix: ``(3, 3)``, linear device values to XYZ relative to D50.
        curves: Three functions from [0, 1] to [0, 1].
    """

    matrix: F64
    curves: tuple[Curve, Curve, Curve]


def space(profile: bytes) -> str:
    """The colour space of the values that a profile describes: ``"RGB"``, ``"CMYK"``, ``"GRAY"``.

    Raises:
        ValueError: This is no profile.
    """
    if len(profile) < 132 or profile[36:40] != b"acsp":
        raise ValueError("not a colour profile")
    return profile[16:20].decode("latin-1").strip()


def name(profile: bytes) -> str:
    """The description inside a profile, or ``"unnamed"``."""
    try:
        text = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return "unnamed"
    return "".join(c for c in text.strip() if c.isprintable())[:60] or "unnamed"


def to_srgb(rgb: FloatArray, profile: bytes) -> FloatArray | None:
    """Values of an RGB or grey profile as sRGB, out-of-gamut colours clipped.

    Args:
        rgb: ``(H, W, 3)`` in [0, 1]; three equal channels for a grey profile.
        profile: Bytes of the profile.

    Returns:
        A new array, or ``None`` if the profile is sRGB in all but name.

    Raises:
        ValueError: The profile is broken or of another colour space.
        FloatingPointError: Its curves are broken.
    """
    kind = space(profile)
    if kind not in ("RGB", "GRAY"):
        raise ValueError(f"a {kind} profile on RGB values")
    parsed = parse(profile)
    if parsed is None:
        return _by_table(rgb, profile)
    probe = _probe(grey=kind == "GRAY")
    # A damaged profile may hold exponents that overflow: an error, which leaves the profile out.
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        if np.abs(_convert(probe, parsed) - probe).max() < _SAME:
            return None
        out = np.empty_like(rgb)
        for top in range(0, len(rgb), _ROWS):
            out[top : top + _ROWS] = _convert(rgb[top : top + _ROWS].astype(np.float64), parsed)
    return out


def cmyk_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """A CMYK image as sRGB through its own profile.

    Raises:
        ValueError: The profile is broken or of another colour space.
        ImageCms.PyCMSError: The conversion failed.
    """
    if space(profile) != "CMYK":
        raise ValueError(f"a {space(profile)} profile on CMYK values")
    return _through_cms(image, profile)


def _through_cms(image: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    target = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
    converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    if converted is None:  # Pillow's signature allows it for conversion in place
        raise ValueError("the conversion gave nothing")
    return converted


def _by_table(rgb: FloatArray, profile: bytes) -> FloatArray:
    levels = np.floor(rgb * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)
    grey = space(profile) == "GRAY"
    image = Image.fromarray(np.ascontiguousarray(levels[:, :, 0]) if grey else levels)
    return np.asarray(_through_cms(image, profile)).astype(np.float32) / np.float32(255.0)


def _probe(*, grey: bool) -> F64:
    """Values ``(1, N, 3)`` on which a profile is compared with sRGB."""
    steps = np.linspace(0.0, 1.0, 52)
    greys = np.repeat(steps[:, None], 3, axis=1)
    corners = np.stack(np.meshgrid(*[[0.0, 0.5, 1.0]] * 3), axis=-1).reshape(-1, 3)
    return (greys if grey else np.concatenate([greys, corners]))[None]


def _convert(values: F64, profile: MatrixProfile) -> F64:
    linear = np.stack([curve(values[..., i]) for i, curve in enumerate(profile.curves)], axis=-1)
    linear = linear @ (np.linalg.inv(_SRGB) @ profile.matrix).T
    linear = np.clip(linear, 0.0, 1.0)
    bright = 1.055 * np.power(np.maximum(linear, 0.0031308), 1 / 2.4) - 0.055
    return np.asarray(np.where(linear <= 0.0031308, 12.92 * linear, bright))


def parse(profile: bytes) -> MatrixProfile | None:
    """The matrix and curves of a profile.

    Returns:
        ``None`` if the profile works by tables or in another connection space.

    Raises:
        ValueError: It is broken.
    """
    try:
        tags = _tags(profile)
        if b"A2B0" in tags or profile[20:24] != b"XYZ ":
            return None
        if space(profile) == "GRAY":
            curve = _curve(tags[b"kTRC"])
            # Three equal channels: their mean, at the white of sRGB.
            return MatrixProfile(_SRGB @ np.full((3, 3), 1 / 3), (curve, curve, curve))
        matrix = np.stack([_xyz(tags[c + b"XYZ"]) for c in (b"r", b"g", b"b")], axis=1)
        red, green, blue = (_curve(tags[c + b"TRC"]) for c in (b"r", b"g", b"b"))
    except (KeyError, struct.error, IndexError) as error:
        raise ValueError(f"broken colour profile: {error!r}") from error
    return MatrixProfile(matrix, (red, green, blue))


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > 256:
        raise ValueError(f"broken colour profile: {count} tags")
    entries = [struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(count)]
    return {key: profile[at : at + size] for key, at, size in entries}


def _xyz(data: bytes) -> F64:
    if data[:4] != b"XYZ ":
        raise ValueError("broken colour profile: no primaries")
    return np.array(struct.unpack_from(">3i", data, 8), np.float64) / 65536


def _curve(data: bytes) -> Curve:
    """A tone curve: sampled (10.5) or parametric (10.15)."""
    if data[:4] == b"para":
        return _parametric(data)
    if data[:4] != b"curv":
        raise ValueError("broken colour profile: no curve")
    (count,) = struct.unpack_from(">I", data, 8)
    if count == 0:
        return lambda v: v
    table = np.frombuffer(data, ">u2", count, 12).astype(np.float64)
    if count == 1:
        gamma = float(table[0]) / 256
        return lambda v: np.power(v, gamma)
    places = np.linspace(0.0, 1.0, count)
    return lambda v: np.interp(v, places, table / 65535)


def _parametric(data: bytes) -> Curve:
    (kind,) = struct.unpack_from(">H", data, 8)
    counts = (1, 3, 4, 5, 7)
    if kind >= len(counts):
        raise ValueError(f"broken colour profile: curve of type {kind}")
    p = [value / 65536 for value in struct.unpack_from(f">{counts[kind]}i", data, 12)]
    g = p[0]
    a, b = (p[1], p[2]) if kind else (1.0, 0.0)
    if kind in (1, 2) and a == 0.0:
        raise ValueError("broken colour profile: curve without slope")
    # Each type is y = (a x + b)^g + e above d and c x + f below it, with some of these fixed.
    offset = p[3] if kind == 2 else (p[5] if kind == 4 else 0.0)
    slope = p[3] if kind >= 3 else 0.0
    knee = p[4] if kind >= 3 else (-b / a if kind else -1.0)
    floor = p[6] if kind == 4 else offset if kind == 2 else 0.0

    def curve(v: F64) -> F64:
        power = np.power(np.maximum(a * v + b, 0.0), g) + offset
        return np.asarray(np.clip(np.where(v >= knee, power, slope * v + floor), 0.0, 1.0))

    return curve
