"""Pictures as functions: a small network that gives the colour at a place."""

from __future__ import annotations

import torch
from torch import Tensor

#: Hidden layers and their width.
LAYERS, HIDDEN = 8, 24
#: Edge of the square of coordinates: uniform numbers in it have variance 1.
EXTENT = 3**0.5


class CPPNPixels:
    """A compositional pattern-producing network: coordinates in, colours out.

    Each hidden unit gives two values, ``atan(x) / 0.67`` and ``(atan(x)^2 - 0.45) / 0.4``, odd
    and even, which for normal x have mean 0 and variance 1. The picture exists at any size and
    is smooth at all of them.

    Source: Stanley 2007; Mordvintsev, Pezzotti, Schubert & Olah, Differentiable Image
    Parameterizations, Distill 2018.

    Args:
        count: Pictures, B, each with a network of its own.
        height: Px.
        width: Px.
        generator: Of the weights; on the CPU, so that devices agree.
    """

    def __init__(self, count: int, height: int, width: int, generator: torch.Generator) -> None:
        sizes = [3, *[2 * HIDDEN] * LAYERS]
        shapes = [(count, HIDDEN, n) for n in sizes[:-1]] + [(count, 3, sizes[-1])]
        weights = [torch.randn(s, generator=generator) * s[2] ** -0.5 for s in shapes]
        weights[-1] *= 0.2  # begins near grey
        self.size = (height, width)
        self._weights = [w.requires_grad_(True) for w in weights]

    def parameters(self) -> list[Tensor]:
        """The weights of each layer, (B, out, in)."""
        return self._weights

    def to(self, device: torch.device) -> CPPNPixels:
        """The same on another device, as new parameters."""
        made = CPPNPixels.__new__(CPPNPixels)
        made.size = self.size
        made._weights = [w.detach().clone().to(device).requires_grad_(True) for w in self._weights]
        return made

    def decode(self) -> Tensor:
        """The picture, inside (0, 1)."""
        height, width = self.size
        first, *rest = self._weights
        x = places(height, width).to(first)
        for weight in (first, *rest[:-1]):
            x = torch.atan(weight @ x)
            x = torch.cat([x / 0.67, (x.square() - 0.45) / 0.4], -2)
        return torch.sigmoid(rest[-1] @ x).view(-1, 3, height, width)

    def project(self) -> None:
        """Nothing: every weight is allowed."""

    def resized(self, height: int, width: int) -> CPPNPixels:
        """The same function at more or fewer places."""
        made = self.to(self._weights[0].device)
        made.size = (height, width)
        return made


def places(height: int, width: int) -> Tensor:
    """Coordinates x, y and distance from the middle, (3, H W); the longest side spans the square.

    The distance is shifted and scaled so that its variance in the square is 1.
    """
    longest = max(height, width)

    def along(n: int) -> Tensor:
        return EXTENT * (2 * (torch.arange(n) + 0.5) - n) / longest

    y, x = torch.meshgrid(along(height), along(width), indexing="ij")
    radius = (x.square() + y.square()).sqrt()
    return torch.stack([x, y, (radius - 1.33) / 0.49]).flatten(1)
