"""Our own PNG codec, for what Pillow does not do: 16 bits per channel of colour.

Pillow reads 16-bit colour as 8-bit without a word and does not write it. Everything else goes
through Pillow. Section numbers are those of the PNG specification, third edition (W3C 2025).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Bytes = npt.NDArray[np.uint8]

_ROWS = 64  # filtered at a time when writing


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and body of each chunk, up to the end or the first that is cut short.

    Check sums of critical chunks (those of capital letter) are verified.

    Raises:
        ValueError: A critical chunk whose check sum is wrong, or a truncated one.
    """
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        tail = data[at + 8 + length : at + 12 + length]
        critical = not kind[0] & 0x20
        if len(tail) < 4:
            if critical:
                raise ValueError("the file is truncated")
            return
        if critical and zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(tail, "big"):
            raise ValueError(f"broken {kind.decode('latin-1')} chunk")
        yield kind, body
        if kind == b"IEND":
            return
        at += 12 + length


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk with length and check sum."""
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", _crc(kind, body))


def _crc(kind: bytes, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(kind))


def itxt(keyword: str, text: str) -> bytes:
    """Body of an uncompressed international text chunk (11.3.3.4)."""
    return keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode()


def write16(
    values: npt.NDArray[np.uint16], *, profile: bytes, text: tuple[str, str] | None
) -> bytes:
    """A 16-bit PNG.

    Args:
        values: ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA, full scale 65535.
        profile: ICC profile.
        text: Keyword and text of an iTXt chunk, or ``None``.

    Returns:
        The bytes of the file.
    """
    h, w, channels = values.shape
    header = struct.pack(">IIBBBBB", w, h, 16, 2 if channels == 3 else 6, 0, 0, 0)
    parts = [SIGNATURE, chunk(b"IHDR", header)]
    parts.append(chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)))
    if text is not None:
        parts.append(chunk(b"iTXt", itxt(*text)))
    parts += [chunk(b"IDAT", part) for part in _deflated_rows(values)]
    parts.append(chunk(b"IEND", b""))
    return b"".join(parts)


def _deflated_rows(values: npt.NDArray[np.uint16]) -> Iterator[bytes]:
    h, w, channels = values.shape
    packer = zlib.compressobj(6)
    above = np.zeros((1, w, channels * 2), np.uint8)
    for top in range(0, h, _ROWS):
        block = values[top : top + _ROWS].astype(">u2")
        rows = block.view(np.uint8).reshape(len(block), w, channels * 2)
        part = packer.compress(_filtered(rows, np.concatenate([above, rows[:-1]])).tobytes())
        above = rows[-1:]
        if part:
            yield part
    yield packer.flush()


def _filtered(rows: Bytes, above: Bytes) -> Bytes:
    """Rows with the filter of least absolute sum in front (12.7), ``(N, 1 + W * B)``."""
    n = len(rows)
    left, corner = np.zeros_like(rows), np.zeros_like(rows)
    left[:, 1:], corner[:, 1:] = rows[:, :-1], above[:, :-1]
    mean = ((left.astype(np.uint16) + above) // 2).astype(np.uint8)
    guesses = (np.zeros_like(rows), left, above, mean, paeth(left, above, corner))
    candidates = np.stack([(rows - guess).reshape(n, -1) for guess in guesses])
    cost = np.abs(candidates.view(np.int8).astype(np.int16)).sum(axis=2, dtype=np.int64)
    best = cost.argmin(axis=0)
    out = np.empty((n, candidates.shape[2] + 1), np.uint8)
    out[:, 0] = best
    out[:, 1:] = candidates[best, np.arange(n)]
    return out


def paeth(left: Bytes, above: Bytes, corner: Bytes) -> Bytes:
    """The neighbour nearest to left + above - corner; ties in that order (9.4)."""
    a, b, c = (x.astype(np.int16) for x in (left, above, corner))
    pa, pb, pc = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    return np.where((pa <= pb) & (pa <= pc), left, np.where(pb <= pc, above, corner))
