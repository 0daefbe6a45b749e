"""Markov random fields: every patch of the picture resembles some patch of the painting."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.losses.base import LOSSES, Loss, Target, inner_weight, option, relative


def turned(image: Tensor, degrees: float, scale: float = 1.0) -> Tensor:
    """A picture rotated counterclockwise and scaled, cut to what it fills.

    Args:
        image: (B, C, H, W).
        degrees: Angle; multiples of 90 move pixels exactly.
        scale: Size factor.

    Returns:
        (B, C, H', W'): the largest centred rectangle of the picture's aspect without empty
        corners; a copy where nothing is to be done.
    """
    if scale != 1:
        size = [max(1, round(edge * scale)) for edge in image.shape[-2:]]
        image = F.interpolate(image, size, mode="bilinear", antialias=True)
    quarter, rest = round(degrees / 90), degrees - 90 * round(degrees / 90)
    image = torch.rot90(image, quarter, (-2, -1)).clone()
    if not rest:
        return image
    height, width = image.shape[-2:]
    cos, sin = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    fits = 1 / (cos + abs(sin) * max(height, width) / min(height, width))
    new_h, new_w = max(1, int(height * fits)), max(1, int(width * fits))
    # Pixels of the cut, around the centre, as pixels of the picture, then as grid coordinates.
    ys = torch.arange(new_h, dtype=torch.float64) - (new_h - 1) / 2
    xs = torch.arange(new_w, dtype=torch.float64) - (new_w - 1) / 2
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    grid = torch.stack(((cos * x - sin * y) * 2 / width, (sin * x + cos * y) * 2 / height), -1)
    grid = grid.to(image).expand(image.shape[0], -1, -1, -1)
    return F.grid_sample(image, grid, mode="bilinear", align_corners=False)


@LOSSES.register("mrf")
@dataclass(frozen=True)
class MRF(Loss):
    """Squared distance of each patch to its nearest patch in the painting.

    ``sum_i w_i |P_i - S_n(i)|^2`` over patches P_i of C x patch x patch features, where n(i) is
    the patch of largest normalised cross-correlation ``<P_i, S_j> / (|P_i| |S_j|)``, chosen
    without gradient. Times a factor by ``scale``:

    ======== ================================ ==========================================
    mean     1 / (entries of all patches)     mean over patches and their entries
    sum      1                                as printed
    relative 1 / sum_i w_i |S_n(i)|^2         0 is equal, 1 is a picture without features
    ======== ================================ ==========================================

    A patch weighs the smallest weight inside it, so that no patch looks out of its region.

    Source: Li & Wand 2016a (CNNMRF).

    Cost: patches of the picture x patches of the painting x patch^2 C multiply-adds a step: at
    256 px and stride 2 of relu3_1 2.1 G, of relu4_1 0.2 G, growing with the fourth power of the
    size. Memory: two feature maps, ``chunk`` patches of the painting and ``chunk`` score maps.

    Blends: the union of the patches; of every painting, and of every rotated and scaled view of
    it, a number in proportion to its weight, evenly spread.

    Deviations: none in the values. The sum over patches is written as one over positions, ``sum_p
    c(p) |F(p) - A(p)|^2 + const`` with c(p) the number of patches over p and A(p) the mean of
    what their matches want there: same value and gradient, without holding patches.

    Attributes:
        patch: Edge of a patch, positions; smaller feature maps are continued at the border.
        stride: Distance of patches in picture and painting (printed: 1; the authors' code: 2).
        scale: Factor, see the table.
        rotations: Degrees by which the painting is turned as well; 0 is always there.
        scales: Factors by which the painting is scaled as well; 1 is always there.
        chunk: Patches of the painting compared at once.
        periodic: Whether the picture (not the painting) goes on at its opposite edges, so that
            patches lie across them as well.
    """

    patch: int = option(3, least=1)
    stride: int = option(2, least=1)
    scale: Literal["mean", "sum", "relative"] = "mean"
    rotations: tuple[float, ...] = ()
    scales: tuple[float, ...] = option((), above=0)
    chunk: int = option(256, least=1)
    periodic: bool = False

    def views(self, image: Tensor) -> tuple[Tensor, ...]:
        """The picture at every scale and rotation, first as it is."""
        angles = dict.fromkeys((0.0, *self.rotations))
        factors = dict.fromkeys((1.0, *self.scales))
        return tuple(turned(image, angle, factor) for factor in factors for angle in angles)

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """Positions in a row (1, C, P); where patches begin (n,); positions per row (n,)."""
        features, weight = self._padded(features.detach(), weight)
        height, width = features.shape[-2:]
        begins = torch.arange(height * width, device=features.device).view(1, 1, height, width)
        last = 1 - self.patch or None
        begins = begins[..., :last:, :last][..., :: self.stride, :: self.stride]
        begins = begins.expand(features.shape[0], -1, -1, -1)
        begins = begins + _offsets(features)
        if weight is not None:
            inside = inner_weight(weight, self.patch, self.stride).expand(begins.shape)
            # A region too small for a patch takes the patches that hold most of it.
            best = F.avg_pool2d(weight, self.patch, self.stride).expand(begins.shape)
            chosen = inside > 0 if bool((inside > 0).any()) else best == best.amax()
            begins = begins[chosen]
        flat = features.transpose(0, 1).flatten(1)[None].clone()  # (1, C, B*H*W)
        begins = begins.flatten()
        return flat, begins, torch.full_like(begins, width)

    def blend(self, targets: Sequence[Target], weights: Sequence[float]) -> Target:
        """The union of patches, thinned to the proportions of ``weights``."""
        most = max(weights)
        flats, begins, widths, offset = [], [], [], 0
        for (flat, begin, width), share in zip(targets, weights, strict=True):
            if share <= 0:
                continue
            steps = torch.arange(1, len(begin) + 1, dtype=torch.float64, device=begin.device)
            kept = (steps * (share / most)).floor().diff(prepend=steps.new_zeros(1)) > 0
            kept[0] |= not bool(kept.any())
            flats.append(flat)
            begins.append(begin[kept] + offset)
            widths.append(width[kept])
            offset += flat.shape[-1]
        return torch.cat(flats, -1), torch.cat(begins), torch.cat(widths)

    def __call__(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """See the table of the class."""
        if self.periodic:
            features = _continued(features, self.patch - 1)
            weight = None if weight is None else _continued(weight, self.patch - 1)
        features, weight = self._padded(features, weight)
        flat = target[0][0].to(features)
        wanted, count, norms = self._wanted(features.detach(), flat, target, weight)
        error = (count * (features - wanted).square()).sum(dim=(1, 2, 3))
        # What is left where the overlapping matches disagree: no gradient, but part of the sum.
        agreed = (count * wanted.square()).sum(dim=(1, 2, 3), dtype=torch.float64)
        error = error + (norms - agreed).clamp_min(0).to(error)
        if self.scale == "relative":
            return relative(error, norms.to(error)).mean()
        entries = count.sum(dim=(1, 2, 3)) * features.shape[1]
        return (error / entries.clamp_min(1e-12) if self.scale == "mean" else error).mean()

    @torch.no_grad()
    def match(self, features: Tensor, target: Target) -> Tensor:
        """For each patch of the picture the number of its match in the target, (B, h, w)."""
        best = found = None
        for first, patches in self._chunks(target[0][0].to(features), target):
            unit = patches / patches.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)
            score, index = F.conv2d(features, unit, stride=self.stride).max(1)
            index += first
            if best is None or found is None:
                best, found = score, index
            else:
                found = torch.where(score > best, index, found)
                best = torch.maximum(score, best)
        return found if found is not None else torch.zeros(0)

    @torch.no_grad()
    def _wanted(
        self, features: Tensor, flat: Tensor, target: Target, weight: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mean of the matches (B, C, H, W), weight of patches (., 1, H, W), their squares (B,)."""
        match = self.match(features, target)
        begins, widths = target[1][match], target[2][match]  # (B, h, w)
        shares = flat.new_ones(1, 1, *match.shape[1:])
        if weight is not None:
            shares = inner_weight(weight, self.patch, self.stride)
        total, count = torch.zeros_like(features), torch.zeros_like(features[: len(shares), :1])
        norms = features.new_zeros(len(features), dtype=torch.float64)
        rows, columns = ((edge - 1) * self.stride + 1 for edge in match.shape[1:])
        for y in range(self.patch):
            for x in range(self.patch):
                values = flat[:, begins + y * widths + x].transpose(0, 1)  # (B, C, h, w)
                area = (..., slice(y, y + rows, self.stride), slice(x, x + columns, self.stride))
                total[area] += shares * values
                count[area] += shares
                norms += (shares * values.square()).sum(dim=(1, 2, 3), dtype=torch.float64)
        return total / count.clamp_min(1e-12), count, norms

    def _chunks(self, flat: Tensor, target: Target) -> Iterator[tuple[int, Tensor]]:
        """Patches of the target, (chunk, C, patch, patch), with the number of the first."""
        reach = torch.arange(self.patch, device=flat.device)
        for first in range(0, len(target[1]), self.chunk):
            part = slice(first, first + self.chunk)
            begin, width = target[1][part, None, None], target[2][part, None, None]
            yield first, flat[:, begin + reach[:, None] * width + reach].transpose(0, 1)

    def _padded(self, features: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """At least one patch in size."""
        below, right = (max(0, self.patch - edge) for edge in features.shape[-2:])
        if weight is not None:
            weight = weight.to(features)
        if not below and not right:
            return features, weight
        pad = (0, right, 0, below)
        features = F.pad(features, pad, mode="replicate")
        return features, None if weight is None else F.pad(weight, pad, mode="replicate")


def _continued(values: Tensor, count: int) -> Tensor:
    """``values`` (B, C, H, W) with their first rows and columns again after the last."""
    down, across = (torch.arange(n + count, device=values.device) % n for n in values.shape[-2:])
    return values[..., down[:, None], across]


def _offsets(features: Tensor) -> Tensor:
    """Where each picture of a batch begins when all positions are in a row, (B, 1, 1, 1)."""
    number = torch.arange(features.shape[0], device=features.device)
    return (number * (features.shape[-2] * features.shape[-1])).view(-1, 1, 1, 1)
