"""How strong the seams of a tile are, against what is inside it."""

from __future__ import annotations

from torch import Tensor


def steps(picture: Tensor, axis: int) -> Tensor:
    """Mean absolute step from each line of a picture to the one before, round the edge.

    Args:
        picture: (B, C, H, W).
        axis: -2 for rows, -1 for columns.

    Returns:
        (H,) or (W,); the first is the step across the seam of two copies side by side.
    """
    step = (picture - picture.roll(1, axis)).abs()
    return step.mean((0, 1, -1 if axis == -2 else -2))


def seam_strength(picture: Tensor) -> float:
    """The step across a tile's seam over the mean step inside it; of both seams the stronger.

    Args:
        picture: (B, C, H, W), sides of 2 px or more.

    Returns:
        About 1 where nothing is seen; 0 for a plain picture.
    """
    found = []
    for axis in (-2, -1):
        step = steps(picture, axis)
        found.append(float(step[0] / step[1:].mean().clamp_min(1e-12)))
    return max(found)
