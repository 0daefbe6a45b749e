"""Reading PNG with 16 bits per channel of colour, which Pillow reads as 8 without a word.

Section numbers are those of the PNG specification, third edition (W3C 2025).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from impasto.images.png import SIGNATURE, Bytes, chunks, paeth

_CHANNELS = {2: 3, 4: 2, 6: 4}  # colour type to samples per pixel: RGB, grey with alpha, RGBA
_ROWS = 512  # unfiltered at a time

# Adam7 (8.1): first column, first row, column step, row step of each pass
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


@dataclass(frozen=True)
class _File:
    width: int
    height: int
    channels: int
    interlaced: bool
    packed: bytes = b""
    key: bytes = b""  # the colour that is transparent (11.3.1.1)
    exif: bytes = b""


def wants(data: bytes) -> bool:
    """Whether these bytes are a PNG of a kind that :func:`read` is for."""
    head = data[: len(SIGNATURE) + 18]
    return len(head) == len(SIGNATURE) + 18 and head[24] == 16 and head[25] in _CHANNELS


def read(data: bytes) -> tuple[npt.NDArray[np.uint16], bytes]:
    """Samples and EXIF block of a PNG for which :func:`wants` holds.

    Args:
        data: The whole file. Check its size first; see :func:`impasto.images.reading.check_size`.

    Returns:
        ``(H, W, C)`` uint16, C being 2 (grey, alpha), 3 or 4, and the EXIF block or ``b""``.

    Raises:
        ValueError: The file is damaged or truncated.
        zlib.error: Its data do not inflate.
    """
    file = _parse(data)
    shapes = [(s.rows, s.columns) for s in _passes(file)]
    pixel = 2 * file.channels
    expected = sum(rows * (1 + columns * pixel) for rows, columns in shapes)
    raw = zlib.decompressobj().decompress(file.packed, expected)
    if len(raw) < expected:
        raise ValueError("the picture is truncated")
    samples = np.empty((file.height, file.width, file.channels), np.uint16)
    at = 0
    for part in _passes(file):
        end = at + part.rows * (1 + part.columns * pixel)
        lines = np.frombuffer(raw, np.uint8, end - at, at).reshape(part.rows, -1)
        target = samples[part.y :: part.dy, part.x :: part.dx]
        _unfilter(lines, target)
        at = end
    return _keyed(samples, file.key), file.exif


@dataclass(frozen=True)
class _Pass:
    x: int
    y: int
    dx: int
    dy: int
    columns: int
    rows: int


def _passes(file: _File) -> list[_Pass]:
    """The passes that hold pixels; one of all pixels if the file is not interlaced."""
    if not file.interlaced:
        return [_Pass(0, 0, 1, 1, file.width, file.height)]
    sized = [
        _Pass(x, y, dx, dy, -(-(file.width - x) // dx), -(-(file.height - y) // dy))
        for x, y, dx, dy in _PASSES
    ]
    return [part for part in sized if part.columns > 0 and part.rows > 0]


def _parse(data: bytes) -> _File:
    file, packed = None, []
    for kind, body in chunks(data):
        if kind == b"IHDR":
            width, height, _, colour, method, filtering, interlace = struct.unpack(">IIBBBBB", body)
            if (method, filtering) != (0, 0) or interlace > 1:
                raise ValueError("unknown compression, filter or interlace method")
            file = _File(width, height, _CHANNELS[colour], bool(interlace))
        elif file is None:
            raise ValueError("the header is missing")
        elif kind == b"IDAT":
            packed.append(body)
        elif kind == b"tRNS" and file.channels == 3:
            file = replace(file, key=body)
        elif kind == b"eXIf":
            file = replace(file, exif=body)
    if file is None or not packed:
        raise ValueError("the picture is missing")
    return replace(file, packed=b"".join(packed))


def _keyed(samples: npt.NDArray[np.uint16], key: bytes) -> npt.NDArray[np.uint16]:
    if len(key) != 6:
        return samples
    colour = np.frombuffer(key, ">u2")
    opaque = (samples != colour).any(axis=2)
    alpha = np.where(opaque, 65535, 0).astype(np.uint16)
    return np.concatenate([samples, alpha[:, :, None]], axis=2)


def _unfilter(lines: Bytes, target: npt.NDArray[np.uint16]) -> None:
    """Undo the filters (9.2) of ``(H, 1 + W * B)`` lines into ``(H, W, C)`` samples."""
    height, width, channels = target.shape
    above = np.zeros((width, channels * 2), np.uint8)
    for top in range(0, height, _ROWS):
        block = lines[top : top + _ROWS]
        kinds = block[:, 0]
        if kinds.max() > 4:
            raise ValueError(f"unknown filter {kinds.max()}")
        deltas = block[:, 1:].reshape(len(block), width, channels * 2)
        # A wave needs two columns to slant across.
        solve = _by_wave if (kinds > 2).any() and width > 1 else _by_row
        pixels = solve(kinds, deltas, above)
        target[top : top + len(block)] = pixels.view(">u2")
        above = pixels[-1]


def _by_row(kinds: Bytes, deltas: Bytes, above: Bytes) -> Bytes:
    """Rows one after the other: enough where no pixel needs both its neighbours."""
    out = np.empty_like(deltas, order="C")
    for y, kind in enumerate(kinds):
        row = deltas[y]
        if kind == 1:
            out[y] = np.cumsum(row, axis=0, dtype=np.uint8)
        elif kind == 0:
            out[y] = row
        else:
            guess = {2: above, 3: above // 2, 4: above}[int(kind)]  # 3 and 4: a single column
            out[y] = row + guess
        above = out[y]
    return out


def _by_wave(kinds: Bytes, deltas: Bytes, above: Bytes) -> Bytes:
    """All rows at once, each one pixel behind the row above it.

    A pixel needs its left, upper and upper-left neighbour. Along an anti-diagonal none needs
    another, and in a flat array with one column of zeros in front a diagonal is a slice with a
    constant step: W pixels in the padded output, W - 1 in the input.
    """
    n, width, size = deltas.shape
    padded = np.zeros((n + 1, width + 1, size), np.uint8)
    padded[0, 1:] = above
    flat, source = padded.reshape(-1, size), np.ascontiguousarray(deltas).reshape(-1, size)
    column = kinds[:, None]
    for t in range(n + width - 1):
        r0, r1 = max(0, t - width + 1), min(n, t + 1)
        at = width + 2 + t + r0 * width
        count = r1 - r0
        here = slice(at, at + (count - 1) * width + 1, width)
        left, up, corner = (
            flat[at - back : at - back + (count - 1) * width + 1 : width]
            for back in (1, width + 1, width + 2)
        )
        start = t + r0 * (width - 1)
        delta = source[start : start + (count - 1) * (width - 1) + 1 : width - 1]
        flat[here] = delta + _guess(column[r0:r1], left, up, corner)
    return np.ascontiguousarray(padded[1:, 1:])


def _guess(kind: Bytes, left: Bytes, up: Bytes, corner: Bytes) -> Bytes:
    mean = (left & up) + ((left ^ up) >> 1)  # floor of the mean without leaving 8 bits
    return np.asarray(
        np.choose(kind, (np.uint8(0), left, up, mean, paeth(left, up, corner))), np.uint8
    )
