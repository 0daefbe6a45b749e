"""Our own TIFF writer: 8 or 16 bits per channel, deflated, with a profile.

Section numbers are those of TIFF revision 6.0 (Adobe 1992).
"""

from __future__ import annotations

import struct
import zlib
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

_STRIP_BYTES = 1 << 18

_DEFLATE, _RGB, _DIFFERENCING, _STRAIGHT_ALPHA = 8, 2, 2, 2
_ASCII, _SHORT, _LONG, _UNDEFINED = 2, 3, 4, 7
_CODES = {_SHORT: "H", _LONG: "I"}

Field = tuple[int, int, list[int] | bytes]  # tag, type, values


class Tag(IntEnum):
    """The tags that are read and written here (section 8 and supplements)."""

    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    OFFSETS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS = 278
    COUNTS = 279
    PLANAR = 284
    ARTIST = 315
    PREDICTOR = 317
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_COUNTS = 325
    EXTRA = 338
    FORMAT = 339
    COPYRIGHT = 33432
    ICC = 34675


def write(
    values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
    *,
    profile: bytes,
    artist: str = "",
    notice: str = "",
) -> bytes:
    """A little-endian TIFF in strips, deflated, with horizontal differencing.

    Args:
        values: ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGB with straight alpha, uint8 or uint16.
        profile: ICC profile.
        artist: Who made the picture, or nothing.
        notice: Copyright, or nothing.

    Returns:
        The bytes of the file.
    """
    h, w, channels = values.shape
    little: npt.NDArray[Any] = values.astype(values.dtype.newbyteorder("<"))
    rows = max(1, _STRIP_BYTES // (w * channels * values.dtype.itemsize))
    strips = [_strip(little[top : top + rows]) for top in range(0, h, rows)]
    offsets, at = [], 8
    for strip in strips:
        offsets.append(at)
        at += len(strip)
    fields: list[Field] = [
        (Tag.WIDTH, _LONG, [w]),
        (Tag.HEIGHT, _LONG, [h]),
        (Tag.BITS, _SHORT, [8 * values.dtype.itemsize] * channels),
        (Tag.COMPRESSION, _SHORT, [_DEFLATE]),
        (Tag.PHOTOMETRIC, _SHORT, [_RGB]),
        (Tag.OFFSETS, _LONG, offsets),
        (Tag.SAMPLES, _SHORT, [channels]),
        (Tag.ROWS, _LONG, [rows]),
        (Tag.COUNTS, _LONG, [len(strip) for strip in strips]),
        (Tag.PLANAR, _SHORT, [1]),
        *_said(Tag.ARTIST, artist),
        (Tag.PREDICTOR, _SHORT, [_DIFFERENCING]),
        *([(Tag.EXTRA, _SHORT, [_STRAIGHT_ALPHA])] if channels == 4 else []),
        *_said(Tag.COPYRIGHT, notice),
        (Tag.ICC, _UNDEFINED, profile),
    ]
    return struct.pack("<2sHI", b"II", 42, at) + b"".join(strips) + directory(fields, at, "<")


def _said(tag: int, text: str) -> list[Field]:
    """A field of text, if there is any; UTF-8, of which ASCII is a part."""
    return [(tag, _ASCII, text.encode() + b"\0")] if text else []


def _strip(rows: npt.NDArray[Any]) -> bytes:
    """Rows as differences from the pixel to the left (section 14), deflated to even length."""
    step = rows.copy()
    step[:, 1:] -= rows[:, :-1]
    packed = zlib.compress(step.tobytes(), 6)
    return packed + b"\0" * (len(packed) % 2)


def directory(fields: list[Field], at: int, order: str) -> bytes:
    """An image file directory and the values that do not fit into it (section 2).

    Args:
        fields: Tag, type (ASCII, SHORT, LONG or UNDEFINED) and values, in the order of the tags.
        at: Where in the file the directory will stand.
        order: ``"<"`` or ``">"``.
    """
    spill = at + 2 + 12 * len(fields) + 4
    table, extra = struct.pack(f"{order}H", len(fields)), b""
    for tag, kind, values in fields:
        code = _CODES.get(kind)
        packed = struct.pack(f"{order}{len(values)}{code}", *values) if code else bytes(values)
        table += struct.pack(f"{order}HHI", tag, kind, len(values))
        if len(packed) <= 4:
            table += packed.ljust(4, b"\0")
        else:
            table += struct.pack(f"{order}I", spill + len(extra))
            extra += packed + b"\0" * (len(packed) % 2)
    return table + struct.pack(f"{order}I", 0) + extra
