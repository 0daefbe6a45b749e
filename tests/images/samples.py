"""Pictures and files for the tests, made on the spot."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

# Every mode seen in the wild.
MODES = ("RGB", "RGBA", "P", "PA", "L", "LA", "1", "I;16", "I;16B", "I", "F")
MODES += ("CMYK", "YCbCr", "LAB")


def pattern(h=37, w=53, channels=3, seed=0):
    """Smooth with a little noise: float32 in [0, 1], different in each channel and corner."""
    y, x = np.mgrid[0:h, 0:w]
    rng = np.random.default_rng(seed)
    planes = [(np.sin(x / (5 + c) + y / 9) * np.cos(y / (7 - c)) + 1) / 2 for c in range(channels)]
    return np.clip(np.stack(planes, 2) + rng.normal(0, 0.02, (h, w, channels)), 0, 1).astype("f4")


def levels(values, bits=8):
    return np.floor(values.astype("f8") * (2**bits - 1) + 0.5).astype(f"u{bits // 8}")


def file_bytes(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def jpeg(h=37, w=53, **options):
    return file_bytes(Image.fromarray(levels(pattern(h, w))), "JPEG", **options)


def png_chunk(kind, body):
    crc = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def png_file(w, h, depth, colour, packed, *, interlace=0, before=(), after=()):
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, interlace))
    parts = [b"\x89PNG\r\n\x1a\n", head, *(png_chunk(*c) for c in before)]
    parts += [png_chunk(b"IDAT", packed), *(png_chunk(*c) for c in after), png_chunk(b"IEND", b"")]
    return b"".join(parts)


def tiff_file(strips, fields, order="<"):
    """A TIFF of strips; ``fields`` maps tags to lists of integers, all written as LONG."""
    body, offsets = b"", []
    for strip in strips:
        offsets.append(8 + len(body))
        body += strip + b"\0" * (len(strip) % 2)
    fields = {**fields, 273: offsets, 279: [len(strip) for strip in strips]}
    at = 8 + len(body)
    spill = at + 2 + 12 * len(fields) + 4
    table, extra = struct.pack(f"{order}H", len(fields)), b""
    for tag, values in sorted(fields.items()):
        table += struct.pack(f"{order}HHI", tag, 4, len(values))
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(packed) == 4:
            table += packed
        else:
            table += struct.pack(f"{order}I", spill + len(extra))
            extra += packed
    magic = b"II" if order == "<" else b"MM"
    return magic + struct.pack(f"{order}HI", 42, at) + body + table + b"\0\0\0\0" + extra


def names(folder):
    """Names of the files in a folder, in order."""
    return sorted(path.name for path in folder.iterdir())
