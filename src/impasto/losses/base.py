"""What a loss is.

A loss compares the features of a picture with a *target*, a value made once from the features of
the photo or the painting. Targets are plain tuples of tensors, never state on the loss, so they
can be blended, masked, saved and compared. Losses know tensors only: not which network, layer or
picture the features came from.

Shapes: features are (B, C, H, W); weight maps are (1, 1, H, W), non-negative, at the resolution
of the features, and say how much each position counts; every loss returns a scalar, the mean over
the batch of what it finds for each sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from impasto.registry import Registry

Target = tuple[Tensor, ...]


@runtime_checkable
class Loss(Protocol):
    """The contract. Implementations are frozen dataclasses: equal settings compare equal."""

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """What ``__call__`` needs to know of the picture to resemble."""

    def blend(self, targets: Sequence[Target], weights: Sequence[float]) -> Target:
        """One target between several; ``weights`` sum to 1."""

    def __call__(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """How far ``features`` are from ``target``: a scalar >= 0, 0 at the target's own."""


class SumLoss:
    """A loss that sees the picture only through sums over positions.

    Such a loss can be evaluated exactly tile by tile: add up :meth:`sums` over the tiles, then
    apply :meth:`value` once. Subclasses write those two and :meth:`target`.
    """

    def sums(self, features: Tensor, target: Target, weight: Tensor | None) -> Target:
        """Tensors that add up over any division of the positions into parts."""
        raise TypeError(f"{type(self).__name__} does not define sums")

    def value(self, sums: Target, target: Target) -> Tensor:
        """The loss, a scalar, from the sums over all positions."""
        raise TypeError(f"{type(self).__name__} does not define value")

    def __call__(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """The loss of ``features`` against ``target``, a scalar."""
        return self.value(self.sums(features, target, weight), target)

    def blend(self, targets: Sequence[Target], weights: Sequence[float]) -> Target:
        """The weighted mean of the targets, tensor by tensor."""
        return mix(targets, weights)


def mix(targets: Sequence[Target], weights: Sequence[float]) -> Target:
    """Weighted sum of targets of equal structure, tensor by tensor."""
    return tuple(
        sum((w * t for w, t in zip(weights[1:], parts[1:], strict=True)), weights[0] * parts[0])
        for parts in zip(*targets, strict=True)
    )


def total_weight(features: Tensor, weight: Tensor | None) -> Tensor:
    """Sum of the weights of all positions, a scalar: H * W where there is no map."""
    if weight is None:
        return features.new_tensor(float(features.shape[-2] * features.shape[-1]))
    return weight.sum()


#: Every loss by name. Values are the classes; fields are the options a recipe may set.
LOSSES: Registry[type[Loss]] = Registry("loss")
