"""Our own TIFF writer, and the way to 16 bits per channel of colour when reading.

Section numbers are those of TIFF revision 6.0 (Adobe 1992).
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

_STRIP_BYTES = 1 << 18

# Tags
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_OFFSETS, _SAMPLES, _ROWS, _COUNTS, _PREDICTOR = 273, 277, 278, 279, 317
_PLANAR, _EXTRA, _ICC = 284, 338, 34675
_DEFLATE, _RGB, _DIFFERENCING, _STRAIGHT_ALPHA = 8, 2, 2, 2

Entry = tuple[int, int, bytes]  # tag, count, packed values
_SHORT, _LONG, _UNDEFINED = 3, 4, 7
_CODES = {_SHORT: "H", _LONG: "I"}


def write(values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], *, profile: bytes) -> bytes:
    """A little-endian TIFF: strips, deflate, horizontal differencing.

    Args:
        values: ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGB with straight alpha, uint8 or uint16.
        profile: ICC profile.

    Returns:
        The bytes of the file.
    """
    h, w, channels = values.shape
    little = np.asarray(values, values.dtype.newbyteorder("<"))
    rows = max(1, _STRIP_BYTES // (w * channels * values.dtype.itemsize))
    strips = [_strip(little[top : top + rows]) for top in range(0, h, rows)]
    offsets, at = [], 8
    for strip in strips:
        offsets.append(at)
        at += len(strip) + len(strip) % 2
    fields: list[tuple[int, int, list[int] | bytes]] = [
        (_WIDTH, _LONG, [w]),
        (_HEIGHT, _LONG, [h]),
        (_BITS, _SHORT, [8 * values.dtype.itemsize] * channels),
        (_COMPRESSION, _SHORT, [_DEFLATE]),
        (_PHOTOMETRIC, _SHORT, [_RGB]),
        (_OFFSETS, _LONG, offsets),
        (_SAMPLES, _SHORT, [channels]),
        (_ROWS, _LONG, [rows]),
        (_COUNTS, _LONG, [len(strip) for strip in strips]),
        (_PLANAR, _SHORT, [1]),
        (_PREDICTOR, _SHORT, [_DIFFERENCING]),
        *([(_EXTRA, _SHORT, [_STRAIGHT_ALPHA])] if channels == 4 else []),
        (_ICC, _UNDEFINED, profile),
    ]
    body = b"".join(strip + b"\0" * (len(strip) % 2) for strip in strips)
    return struct.pack("<2sHI", b"II", 42, at) + body + directory(fields, at, "<")


def _strip(rows: npt.NDArray[Any]) -> bytes:
    """Rows as differences from the pixel to the left (section 14), deflated."""
    step = rows.copy()
    step[:, 1:] -= rows[:, :-1]
    return zlib.compress(step.tobytes(), 6)


def directory(fields: list[tuple[int, int, list[int] | bytes]], at: int, order: str) -> bytes:
    """An image file directory and the values that do not fit into it (section 2).

    Args:
        fields: Tag, type (SHORT, LONG or UNDEFINED) and values, in the order of the tags.
        at: Where in the file the directory will stand.
        order: ``"<"`` or ``">"``.
    """
    spill = at + 2 + 12 * len(fields) + 4
    table, extra = struct.pack(f"{order}H", len(fields)), b""
    for tag, kind, values in fields:
        code = _CODES.get(kind)
        packed = (
            bytes(values) if code is None else struct.pack(f"{order}{len(values)}{code}", *values)
        )
        table += struct.pack(f"{order}HHI", tag, kind, len(values))
        if len(packed) <= 4:
            table += packed.ljust(4, b"\0")
        else:
            table += struct.pack(f"{order}I", spill + len(extra))
            extra += packed + b"\0" * (len(packed) % 2)
    return table + struct.pack(f"{order}I", 0) + extra
