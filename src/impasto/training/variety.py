"""Noise for networks that have many pictures to give, and a term that makes them use it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def noise_at(seed: int, place: int, shape: Sequence[int]) -> Tensor:
    """Even noise in [0, 1] for one place in the order of a training, the same in every process."""
    draw = np.random.default_rng((seed, place, 3))
    return torch.from_numpy(draw.random(tuple(shape), dtype=np.float32))


def alike(pictures: Tensor) -> Tensor:
    """Minus the mean logarithm of each picture's smallest mean squared difference to another."""
    flat = pictures.flatten(1)
    apart = (flat[:, None] - flat[None]).square().mean(2)
    apart = apart + torch.eye(len(flat), device=flat.device) * 1e6
    return -(apart.amin(1) + 1e-8).log().mean()
