"""Reading TIFF with 16 bits per channel of colour, which Pillow reads as 8 without a word.

Pillow and libtiff do read 16-bit grey, of any compression. So the file is shown to them as
grey: the samples of a pixel side by side as one wide picture, or each plane as a picture. Only
the differencing between pixels has to be undone here, because its step is the pixel.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from impasto.images.tiff import Tag, directory

_RGB = 2
_PLAIN, _PACKBITS = 1, 32773
_DIFFERENCED = (5, 8, 32946, 34925, 50000)  # LZW, deflate (new, old), LZMA, Zstandard
_PREMULTIPLIED = 1

_SHORT, _LONG = 3, 4


def wants(image: Image.Image) -> bool:
    """Whether an opened picture is a TIFF of a kind that :func:`read` is for."""
    tags = _tags(image)
    samples = tags.get(Tag.SAMPLES, 1)
    return (
        tags.get(Tag.PHOTOMETRIC) == _RGB
        and samples in (3, 4)
        and tags.get(Tag.BITS) == (16,) * samples
        and set(tags.get(Tag.FORMAT, (1,))) == {1}
        and tags.get(Tag.COMPRESSION, _PLAIN) in (_PLAIN, _PACKBITS, *_DIFFERENCED)
        and tags.get(Tag.PREDICTOR, 1) in (1, 2)
        and tags.get(Tag.PLANAR, 1) in (1, 2)
    )


def read(image: Image.Image, data: bytes) -> npt.NDArray[np.uint16]:
    """Samples of a TIFF for which :func:`wants` holds.

    Args:
        image: The opened file. Check its size first.
        data: Its bytes.

    Returns:
        ``(H, W, C)`` uint16, C being 3 or 4, not turned, alpha not premultiplied.

    Raises:
        Exception: Whatever Pillow raises on damaged files.
    """
    tags = _tags(image)
    h, w, samples = int(tags[Tag.HEIGHT]), int(tags[Tag.WIDTH]), int(tags[Tag.SAMPLES])
    if tags.get(Tag.PLANAR, 1) == 2:
        planes = [_grey(tags, data, plane) for plane in range(samples)]
        values = np.stack(planes, axis=2)
    else:
        values = _grey(tags, data, None).reshape(h, w, samples)
    if tags.get(Tag.COMPRESSION) in _DIFFERENCED and tags.get(Tag.PREDICTOR, 1) == 2:
        tile = int(tags.get(Tag.TILE_WIDTH, w))
        for left in range(0, w, tile):
            part = values[:, left : left + tile]
            np.cumsum(part, axis=1, dtype=np.uint16, out=part)
    extra = tags.get(Tag.EXTRA, ())
    is_premultiplied = samples == 4 and tuple(extra) == (_PREMULTIPLIED,)
    if samples == 4 and tuple(extra) == (0,):  # a fourth sample that is no alpha
        return values[:, :, :3]
    return _straight(values) if is_premultiplied else values


def _tags(image: Image.Image) -> Mapping[int, Any]:
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    return tags


def _grey(tags: Mapping[int, Any], data: bytes, plane: int | None) -> npt.NDArray[np.uint16]:
    """All samples, or those of one plane, decoded as a grey picture."""
    samples = int(tags[Tag.SAMPLES])
    wide = samples if plane is None else 1
    fields: list[tuple[int, int, list[int] | bytes]] = [
        (Tag.WIDTH, _LONG, [int(tags[Tag.WIDTH]) * wide]),
        (Tag.HEIGHT, _LONG, [int(tags[Tag.HEIGHT])]),
        (Tag.BITS, _SHORT, [16]),
        (Tag.COMPRESSION, _SHORT, [int(tags.get(Tag.COMPRESSION, _PLAIN))]),
        (Tag.PHOTOMETRIC, _SHORT, [1]),
        (Tag.FILL_ORDER, _SHORT, [int(tags.get(Tag.FILL_ORDER, 1))]),
        (Tag.SAMPLES, _SHORT, [1]),
    ]
    lists = (Tag.OFFSETS, Tag.COUNTS, Tag.TILE_OFFSETS, Tag.TILE_COUNTS)
    fields += [(t, _LONG, _of_plane(list(tags[t]), samples, plane)) for t in lists if t in tags]
    sizes = {Tag.ROWS: 1, Tag.TILE_WIDTH: wide, Tag.TILE_HEIGHT: 1}
    fields += [(t, _LONG, [int(tags[t]) * n]) for t, n in sizes.items() if t in tags]
    order = tags.prefix if hasattr(tags, "prefix") else b"II"
    return _decode(bytes(order), data, sorted(fields))


def _of_plane(values: list[int], samples: int, plane: int | None) -> list[int]:
    if plane is None:
        return values
    each = len(values) // samples
    return values[plane * each : (plane + 1) * each]


def _decode(
    order: bytes, data: bytes, fields: list[tuple[int, int, list[int] | bytes]]
) -> npt.NDArray[np.uint16]:
    sign = "<" if order == b"II" else ">"
    at = len(data) + len(data) % 2
    byte_order = "little" if sign == "<" else "big"
    head = order + (42).to_bytes(2, byte_order) + at.to_bytes(4, byte_order)  # type: ignore[arg-type]
    shown = head + data[8:] + b"\0" * (len(data) % 2) + directory(fields, at, sign)
    with Image.open(io.BytesIO(shown), formats=["TIFF"]) as image:
        return np.array(image, dtype=np.uint16)


def _straight(values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Divide premultiplied colours by alpha, rounded; black where nothing is covered."""
    alpha = values[:, :, 3:].astype(np.float64)
    scale = np.divide(65535.0, alpha, out=np.zeros_like(alpha), where=alpha > 0)
    colours = np.minimum(np.floor(values[:, :, :3] * scale + 0.5), 65535.0)
    return np.concatenate([colours.astype(np.uint16), values[:, :, 3:]], axis=2)
