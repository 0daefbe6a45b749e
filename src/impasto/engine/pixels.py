"""Ways to parametrise a picture: what the optimiser moves, and the picture that it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from impasto.engine.store import IN_MEMORY, Store
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
        store: Where the parameter is.
    """

    def __init__(self, image: Tensor, *, clamp: bool = True, store: Store = IN_MEMORY) -> None:
        # Contiguous, since L-BFGS flattens gradients with view().
        self.image = store.keep(image)
        self.image.requires_grad_(True)
        self.clamp = clamp
        self.store = store

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
            for (piece,) in self.store.pieces(self.image.view(-1)):
                piece.clamp_(0, 1)

    def resized(self, height: int, width: int) -> PlainPixels:
        """Resampled with an antialiased filter."""
        image = resize(self.image.detach(), (height, width))
        return PlainPixels(image, clamp=self.clamp, store=self.store)


class LaplacianPixels:
    """A Laplacian pyramid: each level what the next coarser one lacks, the last a small picture.

    ``decode = L_0 + up(L_1 + up(L_2 + ...))``. A step of an optimiser that moves all parameters by
    about the same amount (Adam, RMSprop) then moves coarse shapes as fast as fine ones.

    Source: Burt & Adelson 1983; for style, Kolkin, Salavon & Shakhnarovich 2019 (STROTSS).

    Args:
        image: (B, 3, H, W) sRGB; copied.
        levels: Most levels, of which the last is the small picture; halving ends at 1 px.
        clamp: Whether :meth:`project` clamps the picture to [0, 1].
    """

    def __init__(self, image: Tensor, *, levels: int = 5, clamp: bool = False) -> None:
        self.levels, self.clamp = levels, clamp
        self._parameters = [
            level.detach().clone(memory_format=torch.contiguous_format).requires_grad_(True)
            for level in laplacian_levels(image.detach(), levels)
        ]

    def parameters(self) -> list[Tensor]:
        """One tensor per level, fine to coarse."""
        return self._parameters

    def decode(self) -> Tensor:
        """The sum of all levels."""
        image = self._parameters[-1]
        for level in self._parameters[-2::-1]:
            image = level + _enlarged(image, level)
        return image

    @torch.no_grad()
    def project(self) -> None:
        """Clamp the picture and take it apart anew, in place, if this is the clamped kind."""
        if self.clamp:
            levels = laplacian_levels(self.decode().clamp(0, 1), self.levels)
            for mine, new in zip(self._parameters, levels, strict=True):
                mine.copy_(new)

    @torch.no_grad()
    def resized(self, height: int, width: int) -> LaplacianPixels:
        """The pyramid of the picture at another size."""
        image = resize(self.decode(), (height, width))
        return LaplacianPixels(image, levels=self.levels, clamp=self.clamp)


def laplacian_levels(image: Tensor, levels: int) -> list[Tensor]:
    """``image`` (B, C, H, W) taken apart, fine to coarse; edges are halved, rounded up."""
    found: list[Tensor] = []
    while len(found) < levels - 1 and max(image.shape[-2:]) > 1:
        height, width = image.shape[-2:]
        smaller = resize(image, ((height + 1) // 2, (width + 1) // 2))
        found.append(image - _enlarged(smaller, image))
        image = smaller
    return [*found, image]


def _enlarged(image: Tensor, like: Tensor) -> Tensor:
    return resize(image, (like.shape[-2], like.shape[-1]), mode="bilinear")
