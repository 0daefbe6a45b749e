"""STROTSS: losses on hypercolumns, the features of all layers at one position as one vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.losses.base import (
    LOSSES,
    JointLoss,
    Target,
    draw_positions,
    flat_weight,
    mix,
    option,
    seed_at,
    unit,
    weighted_mean,
)
from impasto.losses.moments import mean_cov

Metric = Literal["cosine", "euclidean", "both"]


def finest(features: Sequence[Tensor]) -> int:
    """Which of several layers has most positions, the first of those."""
    sizes = [f.shape[-2] * f.shape[-1] for f in features]
    return sizes.index(max(sizes))


def hypercolumns(features: Sequence[Tensor], index: Tensor) -> Tensor:
    """Features of all layers at some positions of the finest one.

    Args:
        features: Per layer (B, C_l, H_l, W_l).
        index: Positions of the finest layer, counted row by row, (n,).

    Returns:
        (B, sum of C_l, n); coarser layers are interpolated linearly between their centres.
    """
    height, width = features[finest(features)].shape[-2:]
    y, x = (index // width + 0.5) / height, (index % width + 0.5) / width
    columns = []
    for layer in features:
        if layer.shape[-2:] == (height, width):
            columns.append(layer.flatten(2)[..., index])
            continue
        # Beyond the outermost centres the layer goes on unchanged.
        edges = [0.5 / edge for edge in layer.shape[-2:]]
        place = [t.clamp(e, 1 - e) * 2 - 1 for t, e in zip((y, x), edges, strict=True)]
        grid = torch.stack((place[1], place[0]), -1).to(layer)[None, None]
        grid = grid.expand(layer.shape[0], -1, -1, -1)
        columns.append(F.grid_sample(layer, grid, align_corners=False)[:, :, 0])
    return torch.cat(columns, 1)


def distances(x: Tensor, y: Tensor, metric: Metric) -> Tensor:
    """All pairs of columns of (B, D, n) and (B or 1, D, m) as (B, n, m).

    Cosine distance in [0, 2]; Euclidean distance over sqrt(D); or the sum of the two.
    """
    total = x.new_zeros(())
    if metric != "euclidean":
        total = total + (1 - unit(x).mT @ unit(y)).clamp_min(0)
    if metric != "cosine":
        inner = x.square().sum(1)[:, :, None] + y.square().sum(1)[:, None, :]
        total = total + _length((inner - 2 * x.mT @ y).clamp_min(0) / x.shape[1])
    return total


def distances_of_pairs(x: Tensor, y: Tensor, metric: Metric) -> Tensor:
    """Distances of equally many columns, (B, D, n) and (B, D, n), as (B, n).

    The same as the diagonal of :func:`distances`, but from differences, which keep their digits
    where the columns are nearly equal.
    """
    total = x.new_zeros(())
    if metric != "euclidean":
        total = total + (unit(x) - unit(y)).square().sum(1) / 2
    if metric != "cosine":
        total = total + _length((x - y).square().mean(1))
    return total


def _length(squared: Tensor) -> Tensor:
    """A root with a finite slope at 0, where it is 0."""
    return ((squared + 1e-12).sqrt() - 1e-6).clamp_min(0)


@LOSSES.register("remd")
@dataclass(frozen=True)
class RelaxedEMD(JointLoss):
    """Relaxed earth mover's distance between the hypercolumns of picture and painting.

    ``max(1/n sum_i min_j C_ij, 1/m sum_j min_i C_ij)`` with C_ij the distance of column i of the
    picture to column j of the painting; plus ``moments`` times ``1/d |m - m'|_1 + 1/d^2 |S -
    S'|_1`` of their means and covariances, d channels in all. Columns are taken at no more than
    ``samples`` positions, a function of ``seed``; the engine asks for a new seed each step.

    On the picture itself with ``metric="both"`` it is the source's palette term: there, colours
    are turned into another orthonormal basis first, which changes none of these distances.

    Source: Kolkin, Salavon & Shakhnarovich 2019 (STROTSS).

    Cost: n m d multiply-adds, with ``moments`` also n d^2; memory n m and d^2, whatever the size
    of the picture; the network's features not counted.

    Blends: mixture of the paintings' columns.

    Deviations: Euclidean distances are over sqrt(d) as in the authors' code. Positions are drawn
    at random without grid. With ``moments`` each covariance is divided by n.

    Attributes:
        metric: Distance of columns: "cosine", "euclidean" or the sum, "both".
        moments: Weight of the moment term; the source has 1 beside the cosine distance.
        samples: Largest number of columns of picture and painting each.
        seed: Of the positions.
    """

    metric: Metric = "cosine"
    moments: float = option(0.0, least=0)
    samples: int = option(1024, least=1)
    seed: int = option(0, least=0)

    def at(self, step: int) -> Self:
        """With the positions of a step."""
        return replace(self, seed=seed_at(self.seed, step))

    def target(self, features: tuple[Tensor, ...], weight: Tensor | None = None) -> Target:
        """Columns (B, d, m), weights (B or 1, m), and mean and second moment if they count."""
        columns, weights = _columns([f.detach() for f in features], weight, self.samples, self.seed)
        if not self.moments:
            return columns, weights
        mean, covariance = _moments(columns, weights)
        return columns, weights, mean, covariance + mean[:, :, None] * mean[:, None, :]

    def blend(self, targets: Sequence[Target], weights: Sequence[float]) -> Target:
        """All columns, each painting's with its share in the weight."""
        columns = torch.cat([t[0] for t in targets], -1)
        shares = [
            share * t[1] / t[1].sum(-1, keepdim=True).clamp_min(1e-30)
            for t, share in zip(targets, weights, strict=True)
        ]
        return columns, torch.cat(shares, -1), *mix([t[2:] for t in targets], weights)

    def __call__(
        self, features: tuple[Tensor, ...], target: Target, weight: Tensor | None = None
    ) -> Tensor:
        """See the class."""
        found, own = _columns(features, weight, self.samples, self.seed)
        goal, theirs = target[0].to(found), target[1].to(found)
        to_goal, to_found = self._nearest(found.detach(), own, goal, theirs)
        there = distances_of_pairs(found, _picked(goal, to_goal), self.metric)
        back = distances_of_pairs(
            _picked(found, to_found), goal.expand(len(found), -1, -1), self.metric
        )
        there, back = weighted_mean(there, own), weighted_mean(back, theirs)
        total = torch.maximum(there, back)
        if self.moments:
            total = total + self.moments * self._moment_term(found, own, target)
        return (total * (own.sum(-1) > 0)).mean()

    @torch.no_grad()
    def _nearest(
        self, found: Tensor, own: Tensor, goal: Tensor, theirs: Tensor
    ) -> tuple[Tensor, Tensor]:
        """For each column the nearest of the others that count, (B, n) and (B, m)."""
        cost = distances(found, goal, self.metric)
        far = torch.finfo(cost.dtype).max
        to_goal = cost.masked_fill((theirs <= 0)[:, None, :], far).argmin(2)
        return to_goal, cost.masked_fill((own <= 0)[:, :, None], far).argmin(1)

    def _moment_term(self, found: Tensor, own: Tensor, target: Target) -> Tensor:
        mean, covariance = _moments(found, own)
        goal, second = target[2].to(found), target[3].to(found)
        wanted = second - goal[:, :, None] * goal[:, None, :]
        return (mean - goal).abs().mean(1) + (covariance - wanted).abs().mean(dim=(1, 2))


