"""Style swap: every patch of features becomes the most similar one of the painting."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.universal.gaussian import Affine, Gaussian, power, transport

#: Edge of a patch, in positions.
PATCH = 3
#: Patches of the painting compared at a time, and the most there may be.
AT_ONCE, MOST = 1024, 3072


def whitening(gaussian: Gaussian, cut: float = 1e-4) -> Affine:
    """``f -> C^(-1/2) (f - m)``: mean 0, the identity as covariance where there is variance."""
    matrix = power(gaussian.cov, -0.5, cut)
    return Affine(matrix, -matrix @ gaussian.mean)


def swapped(photo: Tensor, painting: Tensor, target: Gaussian) -> Tensor:
    """The photo's features made of the painting's patches, with the statistics ``target``.

    Patches of 3 x 3 positions are compared by normalised correlation after both pictures were
    whitened, so that colours need not agree, and averaged where they overlap (Chen & Schmidt 2016;
    whitened as in Sheng et al. 2018). Averaging takes contrast away; a last transport restores it.

    Args:
        photo: (1, C, H, W).
        painting: (1, C, H', W').
        target: Mean and covariance of the result.

    Returns:
        (1, C, H, W).
    """
    own = whitening(Gaussian.of(photo))(photo)
    theirs = whitening(Gaussian.of(painting))(painting)
    size = (own.shape[-2], own.shape[-1])
    chosen = _nearest(own, _patches(theirs))
    grown = (size[0] + PATCH - 1, size[1] + PATCH - 1)
    folded = F.fold(chosen, grown, PATCH) / F.fold(torch.ones_like(chosen), grown, PATCH)
    half = PATCH // 2
    mixed = folded[..., half : half + size[0], half : half + size[1]]
    return transport(Gaussian.of(mixed), target)(mixed)


def _patches(features: Tensor) -> Tensor:
    """Patches (N, C, 3, 3), evenly thinned out where there are too many."""
    half = PATCH // 2
    grown = F.pad(features, (half,) * 4, mode="replicate")
    found = F.unfold(grown, PATCH)[0].mT  # (N, 9 C)
    if len(found) > MOST:
        found = found[torch.linspace(0, len(found) - 1, MOST, device=found.device).long()]
    return found.reshape(len(found), features.shape[1], PATCH, PATCH)


def _nearest(features: Tensor, patches: Tensor) -> Tensor:
    """For every position the best patch, (1, 9 C, H W)."""
    half = PATCH // 2
    grown = F.pad(features, (half,) * 4, mode="replicate")
    norms = patches.flatten(1).norm(dim=1).clamp_min(1e-6)
    best = grown.new_full((features.shape[-2] * features.shape[-1],), -torch.inf)
    index = torch.zeros_like(best, dtype=torch.long)
    for start in range(0, len(patches), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        filters = patches[part] / norms[part, None, None, None]
        value, place = F.conv2d(grown, filters)[0].flatten(1).max(0)
        index = torch.where(value > best, place + start, index)
        best = torch.maximum(best, value)
    return patches.flatten(1)[index].mT[None]
