"""A network that makes textures of any size out of noise."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.networks.layers import enlarged, moments_of
from impasto.networks.model import NETWORKS, numbers

#: Scales of the noise, channels that each of them adds, and whether the edges meet.
DEFAULTS = {"scales": 5, "width": 8, "seamless": 0}
#: Channels of the noise.
NOISE = 3
EPS = 1e-5


def normed(x: Tensor) -> Tensor:
    """Instance normalisation without a scale: a convolution follows."""
    var, mean = moments_of(x)
    return (x - mean) * torch.rsqrt(var + EPS)


class Block(nn.Module):
    """3 x 3, 3 x 3 and 1 x 1 convolutions, each normalised and through a leaky ReLU.

    Args:
        inputs: Channels.
        outputs: Channels.
        mode: How the border is padded.
    """

    def __init__(self, inputs: int, outputs: int, mode: Literal["reflect", "circular"]) -> None:
        super().__init__()
        widths = [inputs, outputs, outputs, outputs]
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, size, padding=size // 2, padding_mode=mode)
            for a, b, size in zip(widths, widths[1:], (3, 3, 1), strict=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W)."""
        for layer in self.layers:
            x = F.leaky_relu(normed(layer(x)), 0.1)
        return x


class TextureNet(nn.Module):
    """Noise at several scales in, a texture out.

    From the coarsest scale on: what there is so far is enlarged and joined with a block's view of
    the noise at this scale, and a block follows. With ``seamless`` every convolution and every
    enlargement goes round the edges, so that tiles of the result meet.

    Source: Ulyanov, Lebedev, Vedaldi & Lempitsky 2016; instance norm after the second paper.

    Args:
        scales: Of the noise; the coarsest has 1 / 2^(scales - 1) of the size.
        width: Channels that each scale adds.
        seamless: 1 pads circularly, 0 mirrors.
    """

    def __init__(self, *, scales: int, width: int, seamless: int) -> None:
        super().__init__()
        mode: Literal["reflect", "circular"] = "circular" if seamless else "reflect"
        self.scales = scales
        self.views = nn.ModuleList(Block(NOISE, width, mode) for _ in range(scales))
        self.joined = nn.ModuleList(
            Block(width * (i + 1), width * (i + 1), mode) for i in range(1, scales)
        )
        self.last = nn.Conv2d(width * scales, 3, 1)

    @classmethod
    def of(cls, architecture: str) -> TextureNet:
        """From ``scales=5,width=8,seamless=0``, see :data:`DEFAULTS`."""
        found = numbers(architecture, DEFAULTS, zero=("seamless",))
        return cls(**{**found, "scales": min(found["scales"], 8)})

    @property
    def multiple(self) -> int:
        """What height and width must be multiples of."""
        return int(2 ** (self.scales - 1))

    def forward(self, noise: list[Tensor]) -> Tensor:
        """Noise from fine to coarse, as :func:`noises` draws it, to (B, 3, H, W) in (0, 1)."""
        x = self.views[-1](noise[-1])
        for place, joined in enumerate(self.joined):
            scale = self.scales - 2 - place
            x = joined(torch.cat([enlarged(x), self.views[scale](noise[scale])], 1))
        return torch.sigmoid(self.last(x))


NETWORKS.add("texture", TextureNet.of)


def noises(
    network: TextureNet, batch: int, height: int, width: int, generator: torch.Generator
) -> list[Tensor]:
    """Even noise in [0, 1] for each scale, fine to coarse; both sides multiples of ``multiple``."""
    sizes = [(height >> i, width >> i) for i in range(network.scales)]
    return [torch.rand(batch, NOISE, *size, generator=generator) for size in sizes]


@torch.no_grad()
def weave(network: TextureNet, height: int, width: int, seed: int = 0) -> Tensor:
    """A texture (1, 3, H, W) of any size; equal seeds give equal textures.

    It is made a little larger where the sides are no multiples of what the network needs, and
    cut; then the edges of a seamless one do not meet.
    """
    least, step = 4 * network.multiple, network.multiple
    tall, wide = (max(least, -(-n // step) * step) for n in (height, width))
    draw = torch.Generator().manual_seed(seed)
    device = next(network.parameters()).device
    noise = [n.to(device) for n in noises(network, 1, tall, wide, draw)]
    made: Tensor = network(noise)
    return made[..., :height, :width].contiguous()
