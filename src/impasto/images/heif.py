"""HEIC and HEIF through the optional package ``pi-heif`` (it decodes, and does not bundle x265).

Damaged files were seen to corrupt its memory and end the process, so it works in a process of
its own, :mod:`impasto.images.heif_child`: a crash there is a damaged file here.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from impasto.errors import InputError
from impasto.images.model import Limits
from impasto.images.modes import Planes, split

_CHILD = Path(__file__).with_name("heif_child.py")
_SECONDS = 120


def read(data: bytes, limits: Limits) -> tuple[Planes, bytes, tuple[int, int]]:
    """The primary picture of a HEIF file, upright: libheif applies its turns itself.

    Args:
        data: The whole file.
        limits: A picture over them is not decoded.

    Returns:
        Values, the ICC profile or ``b""``, and width and height of the header. Over the limits
        the values are a single pixel; the caller refuses by the size.

    Raises:
        InputError: ``pi-heif`` is not installed.
        ValueError: The file is damaged.
    """
    if importlib.util.find_spec("pi_heif") is None:
        raise InputError(
            "HEIC and HEIF need the package pi-heif", hint="pip install 'impasto[formats]'"
        )
    head, body = _ask(data, limits)
    width, height = head["size"]
    depth, shape = int(head["depth"]), tuple(head["shape"])
    wide = np.frombuffer(body, head["type"]).reshape(shape)
    # Depths above 8 come in the upper bits of 16: full scale is not 65535.
    bits = 8 * wide.dtype.itemsize
    top = np.float32((2**depth - 1) << (bits - depth) if bits == 16 else 255)
    values = np.minimum(wide.astype(np.float32) / top, np.float32(1.0))
    cube = values[:, :, None] if values.ndim == 2 else values
    profile = base64.b64decode(head["profile"])
    return Planes(*split(cube), mode=str(head["mode"])), profile, (int(width), int(height))


def _ask(data: bytes, limits: Limits) -> tuple[dict[str, Any], bytes]:
    """Run the child: a line of JSON, then the samples."""
    command = [sys.executable, "-P", str(_CHILD), str(limits.max_pixels), str(limits.max_edge)]
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"not decoded within {_SECONDS} s") from None
    line, _, body = done.stdout.partition(b"\n")
    if done.returncode != 0 or not line:
        raise ValueError("the HEIF decoder crashed")
    head: dict[str, Any] = json.loads(line)
    if "error" in head:
        raise ValueError(head["error"])
    return head, body
