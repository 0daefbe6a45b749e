"""ResNet (He et al. 2016), batch norms folded.

Layers: ``conv1 relu1 pool1``, the outputs of the blocks ``layer1_0 layer1_1 ... layer4_2`` (after
their last ReLU), ``pool``, ``fc``, ``prob``. Inside a block are ``layerG_I_relu1`` and, in
bottlenecks, ``layerG_I_relu2``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from impasto.backbones.base import Preprocessing
from impasto.backbones.chain import Chain, Relu, Single, Stage, check_variant, classifier
from impasto.backbones.model import (
    ARCHITECTURES,
    Architecture,
    Builder,
    Layer,
    add_torchvision,
)
from impasto.backbones.operations import Conv, GlobalMean, Pool, Shape, Window

#: Blocks per group, and whether they are bottlenecks.
CONFIGS: dict[str, tuple[tuple[int, ...], bool]] = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet50": ((3, 4, 6, 3), True),
}


class Residual(Stage):
    """Two or three convolutions with ReLUs between them, plus the input, then a ReLU.

    Args:
        name: ``layerG_I``.
        convs: In order; the stride sits on the first 3 x 3.
        shortcut: Brings the input to the size of the output where they differ.
    """

    def __init__(self, name: str, convs: Sequence[Conv], shortcut: Conv | None) -> None:
        super().__init__(name)
        self.convs = nn.ModuleList(convs)
        self.shortcut = shortcut

    def shapes(self, shape: Shape) -> Iterator[tuple[str, Shape]]:
        """See :meth:`Stage.shapes`."""
        for i, conv in enumerate(self.convs, 1):
            shape = conv.shape(shape)  # type: ignore[operator]
            yield self._name(i), shape

    def run(self, x: Tensor, keep: frozenset[str]) -> Iterator[tuple[str, Tensor]]:
        """See :meth:`Stage.run`."""
        del keep
        y = x
        for i, conv in enumerate(self.convs, 1):
            y = conv(y)
            if i == len(self.convs):
                y = y + (x if self.shortcut is None else self.shortcut(x))
            y = F.relu(y, inplace=True)
            yield self._name(i), y

    def _name(self, i: int) -> str:
        return self.name if i == len(self.convs) else f"{self.name}_relu{i}"


def build(
    name: str,
    weights: Mapping[str, tuple[Tensor, Tensor]],
    *,
    blocks: tuple[int, ...],
    bottleneck: bool,
    preprocessing: Preprocessing,
    pooling: str = "max",
    padding: str = "zeros",
) -> Chain:
    """A ResNet; without ``fc`` it ends at ``pool``."""
    check_variant(pooling, padding)
    groups = [[f"layer{g}_{i}" for i in range(n)] for g, n in enumerate(blocks, 1)]
    stages: list[Stage] = [
        Single("conv1", Conv(*weights["conv1"], Window(7, 2, 3, padding=padding))),
        Relu("relu1", "conv1"),
        Single("pool1", Pool(pooling, Window(3, 2, 1, padding=padding))),
    ]
    for g, group in enumerate(groups):
        for i, block in enumerate(group):
            stride = 2 if g > 0 and i == 0 else 1
            stages.append(_block(block, weights, stride, bottleneck, padding))
    stages += [Single("pool", GlobalMean()), *classifier(weights, {"fc": 1})]
    aliases = {"maxpool": "pool1", "relu": "relu1", "avgpool": "pool", "logits": "fc"}
    for group in groups:
        aliases |= {block.replace("_", "."): block for block in group}
        aliases[group[0].partition("_")[0]] = group[-1]
    levels = [["relu1"], *groups]
    return Chain(name, stages, preprocessing=preprocessing, aliases=aliases, levels=levels)


def _block(
    name: str,
    weights: Mapping[str, tuple[Tensor, Tensor]],
    stride: int,
    bottleneck: bool,
    padding: str,
) -> Residual:
    convs = []
    for i in range(1, 4 if bottleneck else 3):
        weight, bias = weights[f"{name}_conv{i}"]
        size = weight.shape[-1]
        step = stride if i == (2 if bottleneck else 1) else 1
        convs.append(Conv(weight, bias, Window(size, step, size // 2, padding=padding)))
    shortcut = weights.get(f"{name}_downsample")
    window = Window(1, stride, padding=padding)
    return Residual(name, convs, None if shortcut is None else Conv(*shortcut, window))


def _builder(blocks: tuple[int, ...], bottleneck: bool) -> Builder:
    def of(
        name: str,
        weights: Mapping[str, tuple[Tensor, Tensor]],
        *,
        preprocessing: Preprocessing,
        pooling: str,
        padding: str,
    ) -> Chain:
        return build(
            name,
            weights,
            blocks=blocks,
            bottleneck=bottleneck,
            preprocessing=preprocessing,
            pooling=pooling,
            padding=padding,
        )

    return of


def _layers(blocks: tuple[int, ...], bottleneck: bool) -> Iterator[Layer]:
    yield Layer("conv1", (64, 3, 7, 7), "conv1", "bn1")
    into = 64
    for g, count in enumerate(blocks, 1):
        width = 32 * 2**g
        out = 4 * width if bottleneck else width
        for i in range(count):
            yield from _block_layers(g, i, into, width, out)
            into = out
    yield Layer("fc", (1000, into), "fc", head=True)


def _block_layers(g: int, i: int, into: int, width: int, out: int) -> Iterator[Layer]:
    if out != width:
        shapes = [(width, into, 1, 1), (width, width, 3, 3), (out, width, 1, 1)]
    else:
        shapes = [(width, into, 3, 3), (width, width, 3, 3)]
    key = f"layer{g}.{i}"
    for n, shape in enumerate(shapes, 1):
        yield Layer(f"layer{g}_{i}_conv{n}", shape, f"{key}.conv{n}", f"{key}.bn{n}")
    if into != out:
        name = f"layer{g}_{i}_downsample"
        yield Layer(name, (out, into, 1, 1), f"{key}.downsample.0", f"{key}.downsample.1")


for _name, (_blocks, _bottleneck) in CONFIGS.items():
    ARCHITECTURES.add(
        _name,
        Architecture(
            name=_name,
            title=f"ResNet-{_name.removeprefix('resnet')}",
            paper="He et al., Deep residual learning for image recognition, CVPR 2016, "
            "arXiv:1512.03385",
            layers=tuple(_layers(_blocks, _bottleneck)),
            build=_builder(_blocks, _bottleneck),
            tag="tv_in1k",
        ),
    )
add_torchvision("resnet50.tv_in1k", "resnet50-0676ba61.pth", 103)
add_torchvision("resnet18.tv_in1k", "resnet18-f37072fd.pth", 47)
