"""The generator of MGAN (Li & Wand 2016b): a painting out of what a VGG sees in a photo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.backbones import VGG, Backbone
from impasto.backbones.operations import Conv, Pool
from impasto.errors import UsageError
from impasto.networks.fast import SLOPE, PhotoNet
from impasto.networks.johnson import Layer
from impasto.networks.layers import Mirrored, conv
from impasto.networks.model import NETWORKS, numbers

#: What an architecture may set. Of the encoder: channels of its first block, which double from
#: block to block; convolutions of blocks 1 to 3, and the first one of block 4 follows; whether it
#: pools by means. Then channels behind the features, halved at every enlargement, and styles.
DEFAULTS = {
    "encoder": 64,
    "one": 2,
    "two": 2,
    "three": 3,
    "average": 0,
    "width": 256,
    "styles": 1,
}
#: The layer that is read, and its stride.
LAYER, STRIDE = "relu4_1", 8


class MarkovianNet(PhotoNet):
    """Photo in, painting out; all that it knows of the photo is the layer relu4_1 of a VGG.

    The encoder is frozen, and part of the network and of its file. Behind it: a convolution, three
    times an enlargement and a convolution, each with norm and ReLU, and a last convolution.

    Source: Li & Wand 2016b. Deviations: enlargement and convolution in place of
    fractional strides, which leave checkerboards; instance norm with scale and shift by style and
    a ReLU in place of batch norm and a leaky one; a sigmoid; the encoder mirrors the picture at
    its border, as all networks here do.

    Args:
        encoder: Channels of the encoder's first block.
        depths: Its convolutions by block.
        average: Whether it pools by means, not by maxima.
        width: Channels behind the features.
        styles: How many styles it knows.
    """

    multiple = STRIDE

    def __init__(
        self, *, encoder: int, depths: tuple[int, ...], average: bool, width: int, styles: int
    ) -> None:
        # Frozen and without norms, the encoder has half as many copies of a layer (measured: 800).
        super().__init__(styles, max(encoder / 2, width / STRIDE))
        self.pool = F.avg_pool2d if average else F.max_pool2d
        widths = [3, *(encoder * 2**block for block, n in enumerate(depths) for _ in range(n))]
        self.encoder = nn.ModuleList(Mirrored(*pair) for pair in pairwise(widths))
        self.encoder.requires_grad_(False)
        self.pooled = tuple(accumulate(depths[:-1]))  # the convolutions that begin a block
        self.layers = nn.ModuleList([Layer(conv(widths[-1], width), styles)])
        for _ in depths[1:]:
            narrow = max(1, width // 2)
            self.layers.append(Layer(conv(width, narrow), styles, grown=True))
            width = narrow
        self.layers.append(Layer(conv(width, 3), styles, last=True))

    @classmethod
    def of(cls, architecture: str) -> MarkovianNet:
        """From ``encoder=64,one=2`` and so on, see :data:`DEFAULTS`."""
        found = numbers(architecture, DEFAULTS, zero=("average",))
        return cls(
            encoder=found["encoder"],
            depths=(found["one"], found["two"], found["three"], 1),
            average=bool(found["average"]),
            width=found["width"],
            styles=found["styles"],
        )

    @torch.no_grad()
    def see(self, backbone: Backbone) -> None:
        """Take the encoder's filters from a network that :func:`encoder_of` has described.

        They are rounded to half precision, which is what a model's file keeps.
        """
        mine = cast("Iterable[Mirrored]", self.encoder)
        theirs = [op for op in _operations(backbone) if isinstance(op, Conv)]
        expects = backbone.preprocessing
        for place, (layer, op) in enumerate(zip(mine, theirs, strict=True)):
            weight, bias = op.weight, op.bias
            if not place:  # what the weights expect of a picture goes into the first filters
                ends = torch.stack([torch.zeros(3), torch.ones(3)]).view(2, 3, 1, 1)
                shift, top = expects(ends.to(weight)).view(2, 3)
                bias = bias + (weight.sum((2, 3)) @ shift)
                weight = weight * (top - shift).view(3, 1, 1)
                weight = weight.flip(1) if expects.channels == "bgr" else weight
            assert layer.bias is not None
            layer.weight.copy_(weight.half())
            layer.bias.copy_(bias.half())

    def features(self, image: Tensor) -> Tensor:
        """relu4_1 of pictures in [0, 1]: (B, 3, H, W) to (B, 8 encoder, H / 8, W / 8)."""
        x = image
        for place, layer in enumerate(self.encoder):
            x = layer(self.pool(x, 2) if place in self.pooled else x, relu=True)
        return x

    def forward(self, image: Tensor, shares: Tensor | None = None) -> Tensor:
        """Paint; as :meth:`impasto.networks.fast.FastNet.forward`, sides multiples of 8."""
        shares = self.shares(image, shares)
        x = self.features(image)
        for layer in self.layers:
            x = layer(x, shares)
        return torch.sigmoid(SLOPE * x)


def encoder_of(backbone: Backbone) -> str:
    """What an architecture says of an encoder that is ``backbone`` up to relu4_1.

    Raises:
        UsageError: It is no VGG.
    """
    depths, average, channels = [0], False, []
    for op in _operations(backbone):
        if isinstance(op, Pool):
            depths.append(0)
            average = op.kind == "avg"
        else:
            depths[-1] += 1
            channels.append(op.bias.numel())
    one, two, three, _ = depths
    return f"encoder={channels[0]},one={one},two={two},three={three},average={int(average)}"


def _operations(backbone: Backbone) -> Iterator[Conv | Pool]:
    """Convolutions and poolings up to relu4_1.

    Raises:
        UsageError: ``backbone`` is no VGG.
    """
    if not isinstance(backbone, VGG):
        raise UsageError(
            f"this generator looks through a VGG, not {backbone.name}",
            hint="another recipe: --set recipe=NAME",
        )
    for stage in backbone.stages:
        if isinstance(op := getattr(stage, "op", None), Conv | Pool):
            yield op
        if stage.name == LAYER:
            return


NETWORKS.add("mgan", MarkovianNet.of)
