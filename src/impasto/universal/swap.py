"""Style swap: every patch of features becomes the most similar one of the painting."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.universal.gaussian import Affine, Gaussian, power, raised, transport

#: Edge of a patch, in positions, and how far it goes from its middle.
PATCH, HALF = 3, 1
#: Patches of the painting compared at a time, and the most there may be.
AT_ONCE, MOST = 1024, 3072


def whitening(gaussian: Gaussian, cut: float = 1e-4) -> Affine:
    """``f -> C^(-1/2) (f - m)``: mean 0, the identity as covariance where there is variance."""
    matrix = power(gaussian.cov, -0.5, cut)
    return Affine(matrix, -matrix @ gaussian.mean)


def swapped(photo: Tensor, painting: Tensor, target: Gaussian, ridge: float = 0.0) -> Tensor:
    """The photo's features made of the painting's patches, with the statistics ``target``.

    Patches of 3 x 3 positions are compared by normalised correlation after both pictures were
    whitened, so that colours need not agree, and averaged where they overlap (Chen & Schmidt 2016;
    whitened as in Sheng et al. 2018). Averaging takes contrast away; a last transport restores it.

    Args:
        photo: (1, C, H, W).
        painting: (1, C, H', W').
        target: Mean and covariance of the result.
        ridge: See :func:`impasto.universal.gaussian.raised`: how little of what hardly varies
            counts in the comparison.

    Returns:
        (1, C, H, W).
    """
    own = whitening(raised(Gaussian.of(photo), ridge))(photo)
    theirs = whitening(raised(Gaussian.of(painting), ridge))(painting)
    mixed = _averaged(theirs, _nearest(own, theirs))
    return transport(Gaussian.of(mixed), target)(mixed)


def _centres(height: int, width: int, device: torch.device) -> Tensor:
    """Which patches are compared, by row-major number: evenly thinned out where there are many."""
    count = height * width
    if count <= MOST:
        return torch.arange(count, device=device)
    return torch.linspace(0, count - 1, MOST, device=device).long()


def _nearest(photo: Tensor, painting: Tensor) -> Tensor:
    """For every position of the photo's features the painting's best patch, by number, (H, W)."""
    grown = F.pad(photo, (HALF,) * 4, mode="replicate")
    rows = F.unfold(F.pad(painting, (HALF,) * 4, mode="replicate"), PATCH)[0].mT  # (N, 9 C)
    height, width = painting.shape[-2:]
    centres = _centres(height, width, photo.device)
    best = grown.new_full(photo.shape[-2:], -torch.inf)
    chosen = torch.zeros_like(best, dtype=torch.long)
    for some in torch.split(centres, AT_ONCE):
        filters = F.normalize(rows[some], dim=1, eps=1e-6)
        filters = filters.view(-1, photo.shape[1], PATCH, PATCH)
        value, place = F.conv2d(grown, filters)[0].max(0)
        chosen = torch.where(value > best, some[place], chosen)
        best = torch.maximum(best, value)
    return chosen


def _averaged(painting: Tensor, chosen: Tensor) -> Tensor:
    """Patches of the painting laid where they were chosen, averaged where they overlap.

    Args:
        painting: (1, C, H', W').
        chosen: Numbers of their centres, (H, W).

    Returns:
        (1, C, H, W).
    """
    height, width = painting.shape[-2:]
    (tall, wide), rows = chosen.shape, painting[0].permute(1, 2, 0).flatten(0, 1)
    total = rows.new_zeros(tall, wide, rows.shape[1])
    count = rows.new_zeros(tall, wide, 1)
    for down, across in itertools.product(range(-HALF, HALF + 1), repeat=2):
        # What is seen at a position is what its neighbour's patch has on this side.
        there = _shifted(tall, wide, down, across)
        here = _shifted(tall, wide, -down, -across)
        y = (chosen[here].div(width, rounding_mode="floor") + down).clamp(0, height - 1)
        x = (chosen[here] % width + across).clamp(0, width - 1)
        total[there] += rows[y * width + x]
        count[there] += 1
    return (total / count).permute(2, 0, 1)[None]


def _shifted(height: int, width: int, down: int, across: int) -> tuple[slice, slice]:
    """Rows and columns that have a neighbour at ``(-down, -across)``."""
    rows = slice(max(0, down), min(height, height + down))
    return rows, slice(max(0, across), min(width, width + across))
