"""Losses position by position: plain squared distance, and one in the manner of LPIPS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from impasto.losses.base import LOSSES, SumLoss, Target, option, relative, total_weight, unit


@LOSSES.register("content")
@dataclass(frozen=True)
class Content(SumLoss):
    """Squared feature distance ``sum_p w(p) |F(p) - P(p)|^2``, times a factor.

    With N channels and M positions (M is the sum of the weights where there is a map), the factor
    is by ``scale``:

    ======== ============================ ==========================================
    mean     1 / (N M)                    TensorFlow's and PyTorch's mean
    half     1 / 2                        Gatys, Ecker & Bethge 2016, eq. 1
    root     1 / (2 sqrt(N) sqrt(M))      the TensorFlow VGG-19 programs
    relative 1 / sum_p w(p) |P(p)|^2      0 is equal, 1 is a picture without features
    l1       1 / sum_p w(p) |F(p)-P(p)|_1 Crowson's ScaledMSELoss: of the size of |F - P|
    ======== ============================ ==========================================

    Source: Gatys, Ecker & Bethge 2016, eq. 1; ``l1``: K. Crowson's style-transfer-pytorch.

    Cost: one pass over the features; memory for one difference and the target.

    Blends: mean of the feature maps, which must have one size.

    Deviations: none.

    Attributes:
        scale: Factor, see the table.
    """

    aligned: ClassVar[bool] = True
    scale: Literal["mean", "half", "root", "relative", "l1"] = "mean"

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """The features themselves, detached."""
        del weight
        return (features.detach().clone(),)

    def sums(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Target:
        """Squared distance, what it is divided by, if anything, and number of entries."""
        goal = target[0].to(features)
        error = features - goal
        size = torch.zeros_like(goal[:, :1, :1, :1])
        if self.scale in ("relative", "l1"):
            size = error.abs() if self.scale == "l1" else goal.square()
        error = error.square()
        if weight is not None:
            error, size = error * weight.to(error), size * weight.to(size)
        entries = total_weight(features, weight) * features.shape[1]
        return error.sum(dim=(1, 2, 3)), size.sum(dim=(1, 2, 3)), entries

    def add_pull(
        self,
        into: Tensor,
        features: Tensor,
        target: Target,
        slopes: Sequence[Tensor | None],
        weight: Tensor | None = None,
    ) -> None:
        """One pass; the sums are not computed again."""
        if self.scale == "l1" or slopes[0] is None:
            super().add_pull(into, features, target, slopes, weight)
            return
        factor = 2 * slopes[0].to(features).view(-1, 1, 1, 1)
        if weight is not None:
            factor = factor * weight.to(features)
        into.addcmul_(features - target[0].to(features), factor)

    def value(self, sums: Target, target: Target) -> Tensor:
        """See the table of the class."""
        del target
        error, size, entries = sums
        if self.scale == "half":
            return error.mean() / 2
        if self.scale == "root":
            return (error / (2 * entries.clamp_min(1e-12).sqrt())).mean()
        if self.scale == "relative":
            return relative(error, size).mean()
        if self.scale == "l1":
            return (error / (size + 1e-8)).mean()
        return (error / entries.clamp_min(1e-12)).mean()


@LOSSES.register("perceptual")
@dataclass(frozen=True)
class Perceptual(SumLoss):
    """Distance of feature directions ``1/M sum_p w(p) |F(p)/|F(p)| - P(p)/|P(p)||^2``.

    Each position's feature vector is brought to length 1 first, so bright or strong regions count
    no more than faint ones. A term over several layers with ``layer_weights`` of 1 is the sum
    over layers of the source. Values lie in [0, 4], after ReLUs in [0, 2].

    Source: Zhang, Isola, Efros, Shechtman & Wang 2018 (LPIPS).

    Cost: a few passes over the features; memory for the target and two differences.

    Blends: mean of the unit vectors, not brought back to length 1, so that the loss of two
    targets' blend is the blend of their losses up to a constant.

    Deviations: the source's learnt channel weights are not included; all channels weigh 1, which
    the source calls the uncalibrated baseline. ``eps`` is added to the squared length, not to the
    length, to keep the gradient finite where all features are 0.

    Attributes:
        eps: Added to the squared length.
    """

    aligned: ClassVar[bool] = True
    eps: float = option(1e-8, above=0)

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """Unit vectors, (B, C, H, W)."""
        del weight
        return (unit(features.detach(), eps=self.eps),)

    def sums(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Target:
        """Squared distance of directions (B,) and number of positions."""
        error = (unit(features, eps=self.eps) - target[0].to(features)).square()
        if weight is not None:
            error = error * weight.to(error)
        return error.sum(dim=(1, 2, 3)), total_weight(features, weight)

    def value(self, sums: Target, target: Target) -> Tensor:
        """Mean over positions."""
        del target
        return (sums[0] / sums[1].clamp_min(1e-12)).mean()
