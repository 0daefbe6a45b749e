"""Style in one pass: statistics of features set to a painting's, and decoded.

An encoder's features of the photo are carried to the mean and covariance of the painting's, layer
by layer from deep to shallow, and each time a decoder makes a picture of them. No training per
style, no optimisation.
"""

from __future__ import annotations

from impasto.universal.coders import Coder, Coders
from impasto.universal.gaussian import CARRIES, Affine, Gaussian, Sums, mixture
from impasto.universal.levels import Region, restyled
from impasto.universal.swap import swapped, whitening

__all__ = [
    "CARRIES",
    "Affine",
    "Coder",
    "Coders",
    "Gaussian",
    "Region",
    "Sums",
    "mixture",
    "restyled",
    "swapped",
    "whitening",
]
