"""A network that enlarges pictures: bicubic interpolation, and what it lacks.

All convolutions, no normalisation: what a pixel becomes depends on a neighbourhood of known size
and nothing else, so a picture of any size can be enlarged tile by tile with the same result.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.images.resize import resize
from impasto.networks.layers import Residual, conv, zeroed
from impasto.networks.model import NETWORKS, numbers

#: What an architecture may set: the factor, channels and residual blocks at the size of the
#: input, channels at the sizes above it, and residual blocks at full size.
DEFAULTS = {"scale": 4, "width": 48, "blocks": 6, "up": 16, "fine": 0}
#: Factors there are.
SCALES = (2, 4)
#: Slope of the activations above the size of the input, for what is below 0.
LEAK = 0.1
#: Pixels of the input on each side that bicubic interpolation looks at, at most.
CUBIC = 2


class Enhancer(nn.Module):
    """Twice or four times the size.

    A body of residual blocks without normalisation works at the size of the input; every doubling
    is a convolution whose channels are laid out as 2 x 2 pixels; at full size, perhaps after some
    more blocks, a last convolution mixes neighbours that came from different channels. Its output
    is added to the bicubic enlargement, which an untrained network gives unchanged.

    Source: Shi et al. 2016 (sub-pixel convolution); Lim et al. 2017 (blocks without
    normalisation). Deviations: small; the last convolution begins at 0.

    The parameters of a network for 2 are among those of one for 4 with the same numbers.

    Args:
        scale: 2 or 4.
        width: Channels of the body.
        blocks: Residual blocks.
        up: Channels after every doubling.
        fine: Residual blocks at full size; without, the network can draw edges, but textures that
            keep to its grid of ``scale`` x ``scale`` pixels come easier to it than others.

    Raises:
        UsageError: Another scale.
    """

    def __init__(self, *, scale: int, width: int, blocks: int, up: int, fine: int = 0) -> None:
        super().__init__()
        if scale not in SCALES:
            raise UsageError(f"an enlargement by {scale}", hint="2 and 4 can be had")
        self.scale = scale
        self.first = conv(3, width)
        self.body = nn.Sequential(*(Residual(width) for _ in range(blocks)))
        doublings = scale.bit_length() - 1
        self.ups = nn.ModuleList(conv(width if i == 0 else up, 4 * up) for i in range(doublings))
        self.fine = nn.Sequential(*(Residual(up) for _ in range(fine)))
        self.last = zeroed(conv(up, 3))

    @classmethod
    def of(cls, architecture: str) -> Enhancer:
        """From ``scale=4,width=48,blocks=6`` and so on, see :data:`DEFAULTS`."""
        return cls(**numbers(architecture, DEFAULTS))

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1], at least 2 x 2, to (B, 3, s H, s W), not clamped."""
        return self.detail(image) + self.plain(image)

    def detail(self, image: Tensor) -> Tensor:
        """What the bicubic enlargement lacks, of its shape."""
        x = self.first(image - 0.5)
        x = x + self.body(x)
        for up in self.ups:
            x = F.leaky_relu(F.pixel_shuffle(up(x), 2), LEAK)
        made: Tensor = self.last(self.fine(x))
        return made

    def plain(self, image: Tensor) -> Tensor:
        """The bicubic enlargement, not clamped."""
        height, width = image.shape[-2:]
        return resize(image, (height * self.scale, width * self.scale), mode="bicubic")

    def reach(self) -> int:
        """Pixels of the input beyond its own on each side that a pixel depends on, at most."""
        # One per convolution at the size of the input; one at twice that size reaches half as far.
        small = 1 + 2 * len(self.body) + 1
        return small + math.ceil((self.scale == 4) / 2 + (1 + 2 * len(self.fine)) / self.scale)


NETWORKS.add("enhance", Enhancer.of)


@torch.no_grad()
def enlarge(network: Enhancer, image: Tensor, tile: int = 0) -> Tensor:
    """The enlargement of a picture of any size.

    With ``tile`` the picture is made in squares, each from its part of the picture and as much of
    its surroundings as the network looks at: the same picture to rounding, with the memory of one
    square besides that of the result.

    Args:
        network: In evaluation mode.
        image: (1, 3, H, W) in [0, 1].
        tile: Edge of a square, in pixels of ``image``; 0 takes all at once.

    Returns:
        (1, 3, s H, s W) in [0, 1].
    """
    height, width = image.shape[-2:]
    # Borders are mirrored, which takes a second pixel.
    padded = F.pad(image, (0, width == 1, 0, height == 1), mode="replicate")
    scale, reach = network.scale, max(network.reach(), CUBIC)
    tall, wide = padded.shape[-2:]
    step = tile or max(tall, wide)
    made = image.new_empty(1, 3, tall * scale, wide * scale)
    for top, bottom, first, last in _spans(tall, step, reach):
        for left, right, start, stop in _spans(wide, step, reach):
            part = network(padded[..., first:last, start:stop]).clamp_(0, 1)
            rows = slice((top - first) * scale, (bottom - first) * scale)
            columns = slice((left - start) * scale, (right - start) * scale)
            place = made[..., top * scale : bottom * scale, left * scale : right * scale]
            place.copy_(part[..., rows, columns])
    return made[..., : height * scale, : width * scale].contiguous()


def _spans(size: int, step: int, reach: int) -> list[tuple[int, int, int, int]]:
    """Begin and end of each part of an axis, without and with its surroundings."""
    cuts = [*range(0, size, step), size]
    return [(a, b, max(0, a - reach), min(size, b + reach)) for a, b in pairwise(cuts)]
