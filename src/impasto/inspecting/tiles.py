"""What is shown of a photo for a unit: the crop that excites it, and what in it does."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from impasto.backbones import Backbone
from impasto.inspecting.backprop import Unit, project
from impasto.inspecting.boxes import Box, seen_box
from impasto.inspecting.signals import signal_image

FloatArray = npt.NDArray[np.float32]

#: Longest sides of crops, of atlas pictures and of whole photos in a page, px.
CROP, PHOTO = 128, 288
#: Crops up to this size are kept without loss, so that their pixels can be seen.
TINY = 24
#: What is tried until a picture is small enough: share of its size, quality.
STEPS = ((1.0, 80), (1.0, 60), (0.75, 60), (0.75, 40), (0.5, 40), (0.35, 30), (0.2, 20), (0.1, 10))


@dataclass(frozen=True)
class Tile:
    """A photo's place beside a unit.

    Attributes:
        photo: Its number in the survey; -1 is the picture that is inspected.
        value: The activation.
        box: What the position sees, in pixels of the photo's file, turned upright.
        size: Height and width of the photo.
        crop: That part of the photo, a WebP file.
        signal: What in it excites the unit, likewise; empty if that was not computed.
    """

    photo: int
    value: float
    box: Box
    size: tuple[int, int]
    crop: bytes
    signal: bytes = b""


def cut(image: FloatArray, box: Box) -> FloatArray:
    """The part of a picture (H, W, 3) in ``box``."""
    return image[box.top : box.bottom, box.left : box.right]


def signal_in(
    backbone: Backbone, image: Tensor, unit: Unit, place: tuple[int, int], rule: str
) -> FloatArray:
    """What in its receptive field excites one position, as a picture of that field.

    Only a window around the field is computed where that changes nothing: where the layer's
    positions are evenly spaced, it begins at a multiple of the stride.

    Args:
        backbone: The network.
        image: (1, 3, H, W), the whole photo.
        unit: Which unit.
        place: Row and column of the position.
        rule: Of :data:`impasto.inspecting.backprop.RULES`.

    Returns:
        (h, w, 3) in [0, 1], the size of the receptive field, clipped to the photo.
    """
    size = (image.shape[-2], image.shape[-1])
    box = seen_box(backbone, unit.layer, place, size)
    window, local = window_of(backbone, unit.layer, box, place, size)
    part = image[..., window.top : window.bottom, window.left : window.right]
    signal = project(backbone, part, unit, rule, local).signal
    top, left = box.top - window.top, box.left - window.left
    return signal_image(signal[:, top : top + box.height, left : left + box.width])


def window_of(
    backbone: Backbone, layer: str, box: Box, place: tuple[int, int], size: tuple[int, int]
) -> tuple[Box, tuple[int, int]]:
    """A part of the picture in which the position at ``place`` is what it is in the whole.

    Returns:
        The part, and the position in the maps of the part.
    """
    tap = backbone.table[layer]
    whole = Box(0, 0, *size), place
    if not tap.stride or tap.reach is None:
        return whole
    top, left = box.top // tap.stride * tap.stride, box.left // tap.stride * tap.stride
    found = Box(top, left, box.bottom, box.right)
    if min(found.height, found.width) < tap.min_size:
        return whole
    return found, (place[0] - top // tap.stride, place[1] - left // tap.stride)


def encoded(image: FloatArray, longest: int, most: int) -> bytes:
    """A picture (H, W, 3) as a WebP file of at most ``most`` bytes, if that can be done.

    Args:
        image: In [0, 1].
        longest: It is shrunk to this many pixels; it is not enlarged.
        most: Bytes. Below about 100, where nothing fits, the smallest attempt is returned.
    """
    pixels = Image.fromarray((np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8))
    if max(pixels.size) <= TINY:
        data = _webp(pixels, lossless=True)
        if len(data) <= most:
            return data
    factor = min(1.0, longest / max(pixels.size))
    data = b""
    for share, quality in STEPS:
        width, height = (max(1, round(n * factor * share)) for n in pixels.size)
        size = (width, height)
        small = pixels if size == pixels.size else pixels.resize(size, Image.Resampling.LANCZOS)
        data = _webp(small, quality=quality)
        if len(data) <= most:
            break
    return data


def decoded(data: bytes) -> Image.Image:
    """A picture that :func:`encoded` made."""
    with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
        return image.convert("RGB")


def _webp(image: Image.Image, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", method=4, **options)
    return buffer.getvalue()
