"""Losses that look at the picture alone, and ask for smoothness or for a range of values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import UsageError
from impasto.losses.base import LOSSES, SumLoss, Target, option, total_weight

_INNER, _NEXT, _LATER, _EARLIER = slice(1, -1), slice(2, None), slice(1, None), slice(None, -1)
#: Pairs of neighbours in a picture with one more pixel on every side, as indices of all of them.
_STRAIGHT = (
    ((..., _INNER, _INNER), (..., _INNER, _NEXT)),
    ((..., _INNER, _INNER), (..., _NEXT, _INNER)),
)
_OBLIQUE = (
    ((..., _EARLIER, _EARLIER), (..., _LATER, _LATER)),
    ((..., _EARLIER, _LATER), (..., _LATER, _EARLIER)),
)


@LOSSES.register("tv")
@dataclass(frozen=True)
class TotalVariation(SumLoss):
    """Total variation: powers of differences between neighbours p, p'.

    With ``dx, dy`` the differences to the right and lower neighbour, by ``form``:

    =========== ============================================ ================================
    anisotropic ``sum |dx|^power + sum |dy|^power``          every pair of neighbours
    isotropic   ``sum (dx^2 + dy^2 + eps)^(power/2) - c``    where both neighbours exist
    nine-point  ``2/3 sum |dx|^power + 2/3 sum |dy|^power    and both diagonals d, d'; the picture
                + 1/6 sum |d|^power + 1/6 sum |d'|^power``   goes on outside as at its edge
    =========== ============================================ ================================

    with ``c = eps^(power/2)``, so that a flat picture has 0. The sums are scaled by ``scale``:

    ====== ==================================================================
    mean   each sum over its own number of pairs and channels
    pixels over N M, channels and positions; the diagonals of "nine-point" over N times
           their number. With "nine-point" and power 2 it is the term of K. Crowson's
           style-transfer-pytorch
    sum    as they are (Mahendran & Vedaldi 2015; TensorFlow's total_variation)
    half   half the sums: "isotropic" with power 2 and eps 0 is the term whose
           gradient jcjohnson's neural-style adds
    ====== ==================================================================

    With ``power=2`` speckle costs most, with ``power=1`` edges stay sharp. With a map, a pair
    weighs the product of its two weights, and means are over weights.

    Source: Rudin, Osher & Fatemi 1992; Mahendran & Vedaldi 2015.

    Cost: two passes over the picture.

    Blends: nothing to blend.

    Deviations: none.

    Attributes:
        power: Exponent, at least 1.
        form: Which differences enter together, see the table.
        scale: Factor, see the table.
        eps: Rounds the corner of the isotropic root at 0; must be positive for powers below 2.
    """

    targetless: ClassVar[bool] = True
    halo: ClassVar[int] = 1
    power: float = option(2.0, least=1)
    form: Literal["anisotropic", "isotropic", "nine-point"] = "anisotropic"
    scale: Literal["mean", "pixels", "sum", "half"] = "mean"
    eps: float = option(1e-8, least=0)

    def __post_init__(self) -> None:
        """Refuse a root whose gradient at 0 is infinite."""
        super().__post_init__()
        if self.form == "isotropic" and self.power < 2 and self.eps == 0:
            raise UsageError("TotalVariation: eps is 0", hint="more than 0 for powers below 2")

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """Nothing: a smooth picture is the target."""
        del features, weight
        return ()

    def sums(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Target:
        """Sums of both kinds of pairs (B,), their weights, and the weight of all entries."""
        del target
        if self.form == "nine-point":
            return self._nine(features, weight)
        across, down = features.diff(dim=-1), features.diff(dim=-2)
        weights = torch.ones_like(features[:1, :1]) if weight is None else weight.to(features)
        by_across = weights[..., 1:] * weights[..., :-1]
        by_down = weights[..., 1:, :] * weights[..., :-1, :]
        if self.form == "isotropic":
            both = across[..., :-1, :].square() + down[..., :-1].square() + self.eps
            across = _power(both, self.power / 2) - self.eps ** (self.power / 2)
            by_across = by_across[..., :-1, :] * by_down[..., :-1]
            down, by_down = down[..., :0], by_down[..., :0]
        else:
            across, down = _power(across.abs(), self.power), _power(down.abs(), self.power)
        channels = features.shape[1]
        return (
            (across * by_across).sum(dim=(1, 2, 3)),
            (down * by_down).sum(dim=(1, 2, 3)),
            by_across.sum(dim=(1, 2, 3)) * channels,
            by_down.sum(dim=(1, 2, 3)) * channels,
            total_weight(features, weight) * channels,
        )

    def gathered(self, sums: Target, around: Target) -> Target:
        """Nothing, as :meth:`target`."""
        del sums, around
        return ()

    def _nine(self, features: Tensor, weight: Tensor | None) -> Target:
        """The pairs along rows and columns, those along diagonals, and their weights."""
        channels = features.shape[1]
        weights = torch.ones_like(features[:1, :1]) if weight is None else weight.to(features)
        image, around = (F.pad(t, (1, 1, 1, 1), mode="replicate") for t in (features, weights))
        entries = weights.sum(dim=(1, 2, 3)) * channels
        straight, oblique = features.new_zeros(()), features.new_zeros(())
        counted = entries.new_zeros(())
        for here, there in _STRAIGHT:
            pairs = _power((image[there] - image[here]).abs(), self.power)
            straight = straight + (pairs * around[there] * around[here]).sum(dim=(1, 2, 3))
        for here, there in _OBLIQUE:
            pairs, both = (image[there] - image[here]).abs(), around[there] * around[here]
            oblique = oblique + (_power(pairs, self.power) * both).sum(dim=(1, 2, 3))
            counted = counted + both.sum(dim=(1, 2, 3)) * channels / 2
        return straight * 2 / 3, oblique / 6, entries, counted, entries

    def value(self, sums: Target, target: Target) -> Tensor:
        """See the tables of the class."""
        del target
        across, down, n_across, n_down, entries = sums
        if self.scale == "mean" or (self.scale == "pixels" and self.form == "nine-point"):
            return (across / n_across.clamp_min(1e-12) + down / n_down.clamp_min(1e-12)).mean()
        if self.scale == "pixels":
            return ((across + down) / entries.clamp_min(1e-12)).mean()
        return (across + down).mean() / (2 if self.scale == "half" else 1)


@LOSSES.register("range")
@dataclass(frozen=True)
class Range(SumLoss):
    """A prior on the values of the picture.

    By ``form``, with ``centre = (low + high) / 2`` and ``radius = (high - low) / 2``:

    ==== =============================================== ==================================
    norm ``mean |(x - centre) / radius|^power``          draws all values to the middle
    box  ``mean |x - clamp(x, low, high)|^power``        0 inside the range
    ==== =============================================== ==================================

    The mean is over channels and (weighted) positions.

    Source: Mahendran & Vedaldi 2015 (alpha-norm, power 6); the box form is common.

    Cost: one pass over the picture.

    Blends: nothing to blend.

    Deviations: a mean, not a sum; pictures here lie in [0, 1], the source's around 0.

    Attributes:
        form: Which prior, see the table.
        power: Exponent, at least 1.
        low: Lower end of the range.
        high: Upper end; more than ``low``.
    """

    targetless: ClassVar[bool] = True
    form: Literal["norm", "box"] = "norm"
    power: float = option(6.0, least=1)
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        """Refuse an empty range."""
        super().__post_init__()
        if not self.low < self.high:
            raise UsageError(f"Range: high is {self.high!r}", hint=f"more than low, {self.low!r}")

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """Nothing: the range is in the settings."""
        del features, weight
        return ()

    def sums(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Target:
        """Sum over entries (B,) and their weight."""
        del target
        if self.form == "norm":
            off = (features - (self.low + self.high) / 2) / ((self.high - self.low) / 2)
        else:
            off = features - features.clamp(self.low, self.high).detach()
        size = _power(off.abs(), self.power)
        if weight is not None:
            size = size * weight.to(size)
        return size.sum(dim=(1, 2, 3)), total_weight(features, weight) * features.shape[1]

    def gathered(self, sums: Target, around: Target) -> Target:
        """Nothing, as :meth:`target`."""
        del sums, around
        return ()

    def value(self, sums: Target, target: Target) -> Tensor:
        """Mean over entries."""
        del target
        return (sums[0] / sums[1].clamp_min(1e-12)).mean()


def _power(values: Tensor, power: float) -> Tensor:
    """``values ** power`` for values >= 0, the common powers without ``pow``."""
    if power == 1:
        return values
    return values.square() if power == 2 else values**power
