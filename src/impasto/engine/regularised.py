"""The regularisers of Yosinski et al. 2015: rules that change the picture after each step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.engine.pixels import PlainPixels
from impasto.errors import UsageError
from impasto.images.resize import resize


@dataclass(frozen=True)
class Regulariser:
    """``x <- r(x + step)``, x being the picture less its mean colour.

    Source: Yosinski, Clune, Nguyen, Fuchs & Lipson, Understanding neural networks through deep
    visualization, 2015, section 3; the order is that of the authors' program.

    Attributes:
        decay: Share of x that is lost in each step.
        blur: Deviation of a Gaussian, px, 0 for none ...
        every: ... applied in every n-th step, the first included.
        norm: Percent of pixels, those whose colour has the smallest norm, set to the mean colour.
        contribution: Percent of pixels, those with the smallest ``|sum_c x_c g_c|``, likewise; g
            is the gradient: about the change of the activation without that pixel.
    """

    decay: float = 0.0
    blur: float = 0.0
    every: int = 4
    norm: float = 0.0
    contribution: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            UsageError: One is out of range.
        """
        if not 0 <= self.decay < 1 or self.blur < 0 or self.every < 1:
            raise UsageError(f"regulariser out of range: {self}")
        if not (0 <= self.norm < 100 and 0 <= self.contribution < 100):
            raise UsageError(f"percents must be from 0 to 100: {self}")

    def __call__(self, x: Tensor, gradient: Tensor, step: int) -> Tensor:
        """``x`` (B, 3, H, W) after the step counted from 0."""
        x = x * (1 - self.decay)
        if self.blur and step % self.every == 0:
            x = blurred(x, self.blur)
        if self.norm:
            x = _without_smallest(x, x.norm(dim=1, keepdim=True), self.norm)
        if self.contribution:
            share = (x * gradient).sum(1, keepdim=True).abs()
            x = _without_smallest(x, share, self.contribution)
        return x


class RegularisedPixels(PlainPixels):
    """Plain pixels that a :class:`Regulariser` changes after each step.

    Args:
        image: (B, 3, H, W) sRGB; copied.
        regulariser: What is done.
        mean: The colour that counts as nothing, RGB in [0, 1].
    """

    def __init__(
        self, image: Tensor, regulariser: Regulariser, mean: tuple[float, float, float]
    ) -> None:
        super().__init__(image)
        self.regulariser, self.mean = regulariser, mean
        #: Steps taken; a resumed run sets it.
        self.taken = 0

    @torch.no_grad()
    def project(self) -> None:
        """Regularise and clamp to [0, 1], in place."""
        mean = self.image.new_tensor(self.mean).view(3, 1, 1)
        gradient = self.image.grad if self.image.grad is not None else self.image * 0
        x = self.regulariser(self.image - mean, gradient, self.taken)
        self.image.copy_((x + mean).clamp(0, 1))
        self.taken += 1

    def resized(self, height: int, width: int) -> RegularisedPixels:
        """Resampled with an antialiased filter."""
        image = resize(self.image.detach(), (height, width))
        made = RegularisedPixels(image, self.regulariser, self.mean)
        made.taken = self.taken
        return made


def blurred(image: Tensor, deviation: float) -> Tensor:
    """``image`` (..., H, W) convolved with a Gaussian cut off at 4 deviations, edges mirrored."""
    for axis in (-2, -1):
        image = _along(image, deviation, axis)
    return image


def _along(image: Tensor, deviation: float, axis: int) -> Tensor:
    length = image.shape[axis]
    radius = int(4 * deviation + 0.5)
    offsets = torch.arange(-radius, radius + 1, device=image.device)
    weights = (-0.5 * (offsets.double() / deviation).square()).exp()
    weights = (weights / weights.sum()).to(image.dtype)
    total = torch.zeros_like(image)
    for offset, weight in zip(offsets.tolist(), weights, strict=True):
        # The half-sample mirror: ... 1 0 | 0 1 2 ... n-1 | n-1 n-2 ...
        index = (torch.arange(length, device=image.device) + offset).remainder(2 * length)
        index = torch.minimum(index, 2 * length - 1 - index)
        total = total + weight * image.index_select(axis, index)
    return total


def _without_smallest(x: Tensor, size: Tensor, percent: float) -> Tensor:
    """``x`` with 0 where ``size`` (B, 1, H, W) is below its percentile in each picture."""
    flat = size.flatten(1)
    bound = torch.quantile(flat, percent / 100, dim=1) if flat.shape[1] < 2**24 else _kth(
        flat, percent
    )  # fmt: skip
    return torch.where(size < bound.view(-1, 1, 1, 1), torch.zeros_like(x), x)


def _kth(flat: Tensor, percent: float) -> Tensor:
    """The percentile of many values, not interpolated: torch's quantile takes 2^24 at most."""
    rank = 1 + int(percent / 100 * (flat.shape[1] - 1))
    return flat.kthvalue(rank, dim=1).values
