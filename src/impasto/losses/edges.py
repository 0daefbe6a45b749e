"""The Laplacian loss: edges of the photo, at a few sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from impasto.losses.base import (
    LOSSES,
    Loss,
    Target,
    inner_weight,
    option,
    relative,
    total_weight,
)


def laplacian(image: Tensor, pool: int) -> Tensor:
    """Sum over channels of ``4 x(p) - sum x(neighbours)`` after average pooling.

    Args:
        image: (B, C, H, W).
        pool: Edge of the pooling windows, px; at most the picture's edge is used.

    Returns:
        (B, 1, H // pool, W // pool); at the border the picture goes on unchanged.
    """
    grey = image.sum(1, keepdim=True)
    pool = min(pool, *grey.shape[-2:])
    padded = F.pad(F.avg_pool2d(grey, pool), (1, 1, 1, 1), mode="replicate")
    centre = padded[..., 1:-1, 1:-1]
    beside = padded[..., 1:-1, 2:] + padded[..., 1:-1, :-2]
    return 4 * centre - beside - padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]


@LOSSES.register("laplacian")
@dataclass(frozen=True)
class Laplacian(Loss):
    """Distance of Laplacians, ``sum_pools sum_p w(p) (D x - D x')(p)^2``, times a factor.

    D pools, sums the channels and applies the 5-point Laplacian; it belongs on the picture
    itself. The factor is by ``scale``:

    ======== ================================ =====================================
    mean     1 / M of the pool                independent of the picture's size
    sum      1                                as printed
    relative 1 / sum_p w(p) (D x')(p)^2       0 is equal, 1 is a flat picture
    ======== ================================ =====================================

    Source: Li, Xu, Nie & Chua 2017 (Lapstyle); pools 4 and 16.

    Cost: two passes over the picture; memory for one Laplacian per pool.

    Blends: mean of the Laplacians, whose pictures must have one size.

    Deviations: the picture goes on unchanged beyond its border, where the source does not say.
    A position counts if all it looks at lies inside the map, 3 x 3 windows.

    Attributes:
        pools: Edges of the pooling windows, px.
        scale: Factor, see the table.
    """

    pools: tuple[int, ...] = option((4,), least=1)
    scale: Literal["mean", "sum", "relative"] = "mean"

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """One Laplacian per pool, (B, 1, H // pool, W // pool)."""
        del weight
        return tuple(laplacian(features.detach(), pool) for pool in self.pools)

    def __call__(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """Sum over pools; see the table of the class."""
        parts = [
            self._part(laplacian(features, pool), goal.to(features), _shrunk(weight, pool))
            for pool, goal in zip(self.pools, target, strict=True)
        ]
        return sum(parts[1:], parts[0])

    def _part(self, found: Tensor, goal: Tensor, weight: Tensor | None) -> Tensor:
        error, size = (found - goal).square(), goal.square()
        if weight is not None:
            error, size = error * weight.to(error), size * weight.to(size)
        error, size = error.sum(dim=(1, 2, 3)), size.sum(dim=(1, 2, 3))
        if self.scale == "relative":
            return relative(error, size).mean()
        count = total_weight(found, weight).clamp_min(1e-12) if self.scale == "mean" else 1
        return (error / count).mean()


def _shrunk(weight: Tensor | None, pool: int) -> Tensor | None:
    if weight is None:
        return None
    pool = min(pool, *weight.shape[-2:])
    pooled = inner_weight(weight, pool, pool)
    return inner_weight(F.pad(pooled, (1, 1, 1, 1), mode="replicate"), 3, 1)
