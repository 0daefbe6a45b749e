"""SqueezeNet 1.1 (Iandola et al. 2016): AlexNet's accuracy in 5 MB.

Layers: ``conv1 relu1 pool1 fire2 fire3 pool3 fire4 fire5 pool5 fire6 ... fire9 conv10 relu10
pool10 prob``. A fire module's output is ``fireN``; inside it is ``fireN_squeeze``. ``pool10``
holds the logits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.backbones.base import Preprocessing
from impasto.backbones.chain import Chain, Relu, Single, Stage, check_variant
from impasto.backbones.model import ARCHITECTURES, Architecture, Layer, add_torchvision
from impasto.backbones.operations import Conv, GlobalMean, Pool, Shape, Softmax, Window

#: Fire module: input channels, squeezed channels, channels of each half of the output.
_FIRES = {
    2: (64, 16, 64), 3: (128, 16, 64), 4: (128, 32, 128), 5: (256, 32, 128),
    6: (256, 48, 192), 7: (384, 48, 192), 8: (384, 64, 256), 9: (512, 64, 256),
}  # fmt: skip
#: Torchvision's indices of the fire modules and poolings.
_INDEX = {
    "conv1": 0, "relu1": 1, "pool1": 2, "fire2": 3, "fire3": 4, "pool3": 5, "fire4": 6,
    "fire5": 7, "pool5": 8, "fire6": 9, "fire7": 10, "fire8": 11, "fire9": 12,
}  # fmt: skip
_LEVELS = (
    ("relu1",), ("fire2", "fire3"), ("fire4", "fire5"), ("fire6", "fire7"), ("fire8", "fire9")
)  # fmt: skip


class Fire(Stage):
    """Squeeze with 1 x 1, then expand with 1 x 1 and 3 x 3 beside each other."""

    def __init__(self, name: str, squeeze: Conv, small: Conv, large: Conv) -> None:
        super().__init__(name)
        self.squeeze = squeeze
        self.small = small
        self.large = large

    def shapes(self, shape: Shape) -> Iterator[tuple[str, Shape]]:
        """See :meth:`Stage.shapes`."""
        squeezed = self.squeeze.shape(shape)
        yield f"{self.name}_squeeze", squeezed
        large = self.large.shape(squeezed)
        yield self.name, Shape(large.channels + self.small.bias.numel(), large.stride, large.path)

    def run(self, x: Tensor, keep: frozenset[str]) -> Iterator[tuple[str, Tensor]]:
        """See :meth:`Stage.run`."""
        del keep
        squeezed = F.relu(self.squeeze(x), inplace=True)
        yield f"{self.name}_squeeze", squeezed
        expanded = torch.cat([self.small(squeezed), self.large(squeezed)], dim=1)
        yield self.name, F.relu(expanded, inplace=True)


def build(
    name: str,
    weights: Mapping[str, tuple[Tensor, Tensor]],
    *,
    preprocessing: Preprocessing,
    pooling: str = "max",
    padding: str = "zeros",
) -> Chain:
    """A SqueezeNet 1.1; without ``conv10`` it ends at ``fire9``."""
    check_variant(pooling, padding)
    conv1 = Conv(*weights["conv1"], Window(3, 2, padding=padding))
    stages: list[Stage] = [Single("conv1", conv1), Relu("relu1", "conv1")]
    for layer in _INDEX:
        if layer.startswith("pool"):
            window = Window(3, 2, ceil=True, padding=padding)
            stages.append(Single(layer, Pool(pooling, window)))
        elif layer.startswith("fire"):
            stages.append(_fire(layer, weights, padding))
    if "conv10" in weights:
        stages.append(Single("conv10", Conv(*weights["conv10"], Window(1, padding=padding))))
        stages += [Relu("relu10", "conv10"), Single("pool10", GlobalMean())]
        stages.append(Single("prob", Softmax()))
    aliases = {f"features.{i}": layer for layer, i in _INDEX.items()}
    aliases |= {"classifier.1": "conv10", "classifier.2": "relu10", "logits": "pool10"}
    return Chain(name, stages, preprocessing=preprocessing, aliases=aliases, levels=_LEVELS)


def _fire(name: str, weights: Mapping[str, tuple[Tensor, Tensor]], padding: str) -> Fire:
    small, large = Window(1, padding=padding), Window(3, pad=1, padding=padding)
    return Fire(
        name,
        Conv(*weights[f"{name}_squeeze"], small),
        Conv(*weights[f"{name}_expand1x1"], small),
        Conv(*weights[f"{name}_expand3x3"], large),
    )


def _layers() -> Iterator[Layer]:
    yield Layer("conv1", (64, 3, 3, 3), "features.0")
    for n, (into, squeezed, half) in _FIRES.items():
        key = f"features.{_INDEX[f'fire{n}']}"
        yield Layer(f"fire{n}_squeeze", (squeezed, into, 1, 1), f"{key}.squeeze")
        yield Layer(f"fire{n}_expand1x1", (half, squeezed, 1, 1), f"{key}.expand1x1")
        yield Layer(f"fire{n}_expand3x3", (half, squeezed, 3, 3), f"{key}.expand3x3")
    yield Layer("conv10", (1000, 512, 1, 1), "classifier.1", head=True)


ARCHITECTURES.add(
    "squeezenet1_1",
    Architecture(
        name="squeezenet1_1",
        title="SqueezeNet 1.1",
        paper="Iandola et al., SqueezeNet, 2016, arXiv:1602.07360",
        layers=tuple(_layers()),
        build=build,
        tag="tv_in1k",
    ),
)
add_torchvision("squeezenet1_1.tv_in1k", "squeezenet1_1-b8a52dc0.pth", 5)
