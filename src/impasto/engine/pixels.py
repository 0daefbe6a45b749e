"""Ways to parametrise a picture: what the optimiser moves, and the picture that it means."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Frame:
    """A margin around the picture that is optimised with it and cut off at the end.

    The zeros with which a network pads look like an edge to it; without a margin the optimiser
    answers them with bright or dark stripes along the picture's borders.

    Attributes:
        margin: Width in px on each side.
    """

    margin: int = 0

    def pad(self, image: Tensor) -> Tensor:
        """``image`` (B, C, H, W) mirrored outwards by the margin."""
        height, width = image.shape[-2:]
        index_y = _mirrored(height, self.margin, image.device)
        index_x = _mirrored(width, self.margin, image.device)
        return image[..., index_y[:, None], index_x]

    def crop(self, canvas: Tensor) -> Tensor:
        """What :meth:`pad` was given."""
        m, (height, width) = self.margin, canvas.shape[-2:]
        return canvas[..., m : height - m, m : width - m]


def _mirrored(length: int, margin: int, device: torch.device) -> Tensor:
    """Indices ``-margin .. length + margin - 1`` folded back into ``0 .. length - 1``."""
    period = max(1, 2 * (length - 1))
    index = torch.arange(-margin, length + margin, device=device).remainder(period)
    return torch.minimum(index, period - index) if length > 1 else index * 0


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
