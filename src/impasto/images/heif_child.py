"""Decodes one HEIF file from standard input, in a process of its own.

Run as a script by :mod:`impasto.images.heif`, with the most pixels and the longest edge as
arguments. Writes a line of JSON (size, depth, mode, shape and type of the samples, profile; or
an error), then the samples.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from typing import Any


def decode(data: bytes, max_pixels: int, max_edge: int) -> tuple[dict[str, Any], bytes]:
    """Header and samples; a single pixel instead of those of a picture over the limits."""
    import numpy as np
    import pi_heif

    file = pi_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    width, height = file.size
    is_allowed = width * height <= max_pixels and max(width, height) <= max_edge
    samples = np.array(file) if is_allowed else np.zeros((1, 1, 3), np.uint8)
    head = {
        "size": [width, height],
        "depth": file.info.get("bit_depth", 8),
        "mode": file.mode,
        "shape": samples.shape,
        "type": samples.dtype.str,
        "profile": base64.b64encode(file.info.get("icc_profile") or b"").decode(),
    }
    return head, samples.tobytes()


def main() -> None:
    """Answer on standard output."""
    max_pixels, max_edge = int(sys.argv[1]), int(sys.argv[2])
    try:
        head, body = decode(sys.stdin.buffer.read(), max_pixels, max_edge)
    except Exception as error:  # to the other process, which raises it
        head, body = {"error": str(error) or type(error).__name__}, b""
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + body)


if __name__ == "__main__":
    main()
