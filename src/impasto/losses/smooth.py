"""Losses on softmax-smoothed activations, for networks with residual connections."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from impasto.losses.base import LOSSES, Loss, Target, flat_weight, option
from impasto.losses.content import Content
from impasto.losses.gram import Gram

#: What a softmax runs over: every activation of the layer, or the positions of each channel.
Over = Literal["layer", "channel"]


def smooth(
    features: Tensor,
    weight: Tensor | None = None,
    over: Over = "layer",
    temperature: float | Tensor = 1.0,
) -> Tensor:
    """Softmax of activations, times their number so that the mean stays 1.

    Args:
        features: (B, C, H, W).
        weight: Map of positions; those of weight 0 become 0 and the rest share the sum.
        over: See :data:`Over`.
        temperature: Divides the activations first; a number, or one per sample, (B or 1,).

    Returns:
        (B, C, H, W), non-negative; the (weighted) mean over what ``over`` says is 1.
    """
    dims = (1, 2, 3) if over == "layer" else (2, 3)
    weights = flat_weight(features, weight).view(-1, 1, *features.shape[-2:])
    if isinstance(temperature, Tensor):
        temperature = temperature.to(features).view(-1, 1, 1, 1)
    cold = features / temperature
    # The largest counting value is subtracted, which changes nothing but the range of exp.
    peak = cold.detach().masked_fill(weights == 0, -float("inf")).amax(dims, keepdim=True)
    shifted = (cold - peak.clamp_min(-1e30)).clamp_max(0) * (weights > 0)
    powers = shifted.exp() * (weights > 0)
    total = (powers * weights).sum(dims, keepdim=True)
    count = weights.sum(dim=(1, 2, 3), keepdim=True)
    count = count * (features.shape[1] if over == "layer" else 1)
    return powers * count / total.clamp_min(1e-30)


def spread(features: Tensor, weight: Tensor | None) -> Tensor:
    """Standard deviation of all activations of a layer that count, (B,); 1 where it is 0."""
    weights = flat_weight(features, weight)[:, None]
    flat = features.flatten(2)
    count = weights.sum((1, 2)).clamp_min(1e-12) * features.shape[1]
    mean = (flat * weights).sum((1, 2)) / count
    variance = ((flat - mean.view(-1, 1, 1)).square() * weights).sum((1, 2)) / count
    return torch.where(variance > 1e-12, variance, 1.0).sqrt()


class _Smooth(Loss):
    """What the two have in common: features are smoothed, then another loss is taken.

    The last entry of the target is T, so that picture and target are smoothed alike.
    """

    over: Over
    temperature: float
    unit: Literal["one", "std"]

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """The inner loss's target of the smoothed activations, and T, (B,)."""
        features = features.detach()
        cold = features.new_full((1,), self.temperature)
        if self.unit == "std":
            cold = cold * spread(features, weight)
        return *self._inner.target(smooth(features, weight, self.over, cold), weight), cold

    def __call__(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """The inner loss of the smoothed activations."""
        smoothed = smooth(features, weight, self.over, target[-1])
        return self._inner(smoothed, target[:-1], weight)

    @property
    @abstractmethod
    def _inner(self) -> Loss:
        """The loss of smoothed activations."""


@LOSSES.register("swag")
@dataclass(frozen=True)
class SmoothGram(_Smooth):
    """The Gram loss, relative, on smoothed activations ``S = n exp(F/T) / sum exp(F/T)``.

    ``sum_ij (G(S) - G(S_target))_ij^2 / sum G(S_target)^2`` with ``G(S) = S S^T / M``. Residual
    networks have a few very large activations and many small ones; the softmax raises the entropy
    and the Gram matrix is no longer ruled by single peaks.

    Source: Wang, Li & Vasconcelos 2021 (SWAG).

    Cost: as the Gram loss, and two more copies of the features.

    Blends: mean of the Grams, see ``gram``; also of T.

    Deviations: the softmax is multiplied by the number n of its entries, so that the mean is 1
    and the loss does not vanish with the size of the layer; distances are relative.

    Attributes:
        over: Whether one softmax runs over the layer, or one over the positions of each channel.
        temperature: T; higher is smoother.
        unit: Of T: 1, or the deviation of the target's activations in the layer. Where those are
            far below 1 a softmax is hardly more than a constant, unless T is as well.
    """

    over: Over = "layer"
    temperature: float = option(1.0, above=0)
    unit: Literal["one", "std"] = "one"

    @property
    def _inner(self) -> Loss:
        return Gram(scale="relative")


@LOSSES.register("swag-content")
@dataclass(frozen=True)
class SmoothContent(_Smooth):
    """The content loss, relative, on smoothed activations ``S = n exp(F/T) / sum exp(F/T)``.

    ``sum_p w(p) |S(p) - S_target(p)|^2 / sum_p w(p) |S_target(p)|^2``.

    Source: Wang, Li & Vasconcelos 2021 (SWAG).

    Cost: a few passes over the features; memory for three copies of them.

    Blends: mean of the smoothed maps, which must have one size; also of T.

    Deviations: as of ``swag``.

    Attributes:
        over: Whether one softmax runs over the layer, or one over the positions of each channel.
        temperature: T; higher is smoother.
        unit: Of T: 1, or the deviation of the target's activations in the layer. Where those are
            far below 1 a softmax is hardly more than a constant, unless T is as well.
    """

    over: Over = "layer"
    temperature: float = option(1.0, above=0)
    unit: Literal["one", "std"] = "one"

    @property
    def _inner(self) -> Loss:
        return Content(scale="relative")
