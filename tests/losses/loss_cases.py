"""Every registered loss with its defaults, the variants of its options, and how to feed it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from impasto.losses import LOSSES, JointLoss, Loss

VARIANTS: dict[str, list[dict[str, Any]]] = {
    "content": [{"scale": s} for s in ("half", "root", "relative", "l1")],
    "gram": [{"divide": d, "scale": s} for d, s in (("none", "gatys"), ("chw", "relative"))],
    "swag": [{"over": "channel", "temperature": 2.0}, {"unit": "std"}],
    "swag-content": [{"over": "channel"}, {"unit": "std", "temperature": 0.5}],
    "mean-std": [{"scale": "relative"}, {"scale": "sum", "spread": "var"}],
    "mean-cov": [{"scale": "relative"}, {"scale": "mean", "norm": "l1"}],
    "wasserstein": [{"scale": "relative"}, {"scale": "sum", "ridge": 1e-4}],
    "mrf": [{"stride": 1, "chunk": 7, "scale": "relative"}, {"patch": 2, "scale": "sum"}],
    "histogram": [{"scale": "relative"}, {"scale": "sum"}],
    "sliced-wasserstein": [{"scale": "relative", "projections": 5}, {"samples": 17}],
    "remd": [{"moments": 1.0}, {"metric": "euclidean"}, {"metric": "both", "samples": 19}],
    "self-similarity": [{"samples": 20}],
    "contextual": [{"bandwidth": 0.5, "chunk": 11}, {"samples": 23}],
    "tv": [
        {"power": 1.0},
        {"form": "isotropic", "power": 1.0},
        {"form": "isotropic", "scale": "half", "eps": 0.0},
        {"scale": "pixels"},
        {"scale": "sum", "power": 1.25},
        {"form": "nine-point", "scale": "pixels"},
    ],
    "range": [{"form": "box", "power": 2.0, "low": -0.5, "high": 0.5}],
    "laplacian": [{"pools": (1, 2), "scale": "relative"}, {"pools": (2,), "scale": "sum"}],
}
CASES = [(name, options) for name, _ in LOSSES for options in ({}, *VARIANTS.get(name, []))]
IDS = [f"{n}:{','.join(f'{k}={v}' for k, v in o.items())}" for n, o in CASES]
#: Losses whose least value is not at their own target, with the reason.
NOT_ZERO = {
    "contextual": "shares of a softmax never reach 1",
    "adversarial": "the critic decides, and it has not learnt yet",
}


def make(name: str, options: dict[str, Any]) -> Loss | JointLoss:
    return LOSSES.get(name)(**options)


def feed(loss: Loss | JointLoss, features: Tensor) -> Any:
    """What ``loss`` takes: the features, or two layers made of them."""
    return (features, 0.5 * features.flip(1)) if loss.joint else features


def value(loss: Any, x: Tensor, target: Any, weight: Tensor | None = None) -> Tensor:
    found: Tensor = loss(feed(loss, x), target, weight)
    return found


def target_of(loss: Any, y: Tensor, weight: Tensor | None = None) -> Any:
    return loss.target(feed(loss, y), weight)


def features(
    seed: int, *shape: int, dtype: torch.dtype = torch.float64, shift: float = 0.3
) -> Tensor:
    """Activations as after a ReLU: many zeros, some large."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(*shape, generator=generator, dtype=torch.float64) + shift).to(dtype)


def needs_same_size(name: str) -> bool:
    return name in {"content", "perceptual", "swag-content", "self-similarity", "laplacian"}
