"""Mean and spread of features: AdaIN's statistics, and full covariances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from impasto.losses.base import (
    LOSSES,
    SumLoss,
    Target,
    mix,
    option,
    relative,
    total_weight,
)
from impasto.losses.gram import gram_sum

Scale = Literal["mean", "sum", "relative"]


def mean_of(features: Tensor, weight: Tensor | None = None) -> Tensor:
    """Weighted mean over positions, (B, C)."""
    summed = features if weight is None else features * weight.to(features)
    count = total_weight(features, weight).clamp_min(1e-12).view(-1, 1)
    return summed.sum(dim=(2, 3)) / count


def mean_cov(features: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Weighted mean (B, C) and covariance (B, C, C) over positions, divided by their number."""
    mean = mean_of(features, weight)
    count = total_weight(features, weight).clamp_min(1e-12).view(-1, 1, 1)
    return mean, gram_sum(features - mean[:, :, None, None], weight) / count


def moment_sums(features: Tensor, around: Tensor, weight: Tensor | None) -> Target:
    """First and second moment sums around a point, (B, C) and (B, C, C), and the count.

    Around the target's mean, not around 0: of a picture that is nearly there, both are small, and
    float32 keeps their digits. They add up over parts all the same.
    """
    centred = features - around.to(features)[:, :, None, None]
    weighted = centred if weight is None else centred * weight.to(centred)
    return weighted.sum(dim=(2, 3)), gram_sum(centred, weight), total_weight(features, weight)


def settle(sums: Target) -> tuple[Tensor, Tensor]:
    """Offset of the mean (B, C) and covariance (B, C, C) from :func:`moment_sums`."""
    first, second, count = sums
    count = count.clamp_min(1e-12)
    offset = first / count.view(-1, 1)
    return offset, second / count.view(-1, 1, 1) - offset[:, :, None] * offset[:, None, :]


def blend_moments(
    moments: Sequence[tuple[Tensor, Tensor]], weights: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the mixture of several distributions, given theirs."""
    mean = mix([(m,) for m, _ in moments], weights)[0]
    spread = [(cov + (m - mean)[..., :, None] * (m - mean)[..., None, :],) for m, cov in moments]
    return mean, mix(spread, weights)[0]


@LOSSES.register("mean-std")
@dataclass(frozen=True)
class MeanStd(SumLoss):
    """Squared distance of the channels' means and standard deviations.

    ``sum_c (m_c - m'_c)^2 + (s_c - s'_c)^2`` with ``s_c = sqrt(var_c + eps)``, times a factor by
    ``scale``:

    ======== ============================= =======================================
    mean     1 / N                         each part a mean over the N channels
    sum      1                             sum over channels
    relative 1 / sum_c (m'_c^2 + s'_c^2)   0 is equal, 1 is a picture without features
    ======== ============================= =======================================

    Source: Huang & Belongie 2017 (AdaIN); Li, Wang, Liu & Hou 2017.

    Cost: two passes over the features; memory C.

    Blends: mean of the means and of the deviations, as AdaIN's interpolation of styles does.

    Deviations: variances are divided by M, not M - 1.

    Attributes:
        scale: Factor, see the table.
        spread: What is compared beside the mean: deviation or variance.
        eps: Added to the variance under the root.
    """

    scale: Scale = "mean"
    spread: Literal["std", "var"] = "std"
    eps: float = option(1e-5, above=0)

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """Mean and spread, each (B, C)."""
        features = features.detach()
        mean = mean_of(features, weight)
        return mean, self._spread(mean_of((features - mean[:, :, None, None]).square(), weight))

    def sums(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Target:
        """First and second moment around the target's mean, (B, C), and the count."""
        centred = features - target[0].to(features)[:, :, None, None]
        weighted = centred if weight is None else centred * weight.to(centred)
        count = total_weight(features, weight)
        return weighted.sum(dim=(2, 3)), (weighted * centred).sum(dim=(2, 3)), count

    def gathered(self, sums: Target, around: Target) -> Target:
        """Mean and spread."""
        first, second, count = sums
        count = count.clamp_min(1e-12).view(-1, 1)
        offset = first / count
        variance = (second / count - offset.square()).clamp_min(0)
        return around[0] + offset, self._spread(variance)

    def value(self, sums: Target, target: Target) -> Tensor:
        """See the table of the class."""
        first, second, count = sums
        count = count.clamp_min(1e-12).view(-1, 1)
        offset = first / count
        mean, spread = (t.to(first) for t in target)
        found = self._spread((second / count - offset.square()).clamp_min(0))
        error = (offset.square() + (found - spread).square()).sum(1)
        if self.scale == "relative":
            return relative(error, (mean.square() + spread.square()).sum(1)).mean()
        return error.mean() / (mean.shape[1] if self.scale == "mean" else 1)

    def _spread(self, variance: Tensor) -> Tensor:
        return (variance + self.eps).sqrt() if self.spread == "std" else variance


@LOSSES.register("mean-cov")
@dataclass(frozen=True)
class MeanCovariance(SumLoss):
    """Distance of means and of covariance matrices.

    With N channels: ``a sum_i |m_i - m'_i|^p + b sum_ij |C_ij - C'_ij|^p``, p = 2 for ``norm``
    "l2" and 1 for "l1"; factors by ``scale``:

    ======== ===== ======= ====================================================
    scale    a     b
    mean     1/N   1/N^2   each part a mean over its entries
    sum      1     1       sums
    relative ...   ...     each part over its value for a picture without features
    ======== ===== ======= ====================================================

    where the two parts of "relative" count one half each.

    Source: Kolkin, Salavon & Shakhnarovich 2019 (STROTSS), with ``norm="l1"``.

    Cost: C^2 H W multiply-adds; memory C^2.

    Blends: moments of the mixture: a picture that holds both.

    Deviations: per layer, where the source takes all layers' features as one vector (for that,
    ``remd`` has ``moments``).

    Attributes:
        scale: Factors, see the table.
        norm: Squared or absolute differences.
    """

    scale: Scale = "mean"
    norm: Literal["l2", "l1"] = "l2"

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """Mean (B, C) and covariance (B, C, C)."""
        return mean_cov(features.detach(), weight)

    def blend(self, targets: Sequence[Target], weights: Sequence[float]) -> Target:
        """Moments of the mixture."""
        return blend_moments([(t[0], t[1]) for t in targets], weights)

    def sums(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Target:
        """Moment sums around the target's mean, (B, C) and (B, C, C), and the count."""
        return moment_sums(features, target[0], weight)

    def gathered(self, sums: Target, around: Target) -> Target:
        """Mean and covariance."""
        offset, covariance = settle(sums)
        return around[0] + offset, covariance

    def value(self, sums: Target, target: Target) -> Tensor:
        """See the table of the class."""
        offset, covariance = settle(sums)
        mean, goal = (t.to(offset) for t in target)
        of_mean, of_cov = self._size(offset), self._size(covariance - goal)
        if self.scale == "relative":
            parts = relative(of_mean, self._size(mean)) + relative(of_cov, self._size(goal))
            return parts.mean() / 2
        channels = mean.shape[1] if self.scale == "mean" else 1
        return (of_mean / channels + of_cov / channels**2).mean()

    def _size(self, difference: Tensor) -> Tensor:
        entries = difference.abs() if self.norm == "l1" else difference.square()
        return entries.flatten(1).sum(1)
