"""The generator of Ulyanov et al. 2016 for photos: noise and a photo at several scales."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.networks.fast import FastNet, PhotoNet
from impasto.networks.layers import conv, enlarged, zeroed
from impasto.networks.model import NETWORKS, numbers
from impasto.networks.norm import ConditionalNorm
from impasto.networks.texture import NOISE, Block

#: Scales, channels that each of them adds, and number of styles.
DEFAULTS = {"scales": 5, "width": 8, "styles": 1}
#: Most scales: with the margin, the coarsest then still has 2 x 2 pixels of any picture.
MOST = 6


class StyledBlock(nn.Module):
    """A :class:`impasto.networks.texture.Block` whose norms have scale and shift by style.

    Args:
        inputs: Channels.
        outputs: Channels.
        styles: How many styles there are.
    """

    def __init__(self, inputs: int, outputs: int, styles: int) -> None:
        super().__init__()
        self.layers = Block(inputs, outputs, "reflect").layers
        self.norms = nn.ModuleList(ConditionalNorm(outputs, styles) for _ in self.layers)

    def forward(self, x: Tensor, shares: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W)."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.leaky_relu(norm(layer(x), shares), 0.1)
        return x


class UlyanovNet(PhotoNet):
    """Photo and noise in, painting out: other noise, another picture of the photo.

    At every scale a block sees the photo, reduced by averaging, and noise. From the coarsest on:
    what there is so far is enlarged and joined with the block's view of the scale, and a block
    follows.

    Source: Ulyanov, Lebedev, Vedaldi & Lempitsky 2016, section 3.3; instance norm after Ulyanov et
    al. 2016b. Deviations: the noise of a scale is every so many-th pixel of one picture of noise,
    so that a picture needs one tensor of it; scale and shift of the norm by style; it begins as
    the photo, as :class:`impasto.networks.fast.FastNet` does.

    Args:
        scales: Of photo and noise; the coarsest has 1 / 2^(scales - 1) of the size.
        width: Channels that each scale adds.
        styles: How many styles it knows.
    """

    noisy = True

    def __init__(self, *, scales: int, width: int, styles: int) -> None:
        super().__init__(styles, width * scales)
        self.scales, self.multiple = scales, 2 ** (scales - 1)
        self.views = nn.ModuleList(StyledBlock(3 + NOISE, width, styles) for _ in range(scales))
        self.joined = nn.ModuleList(
            StyledBlock(width * (i + 1), width * (i + 1), styles) for i in range(1, scales)
        )
        self.last = zeroed(nn.Conv2d(width * scales, 3, 1))
        self.past = zeroed(conv(3, 3))

    @classmethod
    def of(cls, architecture: str) -> UlyanovNet:
        """From ``scales=5,width=8,styles=1``, see :data:`DEFAULTS`."""
        found = numbers(architecture, DEFAULTS)
        return cls(**{**found, "scales": min(found["scales"], MOST)})

    def forward(
        self, image: Tensor, shares: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Paint.

        Args:
            image: (B, 3, H, W) in [0, 1]; H and W multiples of :attr:`multiple`, at least twice.
            shares: (B or 1, S) weights of the styles, summing to 1; the first style without.
            noise: Like ``image``; grey without, which gives the calmest picture.

        Returns:
            (B, 3, H, W) in (0, 1).
        """
        shares = self.shares(image, shares)
        noise = torch.full_like(image, 0.5) if noise is None else noise
        x = self.views[-1](_seen(image, noise, self.scales - 1), shares)
        for place, joined in enumerate(self.joined):
            scale = self.scales - 2 - place
            view = self.views[scale](_seen(image, noise, scale), shares)
            x = joined(torch.cat([enlarged(x), view], 1), shares)
        return FastNet.finished(self.last(x), image, self.past(image - 0.5))


def _seen(image: Tensor, noise: Tensor, scale: int) -> Tensor:
    """What there is of photo and noise at 1 / 2^scale of the size, (B, 6, h, w)."""
    step = 2**scale
    photo = F.avg_pool2d(image, step) if scale else image
    return torch.cat([photo, noise[..., ::step, ::step]], 1) - 0.5


NETWORKS.add("ulyanov", UlyanovNet.of)
