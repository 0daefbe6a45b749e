"""The Gram loss: which features occur together, wherever they occur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from impasto.losses.base import LOSSES, SumLoss, Target, total_weight


def gram_sum(features: Tensor, weight: Tensor | None = None) -> Tensor:
    """``sum_p w(p) F(p) F(p)^T``.

    Args:
        features: (B, C, H, W).
        weight: (1, 1, H, W) or None.

    Returns:
        (B, C, C), symmetric.
    """
    flat = features.flatten(2)  # (B, C, H*W)
    other = flat if weight is None else flat * weight.to(flat).flatten(2)
    return flat @ other.mT


@LOSSES.register("gram")
@dataclass(frozen=True)
class Gram(SumLoss):
    """Squared distance of Gram matrices ``G = sum_p w(p) F(p) F(p)^T / d``.

    Source: Gatys, Ecker & Bethge 2015 and 2016, eq. 3-5; with weights, Gatys et al. 2017.

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

    M is the sum of the weights where there is a map. With ``divide="none"`` the target's Gram
    is brought to the picture's M first, so that pictures of other sizes can be compared; for
    equal sizes, which is all that the source treats, nothing changes.

    Cost: C^2 H W multiply-adds; memory C^2.
    """

    divide: Literal["none", "hw", "chw", "2chw"] = "hw"
    scale: Literal["mean", "sum", "gatys", "relative"] = "mean"

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """The Gram matrix per position, (B, C, C)."""
        count = total_weight(features, weight).clamp_min(1e-12)
        return ((gram_sum(features, weight) / count).detach(),)

    def sums(self, features: Tensor, target: Target, weight: Tensor | None) -> Target:
        """Gram sum (B, C, C) and number of positions ()."""
        del target
        return gram_sum(features, weight), total_weight(features, weight)

    def value(self, sums: Target, target: Target) -> Tensor:
        """See the tables of the class."""
        gram, count = sums[0], sums[1].clamp_min(1e-12)
        goal = target[0].to(gram)
        channels = gram.shape[-1]
        factor = {"none": count, "hw": 1.0, "chw": 1 / channels, "2chw": 0.5 / channels}[
            self.divide
        ]
        error = ((gram / count - goal) * factor).square().sum(dim=(1, 2))
        if self.scale == "relative":
            size = (goal * factor).square().sum(dim=(1, 2))
            return (error / size.clamp_min(torch.finfo(size.dtype).tiny)).mean()
        if self.scale == "gatys":
            return (error / (4 * channels**2 * count**2)).mean()
        return error.mean() / (channels**2 if self.scale == "mean" else 1)
