"""A margin around a picture: networks leave marks along the border of what they are shown."""

from __future__ import annotations

import torch
from torch import Tensor

#: Pixels on each side that are painted and cut off.
MARGIN = 16


def framed(image: Tensor, multiple: int) -> Tensor:
    """A picture mirrored outwards by :data:`MARGIN`, as often as it takes.

    Below and on the right it is by as much more as makes the sides multiples of ``multiple``.

    Args:
        image: (B, C, H, W).
        multiple: Of the sides of the result.
    """
    for axis in (-2, -1):
        length = image.shape[axis]
        whole = (length + 2 * MARGIN + multiple - 1) // multiple * multiple
        at = torch.arange(-MARGIN, whole - MARGIN, device=image.device)
        # A mirrored row repeats itself after there and back; one pixel after itself. A tensor of
        # the period, since ONNX takes no remainder by a size.
        period = torch.full_like(at, max(1, 2 * (length - 1)))
        at = at.remainder(period)
        image = image.index_select(axis, torch.minimum(at, period - at))
    return image


def unframed(framed: Tensor, height: int, width: int) -> Tensor:
    """What :func:`framed` was made of, at its place."""
    return framed[..., MARGIN : MARGIN + height, MARGIN : MARGIN + width]
