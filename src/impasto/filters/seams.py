"""Seams of least difference between overlapping blocks, many blocks at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


def least_path(cost: Array) -> npt.NDArray[np.int64]:
    """Columns of the cheapest path from the first row to the last, by dynamic programming.

    A step goes one row down and at most one column aside (Efros and Freeman 2001).

    Args:
        cost: ``(N, rows, columns)``, not negative.

    Returns:
        ``(N, rows)``: a column for each row.
    """
    count, rows, columns = cost.shape
    total = cost.astype(np.float64)
    edge = np.full((count, 1), np.inf)
    for row in range(1, rows):
        padded = np.concatenate([edge, total[:, row - 1], edge], 1)
        total[:, row] += np.minimum(np.minimum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    path = np.empty((count, rows), np.int64)
    path[:, -1] = total[:, -1].argmin(1)
    every = np.arange(count)
    for row in range(rows - 2, -1, -1):
        near = path[:, row + 1, None] + np.array([0, -1, 1])
        outside = (near < 0) | (near >= columns)
        ways = total[every[:, None], row, near.clip(0, columns - 1)]
        ways[outside] = np.inf
        path[:, row] = near[every, ways.argmin(1)]
    return path


def cut_masks(difference: Array, overlap: int, above: Flags, left: Flags) -> Array:
    """Where the new block shows, with the seam feathered over about a pixel.

    Args:
        difference: Squared difference of old and new, ``(N, side, side)``.
        overlap: Width of the overlap above and to the left, in pixels.
        above: Which blocks have a neighbour above, ``(N,)``.
        left: Which have one to the left.

    Returns:
        ``(N, side, side)`` in [0, 1]: 1 is new.
    """
    side = difference.shape[1]
    upright = difference[:, :, :overlap]
    lying = difference[:, :overlap, :].transpose(0, 2, 1)
    path = least_path(np.concatenate([upright, lying]))
    count = len(difference)
    across = np.arange(side)
    beside = _ramp(across[None, None, :] - path[:count, :, None], left)
    below = _ramp(across[None, :, None] - path[count:, None, :], above)
    return beside * below


def _ramp(distance: npt.NDArray[np.int64], present: Flags) -> Array:
    """0 before the seam, a third and two thirds around it, 1 after; 1 where there is no seam."""
    ramp = ((distance + 1.0) / 2.0).clip(0.0, 1.0)
    return np.where(present[:, None, None], ramp, 1.0).astype(np.float32)
