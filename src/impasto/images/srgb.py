"""The sRGB profile that goes into every picture we write: the same bytes on every run.

The library behind Pillow can make one too, but stamps it with the time of day.
"""

from __future__ import annotations

import struct
from functools import cache

# IEC 61966-2-1 primaries and white, adapted to D50 by Bradford, as every sRGB profile has them.
_WHITE = (0.9642, 1.0, 0.8249)
PRIMARIES = {  # XYZ of each primary at full drive
    b"rXYZ": (0.436066, 0.222488, 0.013916),
    b"gXYZ": (0.385147, 0.716873, 0.097076),
    b"bXYZ": (0.143066, 0.060608, 0.714096),
}
_ADAPTATION = (
    *(1.047882, 0.022919, -0.050201),
    *(0.029587, 0.990479, -0.017059),
    *(-0.009232, 0.015076, 0.751678),
)
# g, a, b, c, d of y = (a x + b)^g for x >= d, c x below (ICC.1:2010, parametric curve type 3).
_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def _fixed(values: tuple[float, ...]) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    head = struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", len(encoded), 28)
    return head + encoded


@cache
def srgb_profile() -> bytes:
    """An ICC version 4 display profile of sRGB, about 600 bytes."""
    curve = struct.pack(">4sIHH", b"para", 0, 3, 0) + _fixed(_CURVE)
    tags = {
        b"desc": _text("sRGB"),
        b"cprt": _text("No copyright, use freely"),
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(_WHITE),
        b"chad": b"sf32\0\0\0\0" + _fixed(_ADAPTATION),
        **{name: b"XYZ \0\0\0\0" + _fixed(xyz) for name, xyz in PRIMARIES.items()},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    return _assemble(tags)


def _assemble(tags: dict[bytes, bytes]) -> bytes:
    """Header, tag table and data; equal data is stored once (ICC.1:2010, section 7)."""
    start = 128 + 4 + 12 * len(tags)
    table, body, places = b"", b"", dict[bytes, int]()
    for name, data in tags.items():
        if data not in places:
            places[data] = start + len(body)
            body += data + b"\0" * (-len(data) % 4)
        table += struct.pack(">4sII", name, places[data], len(data))
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"\0" * 4, 0x04200000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp")
    head += b"\0" * 28 + _fixed(_WHITE)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
