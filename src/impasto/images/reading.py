"""Reading pictures: one way in, one kind of error out."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageCms

from impasto.errors import InputError
from impasto.images.files import Blob, fetch, shown
from impasto.images.model import FloatArray, Limits, Picture, Source
from impasto.images.modes import AnyArray, Planes, from_array, from_pillow
from impasto.images.quiet import calm

# What decoders raise on damaged files, seen over years of fuzzing them: not only OSError.
_FAULTS = (
    OSError,  # includes PIL.UnidentifiedImageError
    ValueError,
    SyntaxError,
    EOFError,
    NotImplementedError,
    RuntimeError,  # includes RecursionError
    ArithmeticError,  # division by zero, overflow
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    MemoryError,
    struct.error,
    zlib.error,
    ImageCms.PyCMSError,
    Image.DecompressionBombError,
)

DEFAULT_LIMITS = Limits()


def load(
    source: str | Path | bytes | BinaryIO | Image.Image | AnyArray,
    limits: Limits = DEFAULT_LIMITS,
) -> Picture:
    """Read a picture, upright and in sRGB.

    Args:
        source: A path, ``"-"`` for standard input, the bytes of a file, a binary stream, a
            Pillow image, or an array ``(H, W[, C])`` of uint8, uint16 or float in [0, 1].
        limits: What is refused before decoding.

    Returns:
        The picture; of an animation or a document of several pages, the first one.

    Raises:
        InputError: It cannot be used; one line says why.
    """
    if isinstance(source, np.ndarray):
        planes = from_array(source)
        digest = hashlib.sha256(np.ascontiguousarray(source).tobytes()).hexdigest()
        return _finish(planes, 1, Source("<array>", digest, "array", planes.mode))
    if isinstance(source, Image.Image):
        return _load_pillow(source, limits)
    blob = fetch(source, limits)
    digest = hashlib.sha256(blob.data).hexdigest()
    with _faults(blob.name):
        planes, orientation = _decode(blob, limits)
    return _finish(planes, orientation, Source(blob.name, digest, blob.format, planes.mode))


@contextmanager
def _faults(name: str) -> Iterator[None]:
    """Whatever a decoder raises becomes one :class:`InputError`."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{shown(name)}: {error.message}", hint=error.hint) from None
    except MemoryError:
        raise InputError(f"{shown(name)} needs more memory than there is to decode") from None
    except _FAULTS as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"{shown(name)} is damaged or not readable: {reason}") from error


def _decode(blob: Blob, limits: Limits) -> tuple[Planes, int]:
    with calm():
        image = Image.open(io.BytesIO(blob.data), formats=[blob.format])
    check_size(image.width, image.height, limits)
    with calm(native=blob.format == "TIFF"):
        image.load()
        orientation = _orientation(image)
    return from_pillow(image), orientation


def _load_pillow(image: Image.Image, limits: Limits) -> Picture:
    with _faults("<image>"):
        check_size(image.width, image.height, limits)
        image.load()
        planes, turned = from_pillow(image), _orientation(image)
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    return _finish(planes, turned, Source("<image>", digest, image.format or "image", image.mode))


def check_size(width: int, height: int, limits: Limits) -> None:
    """Refuse a picture whose header says that it is empty or too large.

    Raises:
        InputError: Names the limit that was passed, and the option that raises it.
    """
    if width < 1 or height < 1:
        raise InputError(f"the picture is empty ({width} x {height} pixels)")
    if max(width, height) > limits.max_edge:
        raise InputError(
            f"the picture is {width} x {height} pixels; the longest edge may be {limits.max_edge}",
            hint="make it smaller first",
        )
    if width * height > limits.max_pixels:
        raise InputError(
            f"the picture has {width * height} pixels ({width} x {height}); "
            f"at most {limits.max_pixels} are read",
            hint="--max-pixels raises the limit",
        )


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation that is still to be applied; 1 if there is none that makes sense."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _FAULTS:  # a broken EXIF block does not spoil the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def turn(array: FloatArray, orientation: int) -> FloatArray:
    """Upright form of an array stored with an EXIF orientation (Exif 2.32, tag 0x0112).

    Args:
        array: ``(H, W)`` or ``(H, W, C)``.
        orientation: 1 to 8.

    Returns:
        A contiguous array; height and width are exchanged for 5 to 8.
    """
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def _finish(planes: Planes, orientation: int, source: Source) -> Picture:
    rgb, alpha = turn(planes.rgb, orientation), planes.alpha
    if alpha is not None:
        alpha = turn(alpha, orientation) if alpha.min() < 1.0 else None
    notes = planes.notes
    if orientation != 1:
        notes = (*notes, f"turned by EXIF orientation {orientation}")
    for array in (rgb, alpha):
        if array is not None:
            array.flags.writeable = False
    full = Source(source.name, source.sha256, source.format, source.mode, notes)
    return Picture(rgb, alpha, full)