@LOSSES.register("self-similarity")
@dataclass(frozen=True)
class SelfSimilarity(JointLoss):
    """Difference of the pictures' own cosine distances, for use as content.

    ``1/n sum_ij |D_ij / sum_i D_ij - D'_ij / sum_i D'_ij|`` with D_ij the cosine distance of
    hypercolumns i and j of the picture, D' the same of the photo at the same positions. Colours
    and textures may change as long as what looked alike still does.

    Source: Kolkin, Salavon & Shakhnarovich 2019 (STROTSS).

    Cost: n^2 d multiply-adds, n at most ``samples`` positions, a function of ``seed``; memory n^2
    and the photo's features, since each step may look elsewhere.

    Blends: mean of the feature maps, which must have one size.

    Deviations: 1/n, as the authors' code has it, where 1/n^2 is printed: values do not fall with
    the number of samples.

    Attributes:
        samples: Largest number of positions.
        seed: Of the positions.
    """

    samples: int = option(1024, least=1)
    seed: int = option(0, least=0)

    def at(self, step: int) -> Self:
        """With the positions of a step."""
        return replace(self, seed=seed_at(self.seed, step))

    def target(self, features: tuple[Tensor, ...], weight: Tensor | None = None) -> Target:
        """The features of every layer, detached."""
        del weight
        return tuple(f.detach().clone() for f in features)

    def __call__(
        self, features: tuple[Tensor, ...], target: Target, weight: Tensor | None = None
    ) -> Tensor:
        """See the class."""
        goal = [t.to(f) for t, f in zip(target, features, strict=True)]
        found, weights = _columns(features, weight, self.samples, self.seed)
        wanted, _ = _columns(goal, weight, self.samples, self.seed)
        inside = (weights > 0).to(weights)
        pairs = inside[:, :, None] * inside[:, None, :]
        off = (_shares(found, pairs) - _shares(wanted, pairs)).abs()
        return weighted_mean((off * pairs).sum(1), weights).mean()


def _columns(
    features: Sequence[Tensor], weight: Tensor | None, samples: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Hypercolumns (B, d, n) at positions that count, and their weights (B or 1, n)."""
    weights = flat_weight(features[finest(features)], weight)
    index = draw_positions(weights, samples, seed)
    return hypercolumns(features, index), weights[:, index]


def _moments(columns: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    return mean_cov(columns[..., None], weights[:, None, :, None])


def _picked(columns: Tensor, index: Tensor) -> Tensor:
    """Columns (B or 1, D, m) in the order of an index (B, n), as (B, D, n)."""
    columns = columns.expand(len(index), -1, -1)
    return columns.gather(2, index[:, None].expand(-1, columns.shape[1], -1))


def _shares(columns: Tensor, pairs: Tensor) -> Tensor:
    """Cosine distances (B, n, n) of columns among themselves, over the sum of each column."""
    distance = distances(columns, columns, "cosine") * pairs
    total = distance.sum(1, keepdim=True)
    # Where all is alike there are only rounding errors, whose shares mean nothing.
    return distance / total.clamp_min(1e-6 * columns.shape[-1])
