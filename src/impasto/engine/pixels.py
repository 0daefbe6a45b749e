"""Ways to parametrise a picture: what the optimiser moves, and the picture that it means."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from impasto.images.resize import resize


class Pixels(Protocol):
    """Parameters and the picture that they decode to."""

    def parameters(self) -> list[Tensor]:
        """The leaf tensors that the optimiser moves."""

    def decode(self) -> Tensor:
        """The picture, (B, 3, H, W), sRGB, differentiable; [0, 1] where the kind bounds it."""

    def project(self) -> None:
        """Bring the parameters back to what is allowed; called after a step, in place."""

    def resized(self, height: int, width: int) -> Pixels:
        """The same picture at another size, as new parameters."""


class PlainPixels:
    """The picture itself is the parameter.

    Args:
        image: (B, 3, H, W) sRGB; copied.
        clamp: Whether :meth:`project` clamps to [0, 1].
    """

    def __init__(self, image: Tensor, *, clamp: bool = True) -> None:
        # Contiguous, since L-BFGS flattens gradients with view().
        self.image = image.detach().clone(memory_format=torch.contiguous_format)
        self.image.requires_grad_(True)
        self.clamp = clamp

    def parameters(self) -> list[Tensor]:
        """One tensor, (B, 3, H, W)."""
        return [self.image]

    def decode(self) -> Tensor:
        """The parameter."""
        return self.image

    @torch.no_grad()
    def project(self) -> None:
        """Clamp to [0, 1] in place, if this is the clamped kind."""
        if self.clamp:
            self.image.clamp_(0, 1)

    def resized(self, height: int, width: int) -> PlainPixels:
        """Resampled with an antialiased filter."""
        return PlainPixels(resize(self.image.detach(), (height, width)), clamp=self.clamp)
