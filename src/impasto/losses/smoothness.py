"""Losses that look at the picture alone, and ask for smoothness."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from impasto.losses.base import LOSSES, SumLoss, Target


@LOSSES.register("tv")
@dataclass(frozen=True)
class TotalVariation(SumLoss):
    """Total variation: mean of ``|x(p) - x(p')|^power`` over neighbours p, p'.

    Horizontal and vertical neighbours; the sum of the two means over pairs and channels. With
    ``power=2`` speckle costs most, with ``power=1`` edges stay sharp (Rudin, Osher & Fatemi 1992,
    anisotropic form).

    Cost: two passes over the picture.
    """

    power: float = 2.0

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """Nothing: a smooth picture is the target."""
        del features, weight
        return ()

    def sums(self, features: Tensor, target: Target, weight: Tensor | None) -> Target:
        """Sums over horizontal and vertical pairs (B,) and the numbers of pairs ()."""
        del target
        across, down = features.diff(dim=-1).abs(), features.diff(dim=-2).abs()
        if self.power != 1:
            across, down = across**self.power, down**self.power
        if weight is not None:
            across, down = across * weight[..., 1:], down * weight[..., 1:, :]
        pairs = [features.new_tensor(float(t[0].numel())) for t in (across, down)]
        return across.sum(dim=(1, 2, 3)), down.sum(dim=(1, 2, 3)), *pairs

    def value(self, sums: Target, target: Target) -> Tensor:
        """Mean over pairs, horizontal plus vertical."""
        del target
        across, down, n_across, n_down = sums
        return (across / n_across.clamp_min(1) + down / n_down.clamp_min(1)).mean()
