"""Losses: values to compare features with, and the distance to them. Tensors only."""

from __future__ import annotations

from impasto.losses.adversarial import MarkovianAdversarial
from impasto.losses.base import LOSSES, BaseLoss, Critic, JointLoss, Loss, SumLoss, Target
from impasto.losses.content import Content, Perceptual
from impasto.losses.contextual import Contextual
from impasto.losses.edges import Laplacian
from impasto.losses.gram import Gram, gram_sum
from impasto.losses.hypercolumns import RelaxedEMD, SelfSimilarity
from impasto.losses.moments import MeanCovariance, MeanStd
from impasto.losses.mrf import MRF
from impasto.losses.shifted import ShiftedGram
from impasto.losses.smooth import SmoothContent, SmoothGram
from impasto.losses.smoothness import Range, TotalVariation
from impasto.losses.transport import Histogram, SlicedWasserstein
from impasto.losses.wasserstein import Wasserstein

__all__ = [
    "LOSSES",
    "MRF",
    "BaseLoss",
    "Content",
    "Contextual",
    "Critic",
    "Gram",
    "Histogram",
    "JointLoss",
    "Laplacian",
    "Loss",
    "MarkovianAdversarial",
    "MeanCovariance",
    "MeanStd",
    "Perceptual",
    "Range",
    "RelaxedEMD",
    "SelfSimilarity",
    "ShiftedGram",
    "SlicedWasserstein",
    "SmoothContent",
    "SmoothGram",
    "SumLoss",
    "Target",
    "TotalVariation",
    "Wasserstein",
    "gram_sum",
]
