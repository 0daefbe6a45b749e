"""AlexNet in its one-column form (Krizhevsky 2014), the network of the survey's first examples.

Layers: ``conv1 relu1 pool1 conv2 relu2 pool2 conv3 relu3 conv4 relu4 conv5 relu5 pool5 fc6 relu6
fc7 relu7 fc8 prob``.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from impasto.backbones.base import Preprocessing
from impasto.backbones.chain import Chain, Relu, Single, Stage, check_variant, classifier
from impasto.backbones.model import ARCHITECTURES, Architecture, Layer, add_torchvision
from impasto.backbones.operations import Conv, Pool, Window

#: Convolution: output channels, input channels, kernel, stride, padding, torchvision's index.
_CONVS = {
    "conv1": (64, 3, 11, 4, 2, 0),
    "conv2": (192, 64, 5, 1, 2, 3),
    "conv3": (384, 192, 3, 1, 1, 6),
    "conv4": (256, 384, 3, 1, 1, 8),
    "conv5": (256, 256, 3, 1, 1, 10),
}
_POOLED = ("conv1", "conv2", "conv5")


def build(
    name: str,
    weights: Mapping[str, tuple[Tensor, Tensor]],
    *,
    preprocessing: Preprocessing,
    pooling: str = "max",
    padding: str = "zeros",
) -> Chain:
    """An AlexNet; it ends before the first layer that has no weights."""
    check_variant(pooling, padding)
    stages = _features(weights, pooling, padding)
    if stages[-1].name == "pool5":
        stages += classifier(weights, {"fc6": 6, "fc7": 1, "fc8": 1})
    levels = [[f"relu{i}"] for i in range(1, 6)]
    return Chain(name, stages, preprocessing=preprocessing, aliases=_aliases(), levels=levels)


def _features(
    weights: Mapping[str, tuple[Tensor, Tensor]], pooling: str, padding: str
) -> list[Stage]:
    stages: list[Stage] = []
    for name, (_, _, size, stride, pad, _) in _CONVS.items():
        if name not in weights:
            break
        conv = Conv(*weights[name], Window(size, stride, pad, padding=padding))
        stages += [Single(name, conv), Relu(name.replace("conv", "relu"), name)]
        if name in _POOLED:
            pool = Pool(pooling, Window(3, 2, padding=padding))
            stages.append(Single(name.replace("conv", "pool"), pool))
    return stages


def _aliases() -> dict[str, str]:
    aliases = {
        "logits": "fc8", "classifier.1": "fc6", "classifier.2": "relu6", "classifier.4": "fc7",
        "classifier.5": "relu7", "classifier.6": "fc8",
    }  # fmt: skip
    for name, (*_, index) in _CONVS.items():
        aliases[f"features.{index}"] = name
        aliases[f"features.{index + 1}"] = name.replace("conv", "relu")
        if name in _POOLED:
            aliases[f"features.{index + 2}"] = name.replace("conv", "pool")
    return aliases


ARCHITECTURES.add(
    "alexnet",
    Architecture(
        name="alexnet",
        title="AlexNet",
        paper="Krizhevsky, One weird trick for parallelizing CNNs, 2014, arXiv:1404.5997",
        layers=(
            *(
                Layer(name, (out, into, size, size), f"features.{index}")
                for name, (out, into, size, _, _, index) in _CONVS.items()
            ),
            Layer("fc6", (4096, 256 * 6 * 6), "classifier.1", head=True),
            Layer("fc7", (4096, 4096), "classifier.4", head=True),
            Layer("fc8", (1000, 4096), "classifier.6", head=True),
        ),
        build=build,
        tag="tv_in1k",
    ),
)
add_torchvision("alexnet.tv_in1k", "alexnet-owt-7be5be79.pth", 244)
