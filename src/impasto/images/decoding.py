"""From the bytes of a file to values, by whichever decoder keeps most of them."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms

from impasto.errors import InputError
from impasto.images import heif, icc, png16, tiff16
from impasto.images.files import Blob
from impasto.images.model import Limits
from impasto.images.modes import Planes, from_pillow, split, unit
from impasto.images.quiet import calm
from impasto.images.tiff import Tag

# Counting the frames of a GIF means walking through all of them.
_COUNTED_BYTES = 4_000_000
_MAX_PAGES = 1000


@dataclass(frozen=True)
class Decoded:
    """Values of a picture, and the EXIF orientation that is still to be applied to them."""

    planes: Planes
    orientation: int = 1


def decode(blob: Blob, limits: Limits) -> Decoded:
    """Decode the first frame of a file, converted to sRGB.

    Raises:
        InputError: The header is over a limit, or a package is missing.
        Exception: Whatever decoders raise on damaged files.
    """
    if blob.format == "HEIF":
        planes, profile, size = heif.read(blob.data, limits)
        check_size(*size, limits)
        return Decoded(_managed(planes, profile, limits))
    is_tiff = blob.format == "TIFF"
    with calm(native=is_tiff):
        image = Image.open(io.BytesIO(blob.data), formats=[blob.format])
    with image:
        check_size(image.width, image.height, limits)
        if png16.wants(blob.data):
            decoded = _png16(image, blob.data, limits)
        elif is_tiff:
            with calm(native=True):
                decoded = _tiff(image, blob.data, limits)
        else:
            decoded = decode_pillow(image, limits)
        return _with_frames(decoded, image, blob)


def check_size(width: int, height: int, limits: Limits) -> None:
    """Refuse a picture whose header says that it is empty or too large.

    Raises:
        InputError: Names the limit that was passed, and the option that raises it.
    """
    if width < 1 or height < 1:
        raise InputError(f"the picture is empty ({width} x {height} pixels)")
    if max(width, height) > limits.max_edge:
        raise InputError(
            f"the picture is {width} x {height} pixels; an edge may have {limits.max_edge}",
            hint="make it smaller first",
        )
    if width * height > limits.max_pixels:
        raise InputError(
            f"the picture has {width * height} pixels ({width} x {height}); "
            f"at most {limits.max_pixels} are read",
            hint="--max-pixels raises the limit",
        )


def decode_pillow(image: Image.Image, limits: Limits) -> Decoded:
    """Values of an image that Pillow has opened, of any mode.

    Raises:
        InputError: It is over a limit.
        Exception: Whatever Pillow raises on damaged files.
    """
    check_size(image.width, image.height, limits)
    # Pillow turns a TIFF when it loads it: its own tag goes into the note, the rest is to be done.
    stored = _sane(getattr(image, "tag_v2", {}).get(Tag.ORIENTATION, 1))
    image.load()
    left = _orientation(image)
    with calm():
        planes = _deepened(from_pillow(image), image)
    planes = _managed(planes, image.info.get("icc_profile", b""), limits, image)
    return _turned(planes, stored if stored != 1 else left, left)


def _turned(planes: Planes, stored: int, left: int) -> Decoded:
    if stored == 1:
        return Decoded(planes)
    note = f"turned by EXIF orientation {stored}"
    return Decoded(replace(planes, notes=(*planes.notes, note)), left)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 if there is none that makes sense."""
    try:
        with calm():
            return _sane(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # readers of EXIF raise nearly anything; a broken block spoils no pixels
        return 1


def _sane(orientation: object) -> int:
    good = isinstance(orientation, int) and 1 <= orientation <= 8
    return int(orientation) if good and isinstance(orientation, int) else 1


def _png16(image: Image.Image, data: bytes, limits: Limits) -> Decoded:
    samples, block = png16.read(data)
    planes = _managed(_sixteen(samples), image.info.get("icc_profile", b""), limits)
    exif = Image.Exif()
    try:
        with calm():
            exif.load(block)
            stored = _sane(exif.get(ExifTags.Base.Orientation, 1))
    except Exception:  # as in _orientation
        stored = 1
    return _turned(planes, stored, stored)


def _tiff(image: Image.Image, data: bytes, limits: Limits) -> Decoded:
    if not tiff16.wants(image):
        return decode_pillow(image, limits)
    stored = _sane(getattr(image, "tag_v2", {}).get(Tag.ORIENTATION, 1))
    planes = _sixteen(tiff16.read(image, data))
    return _turned(_managed(planes, image.info.get("icc_profile", b""), limits), stored, stored)


def _sixteen(samples: npt.NDArray[np.uint16]) -> Planes:
    mode = {2: "LA;16", 3: "RGB;16", 4: "RGBA;16"}[samples.shape[2]]
    return Planes(*split(unit(samples)), mode=mode)


def _deepened(planes: Planes, image: Image.Image) -> Planes:
    """What Pillow leaves to its caller in TIFFs of more than 8 bits."""
    tags: dict[int, Any] = getattr(image, "tag_v2", {})
    depth = tags.get(Tag.BITS, (8,))[0]
    if image.mode.startswith("I;16"):
        rgb = planes.rgb * np.float32(65535 / 4095) if depth == 12 else planes.rgb
        rgb = np.float32(1.0) - rgb if tags.get(Tag.PHOTOMETRIC) == 0 else rgb
        return replace(planes, rgb=rgb)
    if depth == 16 and image.mode not in ("I", "F"):
        return replace(planes, notes=(*planes.notes, "16 bits per channel read as 8"))
    return planes


def _managed(
    planes: Planes, profile: object, limits: Limits, image: Image.Image | None = None
) -> Planes:
    """Values converted to sRGB by the profile of the file; one that is broken is left out."""
    if not isinstance(profile, bytes) or not profile or planes.mode == "LAB":
        return planes
    if len(profile) > limits.profile_bytes:
        note = f"colour profile of {len(profile)} bytes ignored"
        return replace(planes, notes=(*planes.notes, note))
    try:
        if planes.mode == "CMYK" and image is not None:
            rgb = unit(np.asarray(icc.cmyk_to_srgb(image, profile)))
        else:
            converted = icc.to_srgb(planes.rgb, profile)
            if converted is None:
                return planes
            rgb = converted
    except (ValueError, OSError, ArithmeticError, np.linalg.LinAlgError, ImageCms.PyCMSError):
        return replace(planes, notes=(*planes.notes, "broken colour profile ignored"))
    note = f"converted from the colour profile {icc.name(profile)}"
    return replace(planes, rgb=rgb, notes=(*planes.notes, note))


def _with_frames(decoded: Decoded, image: Image.Image, blob: Blob) -> Decoded:
    """A note if there is more in the file than the frame that was read."""
    if blob.format == "TIFF":
        count, what = _pages(blob.data), "pages"
    else:
        count, what = _frames(image, blob), "frames"
    if count == 1:
        return decoded
    amount = str(count) if count > 1 else "many"
    note = f"animated: first of {amount} {what}" if what == "frames" else f"first of {amount} pages"
    planes = replace(decoded.planes, notes=(*decoded.planes.notes, note))
    return replace(decoded, planes=planes)


def _frames(image: Image.Image, blob: Blob) -> int:
    """Number of frames; 0 for several that were not counted."""
    try:
        with calm():
            if blob.format == "GIF" and len(blob.data) > _COUNTED_BYTES:
                return 0 if getattr(image, "is_animated", False) else 1
            return max(1, int(getattr(image, "n_frames", 1)))
    except Exception:  # files whose first frame is sound may still fail here, in many ways
        return 1


def _pages(data: bytes) -> int:
    """Number of image file directories of a TIFF; 0 for more than a thousand, or a loop."""
    order: Any = "little" if data[:2] == b"II" else "big"
    big = int.from_bytes(data[2:4], order) == 43
    number, entry, word = (8, 20, 8) if big else (2, 12, 4)
    at = int.from_bytes(data[8:16] if big else data[4:8], order)
    for page in range(_MAX_PAGES):
        if at == 0 or at + number > len(data):
            return max(1, page)
        entries = int.from_bytes(data[at : at + number], order)
        end = at + number + entry * entries
        at = int.from_bytes(data[end : end + word], order)
    return 0
