"""Optimal transport on the line: histogram matching and the sliced Wasserstein distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor

from impasto.losses.base import (
    LOSSES,
    Loss,
    Target,
    draw_positions,
    flat_weight,
    option,
    relative,
    seed_at,
    weighted_mean,
)

Scale = Literal["mean", "sum", "relative"]


def sort_weighted(values: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Values in rising order along the last axis, and their weights in the same order.

    Args:
        values: (B, K, M).
        weights: (B or 1, 1 or K, M), or None where all count alike.

    Returns:
        Both, (B, K, M); the weights are None if they were.
    """
    ordered, index = values.sort(dim=-1)
    return ordered, None if weights is None else weights.expand_as(values).gather(-1, index)


@torch.no_grad()
def quantile_match(
    values: Tensor, weights: Tensor | None, goal: Tensor, goal_weights: Tensor | None
) -> Tensor:
    """The value that the monotone map onto another distribution gives to each value.

    The i-th of M values in rising order stands at quantile ``(w_1 + ... + w_i - w_i / 2) / sum
    w`` and is given the goal's value there: the first whose running share of the goal's weights
    reaches it. With equally many values of equal weight, the i-th gets the i-th.

    Args:
        values: (B, K, M), in any order.
        weights: (B or 1, 1 or K, M) or None.
        goal: (B or 1, K, M'), in rising order along the last axis.
        goal_weights: (B or 1, K, M') or None.

    Returns:
        (B, K, M), in the order of ``values``; carries no gradient.
    """
    order = values.argsort(dim=-1)
    goal = goal.expand(values.shape[0], -1, -1)
    count, available = values.shape[-1], goal.shape[-1]
    if weights is None and goal_weights is None:
        # ceil(quantile * M') - 1 in whole numbers.
        twice = 2 * torch.arange(count, device=values.device) + 1
        found = goal[..., (twice * available + 2 * count - 1) // (2 * count) - 1]
    else:
        ones = torch.ones_like
        own = ones(values) if weights is None else weights.expand_as(values).gather(-1, order)
        theirs = ones(goal) if goal_weights is None else goal_weights.expand_as(goal)
        reached = _running(theirs)
        at = _running(own) - own / (2 * own.sum(-1, keepdim=True).clamp_min(1e-30))
        # Sums that are equal but for rounding count as reached.
        index = torch.searchsorted(reached, at.contiguous() - 1e-12).clamp_max(available - 1)
        found = goal.gather(-1, index)
    return torch.empty_like(values).scatter_(-1, order, found.to(values))


def _running(weights: Tensor) -> Tensor:
    """Running share of the sum; in float64, since sums of many weights lose digits."""
    summed = weights.double().cumsum(-1)
    return summed / summed[..., -1:].clamp_min(1e-30)


@LOSSES.register("histogram")
@dataclass(frozen=True)
class Histogram(Loss):
    """Distance to the features after histogram matching, channel by channel.

    ``sum_c sum_p w(p) (F_c(p) - R_c(F_c(p)))^2`` where R_c maps the channel's values onto the
    target's distribution and carries no gradient: the squared Wasserstein distance of the two
    histograms. Times a factor by ``scale``:

    ======== ================================ ==========================================
    mean     1 / (N M)                        mean over channels and positions
    sum      1                                as printed
    relative 1 / sum of squares of R          0 is equal, 1 is a picture without features
    ======== ================================ ==========================================

    Source: Risser, Wilmot & Barnes 2017.

    Cost: one sort of the features, C H W log(H W); memory for three copies of them.

    Blends: mixture of the distributions, a picture that holds both.

    Deviations: the values are sorted, which is exact, where the source counts them into 256 bins.

    Attributes:
        scale: Factor, see the table.
    """

    scale: Scale = "mean"

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """Sorted values (B, C, M); with a map or a blend also their weights."""
        weights = None if weight is None else flat_weight(features, weight)[:, None]
        return _pack(*sort_weighted(features.detach().flatten(2), weights))

    def blend(self, targets: Sequence[Target], weights: Sequence[float]) -> Target:
        """The mixture, sorted anew."""
        return _pack(*sort_weighted(*union(targets, weights)))

    def __call__(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """See the table of the class."""
        flat = features.flatten(2)
        own = None if weight is None else flat_weight(features, weight)[:, None]
        matched = quantile_match(flat.detach(), own, *_unpack(target, flat))
        return scaled(flat - matched, matched, own, self.scale)


@LOSSES.register("sliced-wasserstein")
@dataclass(frozen=True)
class SlicedWasserstein(Loss):
    """Squared Wasserstein distance of features projected on random directions.

    For K random unit vectors v: ``1/K sum_v sum_p w(p) (<v, F(p)> - q_v(p))^2``, q_v(p) the value
    of the same quantile among the target's projections. Distances vanish only for equal
    distributions. Times a factor by ``scale``:

    ======== ================================ ==========================================
    mean     1 / M                            mean over positions
    relative 1 / sum of squares of q          0 is equal, 1 is a picture without features
    ======== ================================ ==========================================

    The directions are a function of ``seed``; the engine asks for a new seed each step, except
    for L-BFGS, which needs an objective that stands still.

    Source: Heitz, Vanhoey, Chambon & Belcour 2021; Bonneel et al. 2015.

    Cost: K C M multiply-adds and K sorts of M values, M at most ``samples``; memory K M.

    Blends: mixture of the distributions, a picture that holds both.

    Deviations: the source projects on C directions and looks at all positions; here K and the
    number of positions are bounded, and all positions are seen over the steps.

    Attributes:
        projections: K, the number of directions.
        samples: Largest number of positions looked at, in picture and target each.
        scale: Factor, see the table.
        seed: Of directions and positions.
    """

    projections: int = option(32, least=1)
    samples: int = option(16384, least=1)
    scale: Literal["mean", "relative"] = "mean"
    seed: int = option(0, least=0)

    def at(self, step: int) -> Self:
        """With the directions and positions of a step."""
        return replace(self, seed=seed_at(self.seed, step))

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """Features at some positions (B, C, m); with a map or a blend also their weights."""
        values, weights = self._looked_at(features.detach(), weight)
        return _pack(values, weights)

    def blend(self, targets: Sequence[Target], weights: Sequence[float]) -> Target:
        """The mixture."""
        return _pack(*union(targets, weights))

    def __call__(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """See the table of the class."""
        values, own = self._looked_at(features, weight)
        theirs, theirs_weights = _unpack(target, values)
        directions = self._directions(values)
        projected = directions @ values  # (B, K, m)
        goal, goal_weights = sort_weighted(directions @ theirs, theirs_weights)
        matched = quantile_match(projected.detach(), own, goal, goal_weights)
        return scaled(projected - matched, matched, own, self.scale)

    def _looked_at(self, features: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
        weights = flat_weight(features, weight)
        index = draw_positions(weights, self.samples, self.seed)
        values = features.flatten(2)[..., index]
        return values, None if weight is None else weights[:, None, index]

    def _directions(self, like: Tensor) -> Tensor:
        random = torch.Generator().manual_seed(self.seed)
        drawn = torch.randn(
            self.projections, like.shape[1], generator=random, dtype=torch.float64, device="cpu"
        )
        directions: Tensor = drawn / drawn.norm(dim=1, keepdim=True).clamp_min(1e-12)
        return directions.to(like)


def scaled(off: Tensor, goal: Tensor, weights: Tensor | None, scale: Scale) -> Tensor:
    """Mean over the batch of squared distances (B, K, M), by ``scale``; sums are over K too."""
    error, size = off.square(), goal.square()
    if weights is None:
        weights = error.new_ones(1, 1, error.shape[-1])
    if scale == "mean":
        return weighted_mean(error, weights).mean()
    error, size = ((t * weights).sum(dim=(1, 2)) for t in (error, size))
    return (relative(error, size) if scale == "relative" else error).mean()


def union(targets: Sequence[Target], weights: Sequence[float]) -> tuple[Tensor, Tensor]:
    """All samples of several targets (values[, weights]), each target with its share in all."""
    values, shares = [], []
    for target, share in zip(targets, weights, strict=True):
        own = target[1] if len(target) > 1 else target[0].new_ones(1, 1, target[0].shape[-1])
        own = own * (share / own.sum(-1, keepdim=True).clamp_min(1e-30))
        values.append(target[0])
        shares.append(own.expand(*target[0].shape[:1], own.shape[1], -1))
    channels = max(s.shape[1] for s in shares)
    return torch.cat(values, -1), torch.cat([s.expand(-1, channels, -1) for s in shares], -1)


def _pack(values: Tensor, weights: Tensor | None) -> Target:
    return (values,) if weights is None else (values, weights)


def _unpack(target: Target, like: Tensor) -> tuple[Tensor, Tensor | None]:
    return target[0].to(like), target[1].to(like) if len(target) > 1 else None
