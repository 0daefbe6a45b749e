"""Losses: values to compare features with, and the distance to them. Tensors only."""

from __future__ import annotations

from impasto.losses.base import LOSSES, Loss, SumLoss, Target
from impasto.losses.content import Content
from impasto.losses.gram import Gram, gram_sum
from impasto.losses.smoothness import TotalVariation

__all__ = [
    "LOSSES",
    "Content",
    "Gram",
    "Loss",
    "SumLoss",
    "Target",
    "TotalVariation",
    "gram_sum",
]
