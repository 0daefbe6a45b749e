"""The contextual loss: every feature of the target finds its own in the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from impasto.losses.base import (
    LOSSES,
    Loss,
    Target,
    draw_positions,
    flat_weight,
    option,
    seed_at,
    unit,
    weighted_mean,
)


@LOSSES.register("contextual")
@dataclass(frozen=True)
class Contextual(Loss):
    """``-log 1/N sum_j max_i CX_ij`` over positions i of the picture, j of the target.

    ``CX_ij = softmax_j((1 - d_ij / (min_k d_ik + eps)) / bandwidth)``, with d_ij the cosine
    distance of features after subtracting the target's mean: how much more alike i is to j than
    to the rest. Positions count, not where they are; works as style and, with a photo that is not
    aligned, as content. Its least value is above 0, unless all features of the target differ far
    more than ``bandwidth``.

    Source: Mechrez, Talmi & Zelnik-Manor 2018.

    Cost: M M' C multiply-adds, twice, as each chunk is computed again for the gradient; M and M'
    at most ``samples``. Memory: ``chunk`` x M' numbers a few times.

    Blends: mean of the losses against each target, so its cost is the sum of theirs.

    Deviations: cosine distance is 1 - cos, from 0 to 2, where the authors' code halves it, which
    changes nothing but eps. More positions than ``samples`` are drawn at random, a function of
    ``seed``, where the authors crop.

    Attributes:
        bandwidth: h; small ones single out the best match.
        eps: Keeps the relative distance finite.
        samples: Largest number of positions of picture and target each.
        chunk: Positions of the picture compared at once.
        seed: Of the positions.
    """

    bandwidth: float = option(0.1, above=0)
    eps: float = option(1e-5, above=0)
    samples: int = option(4096, least=1)
    chunk: int = option(512, least=1)
    seed: int = option(0, least=0)

    def at(self, step: int) -> Self:
        """With the positions of a step."""
        return replace(self, seed=seed_at(self.seed, step))

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """Features (B, C, m), their weights (B or 1, 1, m), and the target's share, 1."""
        weights = flat_weight(features, weight)
        index = draw_positions(weights, self.samples, self.seed)
        values = features.detach().flatten(2)[..., index]
        return values, weights[:, None, index], features.new_ones(())

    def blend(self, targets: Sequence[Target], weights: Sequence[float]) -> Target:
        """All targets in a row, three tensors each; those of weight 0 are left out."""
        flat: list[Tensor] = []
        for target, weight in zip(targets, weights, strict=True):
            for values, own, share in _triples(target):
                flat += (values, own, share * weight) if weight > 0 else ()
        return tuple(flat)

    def __call__(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """See the class."""
        own = flat_weight(features, weight)
        index = draw_positions(own, self.samples, self.seed)
        found = features.flatten(2)[..., index]
        outside = (own[:, None, index] <= 0).mT  # (., n, 1)
        total = features.new_zeros(())
        for values, weights, share in _triples(target):
            value = self._one(found, values.to(found), weights.to(found), outside)
            total = total + share.to(found) * value
        return total

    def _one(self, found: Tensor, goal: Tensor, weights: Tensor, outside: Tensor) -> Tensor:
        """The loss of features (B, C, n) against one target's (B or 1, C, m)."""
        centre = weighted_mean(goal, weights)[..., None]
        goal, found = unit(goal - centre), unit(found - centre)
        parts = zip(
            torch.split(found, self.chunk, -1), torch.split(outside, self.chunk, 1), strict=True
        )
        best = [
            checkpoint(self._best, part, goal, weights, hidden, use_reentrant=False)
            for part, hidden in parts
        ]
        most = weighted_mean(torch.stack(best).amax(0), weights[:, 0])
        # Sums of float32 shares may exceed 1 by a rounding error.
        return -most.clamp(torch.finfo(most.dtype).tiny, 1).log().mean()

    def _best(self, found: Tensor, goal: Tensor, weights: Tensor, outside: Tensor) -> Tensor:
        """``max_i CX_ij`` over some positions i, (B, m)."""
        distance = (1 - found.mT @ goal).clamp_min(0)  # (B, n, m)
        distance = distance.masked_fill(weights <= 0, 4.0)
        least = distance.amin(2, keepdim=True)
        logits = -distance / (least + self.eps) / self.bandwidth + weights.log()
        return logits.softmax(2).masked_fill(outside, 0).amax(1)


def _triples(target: Target) -> list[tuple[Tensor, Tensor, Tensor]]:
    return list(zip(target[::3], target[1::3], target[2::3], strict=True))
