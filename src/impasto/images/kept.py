"""What of a photo's file may go with its result: who made it, and the space of its colours.

Nothing else does: no place, no time, no camera. Both are read when a picture is, and written only
where :func:`impasto.images.save` is told to.
"""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms

from impasto.images import icc
from impasto.images.files import Blob
from impasto.images.model import Kept, Limits
from impasto.images.quiet import calm
from impasto.images.srgb import srgb_profile

#: Most characters of a notice that are kept.
LONGEST = 1000


def kept(blob: Blob, limits: Limits) -> Kept:
    """What can be kept of a file; empty where it says nothing that can be read.

    HEIF files are not looked into.

    Args:
        blob: The file.
        limits: The largest profile that is used.
    """
    if blob.format == "HEIF":
        return Kept()
    try:
        with (
            calm(native=blob.format == "TIFF"),
            Image.open(io.BytesIO(blob.data), formats=[blob.format]) as image,
        ):
            exif, profile = image.getexif(), image.info.get("icc_profile") or b""
            artist = _text(exif.get(ExifTags.Base.Artist))
            notice = _text(exif.get(ExifTags.Base.Copyright))
    except Exception:  # damaged blocks raise nearly anything, and take nothing from the pixels
        return Kept()
    return Kept(artist, notice, _usable(profile, limits))


def _text(value: object) -> str:
    """One line of it, printable."""
    text = value if isinstance(value, str) else ""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:LONGEST]


def _usable(profile: bytes, limits: Limits) -> bytes:
    """``profile`` if it is one of RGB colours that values can be converted to, or ``b""``."""
    try:
        if len(profile) <= limits.profile_bytes and icc.space(profile) == "RGB":
            into_profile(np.zeros((1, 1, 3), np.uint8), profile)
            return profile
    except ValueError:
        return b""
    return b""


def into_profile(levels: npt.NDArray[np.uint8], profile: bytes) -> npt.NDArray[np.uint8]:
    """SRGB values as those of another profile that show the same colours.

    Args:
        levels: ``(H, W, 3)``.
        profile: Of RGB colours.

    Raises:
        ValueError: It cannot be converted to.
    """
    try:
        source, target = (
            ImageCms.ImageCmsProfile(io.BytesIO(p)) for p in (srgb_profile(), profile)
        )
        made = ImageCms.profileToProfile(
            Image.fromarray(levels),
            source,
            target,
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError, TypeError) as error:
        raise ValueError(f"the colour profile cannot be used: {error}") from error
    if made is None:  # Pillow's signature allows it for conversion in place
        raise ValueError("the colour profile cannot be used")
    return np.asarray(made)


def notices(exif: Image.Exif, what: Kept) -> Image.Exif:
    """``exif`` with artist and copyright, where there are any."""
    for tag, text in ((ExifTags.Base.Artist, what.artist), (ExifTags.Base.Copyright, what.notice)):
        if text:
            exif[tag] = text
    return exif
