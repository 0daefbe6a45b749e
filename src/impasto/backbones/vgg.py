"""VGG (Simonyan & Zisserman 2015), the network in which style lives.

Layers carry the paper's names: ``convB_I`` is the output of convolution I of block B before its
ReLU, ``reluB_I`` after it, ``poolB`` the pooling that ends the block. Where the weights come from
a network with batch norm, the norms are folded into the convolutions, so ``convB_I`` then is the
normalised activation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.backbones.base import Backbone, Preprocessing, Tap
from impasto.errors import UsageError

#: Convolutions per block.
CONFIGS: dict[str, tuple[int, ...]] = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
WIDTHS = (64, 128, 256, 512, 512)
#: torch's names of the padding modes, by ours.
PADDING = {"zeros": "constant", "replicate": "replicate", "circular": "circular"}


def conv_names(blocks: tuple[int, ...]) -> list[str]:
    """``["conv1_1", "conv1_2", "conv2_1", ...]`` for a row of :data:`CONFIGS`."""
    return [f"conv{b}_{i}" for b, n in enumerate(blocks, 1) for i in range(1, n + 1)]


def layer_table(blocks: tuple[int, ...], widths: tuple[int, ...]) -> dict[str, Tap]:
    """All layers of a VGG in forward order, with channels, stride and smallest input."""
    table: dict[str, Tap] = {}
    for b, (count, width) in enumerate(zip(blocks, widths, strict=True), 1):
        stride = 2 ** (b - 1)
        for i in range(1, count + 1):
            table[f"conv{b}_{i}"] = Tap(width, stride, stride)
            table[f"relu{b}_{i}"] = Tap(width, stride, stride)
        table[f"pool{b}"] = Tap(width, 2 * stride, 2 * stride)
    return table


def layer_aliases(blocks: tuple[int, ...], batch_norm: bool) -> dict[str, str]:
    """Keras names (``block4_conv2``) and torchvision indices (``features.21``) to ours."""
    aliases: dict[str, str] = {}
    index = 0
    for b, count in enumerate(blocks, 1):
        for i in range(1, count + 1):
            aliases[f"block{b}_conv{i}"] = f"conv{b}_{i}"
            names = [f"conv{b}_{i}"] * (2 if batch_norm else 1) + [f"relu{b}_{i}"]
            for name in names:
                aliases[f"features.{index}"] = name
                index += 1
        aliases[f"block{b}_pool"] = f"pool{b}"
        aliases[f"features.{index}"] = f"pool{b}"
        index += 1
    return aliases


class VGG(Backbone):
    """The convolutional part of a VGG.

    Args:
        name: ``arch.tag``.
        weights: ``{"conv1_1": (weight, bias), ...}``: weight (O, I, 3, 3), bias (O,). A prefix of
            the architecture is allowed; the layers that have no weights do not exist then.
        blocks: Convolutions per block.
        preprocessing: What the weights expect.
        pooling: ``"max"`` as trained, or ``"avg"`` (Gatys et al. 2016, smoother pictures).
        padding: ``"zeros"`` as trained, ``"replicate"`` or ``"circular"`` (periodic pictures).
        batch_norm: Whether torchvision's indices of the source count batch norms.
    """

    def __init__(
        self,
        name: str,
        weights: Mapping[str, tuple[Tensor, Tensor]],
        *,
        blocks: tuple[int, ...],
        preprocessing: Preprocessing,
        pooling: str = "max",
        padding: str = "zeros",
        batch_norm: bool = False,
    ) -> None:
        if pooling not in ("max", "avg"):
            raise UsageError(f"pooling {pooling!r} is not known", hint="use max or avg")
        if padding not in PADDING:
            raise UsageError(f"padding {padding!r} is not known", hint=f"use {', '.join(PADDING)}")
        present = [n for n in conv_names(blocks) if n in weights]
        super().__init__(
            name,
            preprocessing,
            _present_table(blocks, weights),
            layer_aliases(blocks, batch_norm),
        )
        self.aliases = {a: n for a, n in self.aliases.items() if n in self.table}
        self.pooling = pooling
        self.padding = padding
        self.convs = nn.ModuleDict({n: _conv(*weights[n]) for n in present})
        self.freeze()

    def walk(self, x: Tensor, keep: frozenset[str]) -> Iterator[tuple[str, Tensor]]:
        """See :meth:`Backbone.walk`."""
        x = x.contiguous(memory_format=torch.channels_last)
        for layer in self.table:
            if layer.startswith("conv"):
                x = self._convolve(layer, x)
            elif layer.startswith("relu"):
                below = f"conv{layer.removeprefix('relu')}"
                x = F.relu(x, inplace=below not in keep)
            elif self.pooling == "avg":
                x = F.avg_pool2d(x, 2)
            else:
                x = F.max_pool2d(x, 2)
            yield layer, x

    def _convolve(self, layer: str, x: Tensor) -> Tensor:
        conv = self.convs[layer]
        if self.padding == "zeros":
            return F.conv2d(x, conv.weight, conv.bias, padding=1)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), PADDING[self.padding]), conv.weight, conv.bias)


def _conv(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, device="meta", dtype=weight.dtype)
    conv.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
    conv.bias = nn.Parameter(bias.clone())
    return conv


def _present_table(
    blocks: tuple[int, ...], weights: Mapping[str, tuple[Tensor, Tensor]]
) -> dict[str, Tap]:
    widths = tuple(
        weights[f"conv{b}_1"][0].shape[0] if f"conv{b}_1" in weights else 0
        for b in range(1, len(blocks) + 1)
    )
    table: dict[str, Tap] = {}
    for name, tap in layer_table(blocks, widths).items():
        if name.startswith("conv") and name not in weights:
            break
        table[name] = tap
    return table
