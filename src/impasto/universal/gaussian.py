"""Gaussians of features, and the affine maps that carry one to another.

Everything is computed in float64. A covariance may have any rank: of a single position and of a
constant picture it is 0, of fewer positions than channels it is deficient. Directions in which the
photo does not vary are not invented.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.registry import Registry

#: Directions with less than this share of the largest variance are none.
CUT = 1e-7
#: Positions whose products are added in float32 before the sums go on in float64.
CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Mean (C,) and covariance (C, C) of features, float64, on the CPU; and of how many positions.

    The weight of a map need not be whole.
    """

    mean: Tensor
    cov: Tensor
    count: float = 1.0

    @classmethod
    def of(cls, features: Tensor, where: Tensor | None = None) -> Gaussian:
        """Of features (1, C, H, W), each position counted by a map (1, 1, H, W)."""
        sums = Sums(features.shape[1])
        sums.add(features, where)
        return sums.gaussian()

    def top(self, deviations: float) -> Tensor:
        """So many deviations above the mean of each channel, (C,)."""
        return self.mean + deviations * self.cov.diagonal().clamp_min(0).sqrt()


class Sums:
    """Collects a :class:`Gaussian` from parts, such as tiles.

    Sums are taken around the mean of the first part, so that nothing cancels.

    Args:
        channels: Of the features.
    """

    def __init__(self, channels: int) -> None:
        self._centre: Tensor | None = None
        self._first = torch.zeros(channels, dtype=torch.float64)
        self._second = torch.zeros(channels, channels, dtype=torch.float64)
        self._count = 0.0

    def add(self, features: Tensor, where: Tensor | None = None) -> None:
        """Features (1, C, H, W), each position counted by a map (1, 1, H, W)."""
        rows = features.detach()[0].permute(1, 2, 0).flatten(0, 1)  # (N, C)
        if self._centre is None:
            self._centre = rows.mean(0).double().cpu()
        rows = rows - self._centre.to(rows)
        if where is None:
            self._count += len(rows)
        else:
            weights = where.detach()[0, 0].flatten().to(rows).clamp_min(0)
            self._count += float(weights.double().sum())
            self._first += (rows * weights[:, None]).sum(0).double().cpu()
            rows = rows * weights.sqrt()[:, None]
        whole = len(rows) // CHUNK * CHUNK
        for part in (rows[:whole].view(-1, CHUNK, rows.shape[1]), rows[whole:][None]):
            self._second += (part.mT @ part).double().sum(0).cpu()
            if where is None:
                self._first += part.sum(1).double().sum(0).cpu()

    def gaussian(self) -> Gaussian:
        """Of everything that was added; of nothing, mean and covariance 0."""
        if self._centre is None or self._count <= 0:
            return Gaussian(torch.zeros_like(self._first), torch.zeros_like(self._second), 0.0)
        offset = self._first / self._count
        cov = self._second / self._count - torch.outer(offset, offset)
        return Gaussian(self._centre + offset, (cov + cov.mT) / 2, self._count)


@dataclass(frozen=True, eq=False)
class Affine:
    """``f -> A f + b`` for features; A (C, C), b (C,), float64."""

    matrix: Tensor
    shift: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """(1, C, H, W) to the same shape, dtype and device."""
        rows = features[0].permute(1, 2, 0)  # (H, W, C), as features are laid out
        made = torch.addmm(self.shift.to(features), rows.flatten(0, 1), self.matrix.mT.to(features))
        return made.view(rows.shape).permute(2, 0, 1)[None]

    @staticmethod
    def mean(maps: Sequence[Affine], shares: Sequence[float]) -> Affine:
        """The map whose values are the mixture of the values of ``maps``."""
        matrix = sum((s * m.matrix for m, s in zip(maps, shares, strict=True)), torch.zeros(()))
        shift = sum((s * m.shift for m, s in zip(maps, shares, strict=True)), torch.zeros(()))
        return Affine(matrix, shift)


#: From the Gaussians of photo and painting to a map.
Carry = Callable[[Gaussian, Gaussian], Affine]
#: Maps by name.
CARRIES: Registry[Carry] = Registry("transport")


def mixture(parts: Sequence[Gaussian], shares: Sequence[float]) -> Gaussian:
    """Mean and covariance of a mixture; ``shares`` sum to 1."""
    mean = torch.stack([s * p.mean for p, s in zip(parts, shares, strict=True)]).sum(0)
    cov = torch.zeros_like(parts[0].cov)
    for part, share in zip(parts, shares, strict=True):
        offset = part.mean - mean
        cov = cov + share * (part.cov + torch.outer(offset, offset))
    return Gaussian(mean, cov, sum(p.count for p in parts))


def power(cov: Tensor, exponent: float, cut: float = CUT) -> Tensor:
    """Symmetric power of a covariance (C, C); on its range where the exponent is negative."""
    values, vectors = torch.linalg.eigh(cov)
    real = values > (cut * values[-1]).clamp_min(1e-30)
    powers = torch.where(real, values.clamp_min(1e-300) ** exponent, 0.0)
    powered: Tensor = (vectors * powers) @ vectors.mT
    return powered


@CARRIES.register("whiten")
def whiten(photo: Gaussian, painting: Gaussian) -> Affine:
    """Whitening, then colouring: ``S^(1/2) C^(-1/2) (f - m) + m'`` (Li et al. 2017, section 3.2).

    The result has the painting's mean, and its covariance where the photo's has full rank.
    """
    matrix = power(painting.cov, 0.5) @ power(photo.cov, -0.5)
    return Affine(matrix, painting.mean - matrix @ photo.mean)


@CARRIES.register("transport")
def transport(photo: Gaussian, painting: Gaussian) -> Affine:
    """The map with the same result that moves features least.

    ``C^(-1/2) (C^(1/2) S C^(1/2))^(1/2) C^(-1/2)``: optimal transport between Gaussians (Olkin &
    Pukelsheim 1982; for style, Mroueh 2019).
    """
    root, back = power(photo.cov, 0.5), power(photo.cov, -0.5)
    middle = root @ painting.cov @ root
    matrix = back @ power((middle + middle.mT) / 2, 0.5) @ back
    return Affine(matrix, painting.mean - matrix @ photo.mean)


@CARRIES.register("moments")
def moments(photo: Gaussian, painting: Gaussian) -> Affine:
    """Mean and deviation of each channel by itself (AdaIN: Huang & Belongie 2017, equation 8)."""
    have, want = photo.cov.diagonal(), painting.cov.diagonal()
    floor = (CUT * have.max()).clamp_min(1e-30)
    gain = torch.where(have > floor, (want.clamp_min(0) / have.clamp_min(1e-300)).sqrt(), 0.0)
    return Affine(torch.diag(gain), painting.mean - gain * photo.mean)


def raised(gaussian: Gaussian, ridge: float) -> Gaussian:
    """With a share of the mean variance added to every direction.

    It bounds how much a map may amplify what is hardly there: noise, and the patterns below the
    size of a stroke that show as a weave.
    """
    if not ridge:
        return gaussian
    level = ridge * gaussian.cov.diagonal().mean()
    more = level * torch.eye(len(gaussian.mean), dtype=gaussian.cov.dtype)
    return Gaussian(gaussian.mean, gaussian.cov + more, gaussian.count)
