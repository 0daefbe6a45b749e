"""Gram matrices of features with themselves some way off: what repeats, and how far apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from impasto.losses.base import LOSSES, Loss, Target, option, relative

#: The axes of a shift: down, across.
AXES = (-2, -1)


@LOSSES.register("shifted-gram")
@dataclass(frozen=True)
class ShiftedGram(Loss):
    """Squared distance of ``G_d = sum_p w(p) w(p+d) F(p) F(p+d)^T / sum_p w(p) w(p+d)``.

    The shifts d are ``shifts`` positions down and as many across. A Gram matrix says which features
    occur together; these say which occur at a distance, so that rows of bricks stay rows. The sum
    over shifts of ``sum_ij (G_d - A_d)_ij^2``, A the target's, is multiplied by ``scale``:

    ======== ======================== ==========================================
    mean     1 / (N^2 shifts)         mean over entries, N the channels
    relative 1 / sum_d sum_ij A_d^2   0 is equal, 1 is a picture without features
    ======== ======================== ==========================================

    Shifts that are as large as the picture or the painting are left out.

    Source: Berger & Memisevic 2017, Incorporating long-range consistency in CNN-based texture
    generation.

    Cost: 2 C^2 H W multiply-adds and a copy of the features per shift; memory 2 C^2 per shift.

    Blends: mean, shift by shift, over the paintings that are large enough for it.

    Deviations: shifts in positions of one layer, where the source shifts by pixels.

    Attributes:
        shifts: Distances in positions.
        scale: Factor, see the table.
        periodic: Whether the picture (not the painting) goes on at its opposite edges.
    """

    shifts: tuple[int, ...] = option((1, 2, 4), least=1)
    scale: Literal["mean", "relative"] = "mean"
    periodic: bool = False

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """Matrices (B, K, C, C) of K shifts, and which of them there are, (1, K)."""
        grams, there = self._grams(features.detach(), weight, periodic=False)
        return grams.clone(), there

    def blend(self, targets: Sequence[Target], weights: Sequence[float]) -> Target:
        """Mean over those targets that have the shift."""
        shares = [w * there for w, (_, there) in zip(weights, targets, strict=True)]
        total = torch.stack(shares).sum(0)
        parts = [
            (s / total.clamp_min(1e-30))[..., None, None] * t[0]
            for s, t in zip(shares, targets, strict=True)
        ]
        return torch.stack(parts).sum(0), (total > 0).to(total)

    def __call__(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """See the table of the class."""
        grams, here = self._grams(features, weight, periodic=self.periodic)
        goal, both = target[0].to(grams), here * target[1].to(here)
        error = ((grams - goal).square().sum((2, 3)) * both).sum(1)  # (B,)
        if self.scale == "relative":
            return relative(error, (goal.square().sum((2, 3)) * both).sum(1)).mean()
        return error.mean() / (features.shape[1] ** 2 * both.sum().clamp_min(1))

    def _grams(
        self, features: Tensor, weight: Tensor | None, *, periodic: bool
    ) -> tuple[Tensor, Tensor]:
        """As :meth:`target`; zeros for shifts that there are not."""
        grams, there = [], []
        for axis in AXES:
            for shift in self.shifts:
                there.append(float(shift < features.shape[axis]))
                grams.append(_gram(features, weight, axis, shift, periodic=periodic))
        return torch.stack(grams, 1), features.new_tensor([there])


def _gram(
    features: Tensor, weight: Tensor | None, axis: int, shift: int, *, periodic: bool
) -> Tensor:
    """The mean of ``F(p) F(p+d)^T``, (B, C, C)."""
    one, other = _apart(features, axis, shift, periodic=periodic)
    if weight is None:
        return (one.flatten(2) @ other.flatten(2).mT) / max(1, one[0, 0].numel())
    parts = _apart(weight.to(features), axis, shift, periodic=periodic)
    both = parts[0] * parts[1]
    count = both.sum((1, 2, 3)).clamp_min(1e-12).view(-1, 1, 1)
    return ((one * both).flatten(2) @ other.flatten(2).mT) / count


def _apart(values: Tensor, axis: int, shift: int, *, periodic: bool) -> tuple[Tensor, Tensor]:
    """The values at both ends of every pair that is ``shift`` apart."""
    length = values.shape[axis]
    if shift >= length:
        return values.narrow(axis, 0, 0), values.narrow(axis, 0, 0)
    if periodic:
        return values, values.roll(-shift, axis)
    return values.narrow(axis, 0, length - shift), values.narrow(axis, shift, length - shift)
