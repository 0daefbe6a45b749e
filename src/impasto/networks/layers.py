"""Parts that several networks are made of."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution that mirrors the picture at its border: no dark frame, no seams."""
    pad = size // 2
    return nn.Conv2d(inputs, outputs, size, stride, pad, padding_mode="reflect")


def enlarged(x: Tensor) -> Tensor:
    """Twice the height and width, every value repeated: no checkerboard."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """``layer``, giving 0 for everything until it learns."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Residual(nn.Module):
    """``x + B relu(A x)``; begins as the identity.

    Args:
        channels: Of input and output.
        inner: Between the convolutions.
    """

    def __init__(self, channels: int, inner: int | None = None) -> None:
        super().__init__()
        self.first = conv(channels, inner or channels)
        self.second = zeroed(conv(inner or channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        made: Tensor = self.second(F.relu(self.first(x)))
        return x + made
