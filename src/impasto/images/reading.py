"""Reading pictures: one way in, one kind of error out."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from impasto.errors import InputError
from impasto.images.decoding import Decoded, decode, decode_pillow
from impasto.images.files import fetch, shown
from impasto.images.kept import kept
from impasto.images.model import FloatArray, Limits, Picture, Source
from impasto.images.modes import AnyArray, from_array

# What decoders raise on damaged files: far more than OSError. A list and not ``Exception``, so
# that an interrupt of ours inside a decoder is never taken for a damaged file.
_FAULTS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    RuntimeError,  # includes RecursionError and NotImplementedError
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
        return _finish(Decoded(planes), Source("<array>", digest, "array", planes.mode))
    if isinstance(source, Image.Image):
        with _faults("<image>"):
            decoded = decode_pillow(source, limits)
            digest = hashlib.sha256(source.tobytes()).hexdigest()
        kind = source.format or "image"
        return _finish(decoded, Source("<image>", digest, kind, decoded.planes.mode))
    blob = fetch(source, limits)
    with _faults(blob.name):
        decoded = decode(blob, limits)
    digest = hashlib.sha256(blob.data).hexdigest()
    found = Source(blob.name, digest, blob.format, decoded.planes.mode, kept=kept(blob, limits))
    return _finish(decoded, found)


@contextmanager
def _faults(name: str) -> Iterator[None]:
    """Whatever a decoder raises becomes one :class:`InputError`."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{shown(name)}: {error.message}", hint=error.hint) from None
    except MemoryError as error:
        raise InputError(f"{shown(name)} needs more memory to decode than there is") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{shown(name)} is damaged, or of a kind that is not supported") from error
    except _FAULTS as error:
        reason = shown(" ".join(str(error).split()))[:120] or type(error).__name__
        raise InputError(f"{shown(name)} is damaged or not supported: {reason}") from error


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


def _finish(decoded: Decoded, source: Source) -> Picture:
    planes = decoded.planes
    rgb, alpha = turn(planes.rgb, decoded.orientation), planes.alpha
    if alpha is not None:
        alpha = turn(alpha, decoded.orientation) if alpha.min() < 1.0 else None
    for array in (rgb, alpha):
        if array is not None:
            array.flags.writeable = False
    return Picture(rgb, alpha, replace(source, notes=planes.notes))
