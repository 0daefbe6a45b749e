"""Sequences of pictures as one file."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from impasto.errors import UsageError
from impasto.images import metadata as meta
from impasto.images.encoding import quantise
from impasto.images.writing import save_bytes

#: Steps in which GIF measures time, ms.
TICK = 10


def save_gif(
    frames: Iterable[npt.NDArray[np.floating[Any]]],
    path: str | Path,
    *,
    milliseconds: float,
    metadata: dict[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Write an endless GIF, whole or not at all; its settings go beside it.

    Args:
        frames: (H, W, 3) sRGB in [0, 1], all of one size; each gets 256 colours of its own.
        path: Where to.
        milliseconds: For each frame; rounded to hundredths of a second, 2 at least, since
            players slow down what is faster.
        metadata: Settings, as JSON allows them.
        force: Replace existing files.

    Raises:
        UsageError: There is no frame, or the file exists.
        ResourceError: The disk is full.
    """
    pictures = [_indexed(frame) for frame in frames]
    if not pictures:
        raise UsageError("an animation needs at least one frame")
    data = io.BytesIO()
    duration = max(2 * TICK, TICK * round(milliseconds / TICK))
    pictures[0].save(
        data, "GIF", save_all=True, append_images=pictures[1:], duration=duration, loop=0
    )
    save_bytes(data.getvalue(), path, force=force)
    if metadata is not None:
        sidecar = meta.sidecar_path(Path(path))
        save_bytes(meta.sidecar_bytes(metadata, data.getvalue()), sidecar, force=force)


def _indexed(frame: npt.NDArray[np.floating[Any]]) -> Image.Image:
    return Image.fromarray(quantise(frame, 8)).quantize(256, Image.Quantize.MEDIANCUT)
