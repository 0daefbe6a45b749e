"""What a frozen, pretrained network sees of a photo, for a network that paints it.

To keep what is in a photo while its features take on a painting's statistics, a network has to
know what the objective's own network sees there. It learns that very slowly by itself; looking is
cheap. The eyes are those of the default backbone, whose weights are installed with impasto, so no
file of a network holds them. They look at half the size, where shapes are as well to be seen, and
beyond the border they see its last line: what is dark around a photo would be a mark of the border,
and networks learn to put there what they do not want to have in the picture.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto import backbones
from impasto.backbones import Backbone
from impasto.networks.layers import Mirrored, smoothly_enlarged, zeroed
from impasto.networks.norm import ConditionalNorm

#: What the sides of a picture must be multiples of.
STRIDE = 8
#: Layers that are looked at, with their channels: at a quarter of the photo's size, and an eighth.
LAYERS = {"relu2_2": 128, "relu3_3": 256}


@cache
def eyes(device: torch.device) -> Backbone:
    """The network that sees, frozen."""
    with torch.inference_mode(mode=False):  # they outlive it
        found = backbones.load(backbones.DEFAULT, pooling="avg", padding="replicate")
    return found.to(device)


class Sight(nn.Module):
    """What is seen, in a trunk's number of channels, and the ways into the trunk.

    Args:
        width: Channels of the trunk, which works on a quarter of the size.
        styles: How many styles there are.
        joins: How often what is seen is added to it; nothing is, until that is learnt.

    Attributes:
        eyes: A network of its own to see with, in place of the one that all share.
    """

    def __init__(self, width: int, styles: int, joins: int) -> None:
        super().__init__()
        self.looks = nn.ModuleList(nn.Conv2d(c, width, 1) for c in LAYERS.values())
        self.norms = nn.ModuleList(ConditionalNorm(width, styles) for _ in LAYERS)
        self.eyes: Backbone | None = None
        self.joins = nn.ModuleList(
            zeroed(Mirrored(width * len(LAYERS), width)) for _ in range(joins)
        )

    def forward(self, image: Tensor, shares: Tensor) -> Tensor:
        """Look.

        Args:
            image: (B, 3, H, W) in [0, 1]; H and W multiples of 8.
            shares: (B or 1, S) weights of the styles.

        Returns:
            (B, width for each of :data:`LAYERS`, H / 4, W / 4).
        """
        found = (self.eyes or eyes(image.device)).taps(F.avg_pool2d(image, 2), LAYERS)
        parts = zip(self.looks, self.norms, found.values(), strict=True)
        near, far = (norm(look(f), shares, relu=True) for look, norm, f in parts)
        return torch.cat([near, smoothly_enlarged(far)], 1)
