"""Values of any of Pillow's pixel modes, or of an array, as float sRGB and alpha."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from impasto.errors import InputError
from impasto.images.model import FloatArray

AnyArray = npt.NDArray[np.generic]

_SIXTEEN = ("I;16", "I;16B", "I;16L", "I;16N")
_WITH_ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")


@dataclass(frozen=True)
class Planes:
    """Decoded values before turning: the common form of all decoders of this room.

    Attributes:
        rgb: ``(H, W, 3)`` float32 in [0, 1].
        alpha: ``(H, W)`` float32 in [0, 1], or ``None``.
        mode: Pixel mode of the file.
        notes: What was done.
    """

    rgb: FloatArray
    alpha: FloatArray | None
    mode: str
    notes: tuple[str, ...] = ()


def grey_to_rgb(grey: FloatArray) -> FloatArray:
    """``(H, W)`` to ``(H, W, 3)``."""
    return np.repeat(grey[:, :, None], 3, axis=2)


def unit(values: AnyArray) -> FloatArray:
    """Integers of 8 or 16 bits, or booleans, as float32 in [0, 1] (full scale is 1)."""
    if values.dtype == np.bool_:
        return values.astype(np.float32)
    top = np.float32(2 ** (8 * values.dtype.itemsize) - 1)
    return values.astype(np.float32) / top


def from_pillow(image: Image.Image) -> Planes:
    """The values of a loaded Pillow image, without regard to its profile.

    Args:
        image: Any mode; 16-bit colour is decoded elsewhere (see :mod:`impasto.images.png16`).

    Returns:
        Values, alpha if the mode or the palette has one, and notes.
    """
    mode = image.mode
    if mode in _SIXTEEN or mode in ("I", "F"):
        return _from_scalar(image)
    if mode in _WITH_ALPHA or "transparency" in image.info:
        rgba = unit(np.asarray(image.convert("RGBA")))
        return Planes(np.ascontiguousarray(rgba[:, :, :3]), rgba[:, :, 3].copy(), mode)
    if mode == "LAB":
        return Planes(unit(np.asarray(_lab_to_rgb(image))), None, mode, ("converted from Lab",))
    rgb = image if mode == "RGB" else image.convert("RGB")
    notes = (f"converted from {mode}",) if mode in ("CMYK", "YCbCr", "HSV") else ()
    return Planes(unit(np.asarray(rgb)), None, mode, notes)


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    lab = ImageCms.createProfile("LAB")
    srgb = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    if converted is None:  # only with inPlace=True, says Pillow
        raise InputError("the Lab picture could not be converted")
    return converted


def _from_scalar(image: Image.Image) -> Planes:
    """Grey of 16 bits, 32 bits or floating point."""
    values = np.asarray(image)
    key = image.info.get("transparency") if image.mode in _SIXTEEN else None
    if image.mode in _SIXTEEN:
        alpha = (values != key).astype(np.float32) if isinstance(key, int) else None
        return Planes(grey_to_rgb(unit(values)), alpha, image.mode)
    grey, notes = stretch(values.astype(np.float64), whole=image.mode == "I")
    return Planes(grey_to_rgb(grey), None, image.mode, notes)


def stretch(values: npt.NDArray[np.float64], *, whole: bool) -> tuple[FloatArray, tuple[str, ...]]:
    """Values of unknown scale to [0, 1].

    Args:
        values: Any shape.
        whole: The values are integers.

    Returns:
        Integers within 0..65535 divided by 65535; real numbers within [0, 1] as they are;
        anything else stretched from its least to its greatest value, with a note.
    """
    finite = np.isfinite(values)
    notes: tuple[str, ...] = () if finite.all() else ("values that are not finite set to 0",)
    values = np.where(finite, values, 0.0)
    low, high = float(values.min()), float(values.max())
    top = 65535.0 if whole else 1.0
    if low >= 0.0 and high <= top:
        return (values / top).astype(np.float32), notes
    span = (high / 2 - low / 2) * 2 if high > low else 1.0
    scaled = (values / 2 - low / 2) / (span / 2) if np.isfinite(span) else values * 0.0
    note = f"values from {low:.6g} to {high:.6g} stretched to 0..1"
    return np.clip(scaled, 0.0, 1.0).astype(np.float32), (*notes, note)


def from_array(array: AnyArray) -> Planes:
    """An array as a picture.

    Args:
        array: ``(H, W)``, or ``(H, W, C)`` with C of 1 (grey), 2 (grey, alpha), 3 or 4; bool,
            uint8, uint16, or floating point in [0, 1].

    Raises:
        InputError: Another shape or type, an empty array, or real numbers out of [0, 1].
    """
    cube = array[:, :, None] if array.ndim == 2 else array
    if cube.ndim != 3 or cube.shape[2] not in (1, 2, 3, 4) or 0 in cube.shape:
        raise InputError(f"an array of shape {array.shape} is not a picture", hint=_ARRAY_HINT)
    if np.issubdtype(cube.dtype, np.floating):
        if not (np.isfinite(cube).all() and cube.min() >= 0.0 and cube.max() <= 1.0):
            raise InputError("the array holds values outside 0..1", hint=_ARRAY_HINT)
        values: FloatArray = cube.astype(np.float32)
    elif cube.dtype in (np.bool_, np.uint8, np.uint16):
        values = unit(cube)
    else:
        raise InputError(f"an array of {cube.dtype} is not a picture", hint=_ARRAY_HINT)
    return Planes(*split(values), mode=f"{array.dtype}")


_ARRAY_HINT = "give (H, W), (H, W, 3) or (H, W, 4) of uint8, uint16, or float in 0..1"


def split(values: FloatArray) -> tuple[FloatArray, FloatArray | None]:
    """``(H, W, C)``, C of 1 to 4, as ``(H, W, 3)`` and alpha ``(H, W)`` or ``None``."""
    channels = values.shape[2]
    alpha = values[:, :, -1].copy() if channels in (2, 4) else None
    if channels <= 2:
        return grey_to_rgb(values[:, :, 0]), alpha
    return np.array(values[:, :, :3], order="C", copy=True), alpha
