"""Helpers for tests, ours and yours: a small network, pictures, a check that a loss descends."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from impasto.backbones import VGG, Preprocessing
from impasto.backbones.vgg import CONFIGS, conv_names


def thin_vgg(
    *,
    width: int = 4,
    seed: int = 0,
    pooling: str = "max",
    padding: str = "zeros",
    dtype: torch.dtype = torch.float32,
) -> VGG:
    """A VGG-16 with random weights and ``width`` channels in the first block.

    It has every layer of the real one, the same strides and names, runs in a millisecond, and
    its activations neither vanish nor explode (He initialisation).
    """
    generator = torch.Generator().manual_seed(seed)
    blocks = CONFIGS["vgg16"]
    weights: dict[str, tuple[Tensor, Tensor]] = {}
    channels = 3
    for name in conv_names(blocks):
        out = width * min(2 ** (int(name[4]) - 1), 8)
        weight = torch.randn(out, channels, 3, 3, generator=generator, dtype=torch.float64)
        bias = 0.1 * torch.randn(out, generator=generator, dtype=torch.float64)
        weight = weight * (2 / (9 * channels)) ** 0.5
        weights[name] = (weight.to(dtype), bias.to(dtype))
        channels = out
    return VGG(
        "vgg16.thin",
        weights,
        blocks=blocks,
        preprocessing=Preprocessing(),
        pooling=pooling,
        padding=padding,
    )


def gradient_picture(height: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A smooth picture, (1, 3, H, W) in [0, 1]: red grows to the right, green downwards."""
    right = torch.linspace(0, 1, width, dtype=dtype).expand(height, width)
    down = torch.linspace(0, 1, height, dtype=dtype)[:, None].expand(height, width)
    return torch.stack([right, down, (right + down) / 2])[None]


def assert_descends(
    loss: Callable[[Tensor], Tensor], start: Tensor, *, steps: int = 10, rate: float = 1e-2
) -> None:
    """Check that plain gradient descent with a normalised step lowers ``loss`` from ``start``.

    Raises:
        AssertionError: It did not, or a value is not finite.
    """
    x = start.detach().clone().requires_grad_(True)
    values = []
    for _ in range(steps):
        value = loss(x)
        (slope,) = torch.autograd.grad(value, x)
        values.append(float(value.detach()))
        with torch.no_grad():
            x -= rate * slope / slope.norm().clamp_min(1e-30)
    if not all(v == v and abs(v) != float("inf") for v in values):
        raise AssertionError(f"not finite: {values}")
    if not values[-1] < values[0]:
        raise AssertionError(f"does not descend: {values}")
