"""The content loss: squared distance of features, position by position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from impasto.losses.base import LOSSES, SumLoss, Target, total_weight


@LOSSES.register("content")
@dataclass(frozen=True)
class Content(SumLoss):
    """Squared feature distance ``sum_p w(p) |F(p) - P(p)|^2``, times a factor.

    With N channels and M positions (M is the sum of the weights where there is a map), the factor
    is by ``scale``:

    ======== ============================ ==========================================
    mean     1 / (N M)                    TensorFlow's and PyTorch's mean
    half     1 / 2                        Gatys, Ecker & Bethge 2016, eq. 1
    root     1 / (2 sqrt(N) sqrt(M))      the TensorFlow VGG-19 programs
    relative 1 / sum_p w(p) |P(p)|^2      0 is equal, 1 is a picture without features
    ======== ============================ ==========================================

    Cost: one pass over the features; memory for one difference.
    """

    scale: Literal["mean", "half", "root", "relative"] = "mean"

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """The features themselves, detached."""
        del weight
        return (features.detach().clone(),)

    def sums(self, features: Tensor, target: Target, weight: Tensor | None) -> Target:
        """Squared distance, squared target and count, each (B,), (1,) and ()."""
        goal = target[0].to(features)
        error, size = (features - goal).square(), goal.square()
        if weight is not None:
            error, size = error * weight, size * weight
        channels = features.shape[1]
        return (
            error.sum(dim=(1, 2, 3)),
            size.sum(dim=(1, 2, 3)),
            total_weight(features, weight) * channels,
        )

    def value(self, sums: Target, target: Target) -> Tensor:
        """See the table of the class."""
        error, size, entries = sums
        if self.scale == "half":
            return error.mean() / 2
        if self.scale == "root":
            return (error / (2 * entries.sqrt())).mean()
        if self.scale == "relative":
            return (error / size.clamp_min(torch.finfo(size.dtype).tiny)).mean()
        return (error / entries.clamp_min(1e-12)).mean()
