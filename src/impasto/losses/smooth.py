"""Losses on softmax-smoothed activations, for networks with residual connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from impasto.losses.base import LOSSES, Loss, Target, flat_weight, option
from impasto.losses.content import Content
from impasto.losses.gram import Gram

#: What a softmax runs over: every activation of the layer, or the positions of each channel.
Over = Literal["layer", "channel"]


def smooth(
    features: Tensor, weight: Tensor | None = None, over: Over = "layer", temperature: float = 1.0
) -> Tensor:
    """Softmax of activations, times their number so that the mean stays 1.

    Args:
        features: (B, C, H, W).
        weight: Map of positions; those of weight 0 become 0 and the rest share the sum.
        over: See :data:`Over`.
        temperature: Divides the activations first.

    Returns:
        (B, C, H, W), non-negative; the (weighted) mean over what ``over`` says is 1.
    """
    dims = (1, 2, 3) if over == "layer" else (2, 3)
    weights = flat_weight(features, weight).view(-1, 1, *features.shape[-2:])
    cold = features / temperature
    # The largest counting value is subtracted, which changes nothing but the range of exp.
    peak = cold.detach().masked_fill(weights == 0, -float("inf")).amax(dims, keepdim=True)
    shifted = (cold - peak.clamp_min(-1e30)).clamp_max(0) * (weights > 0)
    powers = shifted.exp() * (weights > 0)
    total = (powers * weights).sum(dims, keepdim=True)
    count = weights.sum(dim=(1, 2, 3), keepdim=True)
    count = count * (features.shape[1] if over == "layer" else 1)
    return powers * count / total.clamp_min(1e-30)


@LOSSES.register("swag")
@dataclass(frozen=True)
class SmoothGram(Loss):
    """The Gram loss, relative, on smoothed activations ``S = n exp(F/T) / sum exp(F/T)``.

    ``sum_ij (G(S) - G(S_target))_ij^2 / sum G(S_target)^2`` with ``G(S) = S S^T / M``. Residual
    networks have a few very large activations and many small ones; the softmax raises the entropy
    and the Gram matrix is no longer ruled by single peaks.

    Source: Wang, Li & Vasconcelos 2021 (SWAG).

    Cost: as the Gram loss, and two more copies of the features.

    Blends: mean of the Grams, see ``gram``.

    Deviations: the softmax is multiplied by the number n of its entries, so that the mean is 1
    and the loss does not vanish with the size of the layer; distances are relative.

    Attributes:
        over: Whether one softmax runs over the layer, or one over the positions of each channel.
        temperature: T; higher is smoother.
    """

    over: Over = "layer"
    temperature: float = option(1.0, above=0)

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """Gram matrix of the smoothed activations, (B, C, C)."""
        return _GRAM.target(smooth(features, weight, self.over, self.temperature), weight)

    def __call__(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """Relative squared distance of the Gram matrices."""
        return _GRAM(smooth(features, weight, self.over, self.temperature), target, weight)


@LOSSES.register("swag-content")
@dataclass(frozen=True)
class SmoothContent(Loss):
    """The content loss, relative, on smoothed activations ``S = n exp(F/T) / sum exp(F/T)``.

    ``sum_p w(p) |S(p) - S_target(p)|^2 / sum_p w(p) |S_target(p)|^2``.

    Source: Wang, Li & Vasconcelos 2021 (SWAG).

    Cost: a few passes over the features; memory for three copies of them.

    Blends: mean of the smoothed maps, which must have one size.

    Deviations: as of ``swag``.

    Attributes:
        over: Whether one softmax runs over the layer, or one over the positions of each channel.
        temperature: T; higher is smoother.
    """

    over: Over = "layer"
    temperature: float = option(1.0, above=0)

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """The smoothed activations, (B, C, H, W)."""
        return _CONTENT.target(smooth(features, weight, self.over, self.temperature), weight)

    def __call__(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """Relative squared distance of the smoothed maps."""
        return _CONTENT(smooth(features, weight, self.over, self.temperature), target, weight)


_GRAM = Gram(scale="relative")
_CONTENT = Content(scale="relative")
