"""Coarse to fine: which sizes a run passes through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """One stop on the way: size in pixels and number of steps."""

    height: int
    width: int
    steps: int


def pyramid(
    height: int,
    width: int,
    steps: Sequence[int],
    *,
    ratio: float = 2.0,
    smallest: int = 112,
    count: int = 0,
) -> list[Scale]:
    """Scales from coarse to fine, the last one (height, width).

    Args:
        height: Of the final picture, px.
        width: Of the final picture, px.
        steps: For the final scale, the one before, and so on; the last entry serves all others.
        ratio: Size of a scale over that of the one before; 1 gives the final scale only.
        smallest: No scale but the final one has a longest side below this, px.
        count: Largest number of scales; 0 is as many as fit.
    """
    scales = [Scale(height, width, steps[0])]
    factor = 1.0
    while ratio > 1 and len(scales) != count:
        factor /= ratio
        if max(height, width) * factor < smallest - 1e-6:  # powers of a root are not exact
            break
        number = steps[min(len(scales), len(steps) - 1)]
        size = (max(1, round(height * factor)), max(1, round(width * factor)))
        scales.append(Scale(*size, number))
    return scales[::-1]
