"""GoogLeNet (Szegedy et al. 2015), the network of DeepDream, batch norms folded.

Layers: ``conv1 relu1 pool1 conv2 relu2 conv3 relu3 pool2 inception3a inception3b pool3
inception4a ... inception4e pool4 inception5a inception5b pool fc prob``. A module's output is the
concatenation of its branches, which can be read by themselves: ``inception4d_1x1``,
``_3x3_reduce``, ``_3x3``, ``_5x5_reduce``, ``_5x5`` and ``_pool_proj``, all after their ReLU.

The branch called 5 x 5 in the paper has 3 x 3 kernels in torchvision's weights; it keeps its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.backbones.base import Preprocessing
from impasto.backbones.chain import Chain, Relu, Single, Stage, check_variant, classifier
from impasto.backbones.model import ARCHITECTURES, Architecture, Layer, add_torchvision
from impasto.backbones.operations import Conv, GlobalMean, Pool, Shape, Window

#: Module: input channels, 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection.
_MODULES = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}
#: A module's convolutions and torchvision's keys for them.
_BRANCHES = {
    "1x1": "branch1", "3x3_reduce": "branch2.0", "3x3": "branch2.1",
    "5x5_reduce": "branch3.0", "5x5": "branch3.1", "pool_proj": "branch4.1",
}  # fmt: skip
_EPS = 1e-3
_LEVELS = (
    ("relu1",),
    ("relu2", "relu3"),
    ("inception3a", "inception3b"),
    ("inception4a", "inception4b", "inception4c", "inception4d", "inception4e"),
    ("inception5a", "inception5b"),
)


class Inception(Stage):
    """Four branches beside each other, concatenated."""

    def __init__(self, name: str, convs: Mapping[str, Conv], pool: Pool) -> None:
        super().__init__(name)
        self.convs = nn.ModuleDict(convs)
        self.pool = pool

    def shapes(self, shape: Shape) -> Iterator[tuple[str, Shape]]:
        """See :meth:`Stage.shapes`."""
        outs = []
        found = shape
        for branch, conv in self.convs.items():
            first = self.pool.shape(shape) if branch == "pool_proj" else shape
            found = conv.shape(found if _second(branch) else first)  # type: ignore[operator]
            outs += [] if branch.endswith("reduce") else [found]
            yield f"{self.name}_{branch}", found
        longest = max(outs, key=lambda s: (s.tap().min_size, sum(w.size for w in s.path)))
        yield self.name, Shape(sum(s.channels for s in outs), longest.stride, longest.path)

    def run(self, x: Tensor, keep: frozenset[str]) -> Iterator[tuple[str, Tensor]]:
        """See :meth:`Stage.run`."""
        del keep
        outs = []
        found = x
        for branch, conv in self.convs.items():
            source = self.pool(x) if branch == "pool_proj" else x
            found = F.relu(conv(found if _second(branch) else source), inplace=True)
            outs += [] if branch.endswith("reduce") else [found]
            yield f"{self.name}_{branch}", found
        yield self.name, torch.cat(outs, dim=1)


def _second(branch: str) -> bool:
    """Whether a convolution takes the output of the one before it in the list of branches."""
    return branch in ("3x3", "5x5")


def build(
    name: str,
    weights: Mapping[str, tuple[Tensor, Tensor]],
    *,
    preprocessing: Preprocessing,
    pooling: str = "max",
    padding: str = "zeros",
) -> Chain:
    """A GoogLeNet; without ``fc`` it ends at ``pool``.

    ``pooling`` concerns the four poolings that halve the picture, not those inside the modules.
    """
    check_variant(pooling, padding)
    stages = _stem(weights, pooling, padding)
    for module in _MODULES:
        stages.append(_module(f"inception{module}", weights, padding))
        if module in ("3b", "4e"):
            size = 3 if module == "3b" else 2
            window = Window(size, 2, ceil=True, padding=padding)
            stages.append(Single("pool3" if size == 3 else "pool4", Pool(pooling, window)))
    stages += [Single("pool", GlobalMean()), *classifier(weights, {"fc": 1})]
    aliases = {f"maxpool{i}": f"pool{i}" for i in range(1, 5)}
    aliases |= {"avgpool": "pool", "logits": "fc"}
    aliases |= {f"inception_{m}": f"inception{m}" for m in _MODULES}
    return Chain(name, stages, preprocessing=preprocessing, aliases=aliases, levels=_LEVELS)


def _stem(weights: Mapping[str, tuple[Tensor, Tensor]], pooling: str, padding: str) -> list[Stage]:
    windows = {
        "conv1": Window(7, 2, 3, padding=padding),
        "conv2": Window(1, padding=padding),
        "conv3": Window(3, pad=1, padding=padding),
    }
    half = Window(3, 2, ceil=True, padding=padding)
    stages: list[Stage] = []
    for name, window in windows.items():
        relu = name.replace("conv", "relu")
        stages += [Single(name, Conv(*weights[name], window)), Relu(relu, name)]
        if name != "conv2":
            stages.append(Single("pool1" if name == "conv1" else "pool2", Pool(pooling, half)))
    return stages


def _module(name: str, weights: Mapping[str, tuple[Tensor, Tensor]], padding: str) -> Inception:
    convs = {}
    for branch in _BRANCHES:
        weight, bias = weights[f"{name}_{branch}"]
        size = weight.shape[-1]
        convs[branch] = Conv(weight, bias, Window(size, 1, size // 2, padding=padding))
    return Inception(name, convs, Pool("max", Window(3, 1, 1, padding=padding)))


def _layers() -> Iterator[Layer]:
    stem = {"conv1": (64, 3, 7, 7), "conv2": (64, 64, 1, 1), "conv3": (192, 64, 3, 3)}
    for name, shape in stem.items():
        yield Layer(name, shape, f"{name}.conv", f"{name}.bn", _EPS)
    for module, (into, one, mid3, three, mid5, five, proj) in _MODULES.items():
        shapes = [
            (one, into, 1, 1), (mid3, into, 1, 1), (three, mid3, 3, 3),
            (mid5, into, 1, 1), (five, mid5, 3, 3), (proj, into, 1, 1),
        ]  # fmt: skip
        for (branch, place), shape in zip(_BRANCHES.items(), shapes, strict=True):
            key = f"inception{module}.{place}"
            yield Layer(f"inception{module}_{branch}", shape, f"{key}.conv", f"{key}.bn", _EPS)
    yield Layer("fc", (1000, 1024), "fc", head=True)


ARCHITECTURES.add(
    "googlenet",
    Architecture(
        name="googlenet",
        title="GoogLeNet",
        paper="Szegedy et al., Going deeper with convolutions, CVPR 2015, arXiv:1409.4842",
        layers=tuple(_layers()),
        build=build,
        tag="tv_in1k",
        ignored=("aux1.", "aux2."),
    ),
)
# torchvision's network rescales its ImageNet-normalised input to (x - 0.5) / 0.5 by itself.
add_torchvision("googlenet.tv_in1k", "googlenet-1378be20.pth", 52, "inception")
