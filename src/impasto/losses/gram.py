"""The Gram loss: which features occur together, wherever they occur."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from impasto import native
from impasto.losses.base import LOSSES, SumLoss, Target, relative, total_weight


def gram_sum(features: Tensor, weight: Tensor | None = None) -> Tensor:
    """``sum_p w(p) F(p) F(p)^T``.

    Args:
        features: (B, C, H, W).
        weight: (B, 1, H, W), (1, 1, H, W) or None.

    Returns:
        (B, C, C), symmetric.
    """
    if weight is None:
        return native.gram(features)
    flat = features.flatten(2)  # (B, C, H*W)
    return flat @ (flat * weight.to(flat).flatten(2)).mT


@LOSSES.register("gram")
@dataclass(frozen=True)
class Gram(SumLoss):
    """Squared distance of Gram matrices ``G = sum_p w(p) F(p) F(p)^T / d``.

    With N channels and M positions, ``divide`` chooses d:

    ======== ========= =====================================================
    none     1         as printed (there the factor of ``scale`` has the M)
    hw       M         mean over positions; independent of the picture's size
    chw      N M       jcjohnson's neural-style and descendants
    2chw     2 N M     the survey's form
    ======== ========= =====================================================

    and ``scale`` the factor of ``sum_ij (G - A)_ij^2``, A the target's Gram:

    ======== ================= =============================================
    mean     1 / N^2           mean over entries
    sum      1                 sum over entries
    gatys    1 / (4 N^2 M^2)   as printed, eq. 4
    relative 1 / sum A^2       0 is equal, 1 is a picture without features
    ======== ================= =============================================

    M is the sum of the weights where there is a map.

    Source: Gatys, Ecker & Bethge 2015 and 2016, eq. 3-5; with weights, Gatys et al. 2017.

    Cost: C^2 H W multiply-adds; memory C^2.

    Blends: mean of the Grams, which is the Gram of a picture that holds both.

    Deviations: with ``divide="none"`` the target's Gram is brought to the picture's M first, so
    that pictures of other sizes can be compared; for equal sizes, which is all that the sources
    treat, nothing changes.

    Attributes:
        divide: Divisor of the Gram matrix, see the table.
        scale: Factor of the squared distance, see the table.
    """

    divide: Literal["none", "hw", "chw", "2chw"] = "hw"
    scale: Literal["mean", "sum", "gatys", "relative"] = "mean"

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """The Gram matrix per position, (B, C, C)."""
        count = total_weight(features, weight).clamp_min(1e-12)
        return ((gram_sum(features, weight) / count.view(-1, 1, 1)).detach(),)

    def sums(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Target:
        """Gram sum (B, C, C) and number of positions, (B,) or (1,)."""
        del target
        return gram_sum(features, weight), total_weight(features, weight)

    def add_pull(
        self,
        into: Tensor,
        features: Tensor,
        target: Target,
        slopes: Sequence[Tensor | None],
        weight: Tensor | None = None,
    ) -> None:
        """One product; the sums are not computed again."""
        if weight is not None or slopes[0] is None:
            super().add_pull(into, features, target, slopes, weight)
        else:
            native.add_gram_pull(into, features, slopes[0])

    def gathered(self, sums: Target, around: Target) -> Target:
        """The Gram matrix per position."""
        del around
        return (sums[0] / sums[1].clamp_min(1e-12).view(-1, 1, 1),)

    def value(self, sums: Target, target: Target) -> Tensor:
        """See the tables of the class."""
        gram, count = sums[0], sums[1].clamp_min(1e-12).view(-1, 1, 1)
        goal, channels = target[0].to(gram), gram.shape[-1]
        factor: Tensor | float = 1.0
        if self.divide == "none":
            factor = count
        elif self.divide != "hw":
            factor = (1 if self.divide == "chw" else 0.5) / channels
        error = ((gram / count - goal) * factor).square().sum(dim=(1, 2))
        if self.scale == "relative":
            return relative(error, (goal * factor).square().sum(dim=(1, 2))).mean()
        if self.scale == "gatys":
            return (error / (4 * channels**2 * count.flatten() ** 2)).mean()
        return error.mean() / (channels**2 if self.scale == "mean" else 1)
