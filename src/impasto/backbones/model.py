"""Architectures and weight entries: two registries, filled by one file per family.

An architecture is a network without numbers, ``vgg19``; an entry is numbers for it,
``vgg19.tv_in1k``: where they are, how they are recognised, what they expect of a picture and
whose they are. Weights in memory are canonical: ``{"conv1_1": (weight, bias), ...}`` by the name
of the layer that they make, batch norms folded in, (O, I, k, k) or (O, I), float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from impasto.backbones.base import Backbone, Preprocessing, fold_batch_norm
from impasto.errors import WeightsError
from impasto.registry import Registry

Weights = dict[str, tuple[Tensor, Tensor]]

#: What published weights expect, by the name that ``impasto weights convert`` knows it by.
PREPROCESSING: Registry[Preprocessing] = Registry("preprocessing")
PREPROCESSING.add("imagenet", Preprocessing())
PREPROCESSING.add("caffe", Preprocessing((103.939, 116.779, 123.68), (1, 1, 1), 255, "bgr"))
PREPROCESSING.add("matconvnet", Preprocessing((123.68, 116.779, 103.939), (1, 1, 1), 255))
# As coded in the TensorFlow programs that read MatConvNet's file.
PREPROCESSING.add("matconvnet-rounded", Preprocessing((123, 117, 104), (1, 1, 1), 255))
PREPROCESSING.add("ssd", Preprocessing((0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)))
PREPROCESSING.add("inception", Preprocessing((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))
PREPROCESSING.add("lite", Preprocessing((127, 127, 127), (128, 128, 128), 255))


class Builder(Protocol):
    """Makes the network of an architecture from canonical weights.

    Layers whose weights are missing at the end (a file without classifier) do not exist then.
    """

    def __call__(
        self,
        name: str,
        weights: Mapping[str, tuple[Tensor, Tensor]],
        *,
        preprocessing: Preprocessing,
        pooling: str,
        padding: str,
    ) -> Backbone:
        """The backbone ``name``."""


@dataclass(frozen=True)
class Layer:
    """One set of weights of an architecture.

    Attributes:
        name: Canonical; that of the activation that it makes.
        shape: Of the weight; the bias is ``(shape[0],)``.
        key: What torchvision's state dict calls it, without ``.weight``.
        norm: Likewise the batch norm behind it, or empty.
        eps: Of that norm.
        head: Part of the classifier, which files may leave out.
    """

    name: str
    shape: tuple[int, ...]
    key: str
    norm: str = ""
    eps: float = 1e-5
    head: bool = False

    def read(self, state: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Weight and bias out of torchvision's state dict, float32, norm folded in."""
        weight, bias = state[f"{self.key}.weight"].float(), state.get(f"{self.key}.bias")
        if not self.norm:
            return weight, weight.new_zeros(self.shape[0]) if bias is None else bias.float()
        norm = f"{self.norm}."
        gamma, beta = state[norm + "weight"], state[norm + "bias"]
        mean, var = state[norm + "running_mean"], state[norm + "running_var"]
        return fold_batch_norm(weight, bias, gamma, beta, mean, var, self.eps)

    def fits(self, state: Mapping[str, Tensor]) -> bool:
        """Whether ``state`` has this layer, with the right shape."""
        weight = state.get(f"{self.key}.weight")
        normed = not self.norm or f"{self.norm}.running_var" in state
        return weight is not None and tuple(weight.shape) == self.shape and normed


@dataclass(frozen=True)
class Architecture:
    """A network without numbers.

    Attributes:
        name: As in ``name.tag``.
        title: For people.
        paper: Where it was published.
        layers: All weights in the order of the forward pass.
        build: Makes the network.
        tag: The tag that the name alone means when no weights of it are on the disk.
        ignored: Starts of keys of the state dict that play no part (auxiliary classifiers).
    """

    name: str
    title: str
    paper: str
    layers: tuple[Layer, ...]
    build: Builder
    tag: str
    ignored: tuple[str, ...] = ()

    def read(self, state: Mapping[str, Tensor], *, partial: bool = False) -> Weights:
        """Canonical weights out of torchvision's state dict.

        Args:
            state: Names to tensors.
            partial: Whether the network may end early.

        Raises:
            WeightsError: Layers are missing, or have other shapes.
        """
        weights: Weights = {}
        for layer in self.layers:
            if layer.fits(state):
                weights[layer.name] = layer.read(state)
            elif partial or layer.head:
                break
            else:
                raise WeightsError(f"not a {self.name}: no {layer.key} of shape {layer.shape}")
        return weights

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """Whether ``state`` is a torchvision state dict of this architecture."""
        if not all(layer.fits(state) for layer in self.layers if not layer.head):
            return False
        known = {f"{layer.key}.weight" for layer in self.layers}
        kernels = [k for k, t in state.items() if t.ndim == 4 and not k.startswith(self.ignored)]
        return all(k in known for k in kernels)

    def check(
        self, weights: Mapping[str, tuple[Tensor, Tensor]], *, thin: int = 1, partial: bool = True
    ) -> None:
        """Refuse canonical ``weights`` that are not those of this architecture.

        Args:
            weights: Weight and bias by layer.
            thin: Divisor of all numbers of channels.
            partial: Whether layers before the classifier may be missing at the end.

        Raises:
            WeightsError: Names or shapes differ.
        """
        shapes = {layer.name: _thinned(layer.shape, thin) for layer in self.layers}
        for name, (weight, bias) in weights.items():
            shape = shapes.get(name)
            if shape != tuple(weight.shape) or bias.shape != weight.shape[:1]:
                raise WeightsError(
                    f"not a {self.name}: {name} of shape {tuple(weight.shape)}, not {shape}"
                )
        missing = [layer for layer in self.layers if layer.name not in weights]
        first = self.layers.index(missing[0]) if missing else len(self.layers)
        if len(self.layers) - first != len(missing) or (
            missing and not partial and not missing[0].head
        ):
            raise WeightsError(f"not a {self.name}: {missing[0].name} is missing")

    def random(self, seed: int, *, thin: int = 1, head: bool = True) -> Weights:
        """Random weights that keep the size of activations (He et al. 2015), for tests.

        Args:
            seed: Equal seeds give equal weights.
            thin: Divides all numbers of channels, except the picture's three.
            head: Whether there is a classifier.
        """
        generator = torch.Generator().manual_seed(seed)
        weights: Weights = {}
        for layer in self.layers:
            if layer.head and not head:
                break
            shape = _thinned(layer.shape, thin)
            fan = max(1, torch.Size(shape[1:]).numel())
            weight = torch.randn(shape, generator=generator) * (2 / fan) ** 0.5
            weights[layer.name] = weight, torch.randn(shape[0], generator=generator) * 0.1
        return weights

    def outline(self) -> Backbone:
        """The network without memory for its weights: for its table of layers."""
        weights = {
            layer.name: (
                torch.empty(layer.shape, device="meta"),
                torch.empty(layer.shape[0], device="meta"),
            )
            for layer in self.layers
        }
        return self.build(
            self.name, weights, preprocessing=Preprocessing(), pooling="max", padding="zeros"
        )


def _thinned(shape: tuple[int, ...], thin: int) -> tuple[int, ...]:
    out, into, *kernel = shape
    return (out // thin, into if into in (1, 3) else into // thin, *kernel)


@dataclass(frozen=True)
class Entry:
    """Weights for an architecture.

    Exactly one of ``package``, ``urls`` and ``convert`` says how they come to the machine.

    Attributes:
        name: ``arch.tag``.
        file: Name of the file; for packages, its path inside.
        sha256: Of the file, in hex: all 64 digits, or the first 8 where the publisher gives no
            more (torchvision writes them into the file's name). Empty for converted weights.
        preprocessing: What they expect of a picture.
        licence: Of the weights.
        origin: Where they come from.
        megabytes: Size of the file, about.
        urls: Where the file can be had, the best first.
        package: The importable package that holds it.
        requirement: What pip must install to get that package.
        convert: The file of which ``impasto weights convert`` makes them.
    """

    name: str
    file: str
    sha256: str
    preprocessing: Preprocessing
    licence: str
    origin: str
    megabytes: int
    urls: tuple[str, ...] = ()
    package: str = ""
    requirement: str = ""
    convert: str = ""

    @property
    def arch(self) -> str:
        """The part of the name before the dot."""
        return self.name.partition(".")[0]

    @property
    def kind(self) -> str:
        """``"embedded"``, ``"online"`` or ``"converted"``."""
        if self.package:
            return "embedded"
        return "online" if self.urls else "converted"


ARCHITECTURES: Registry[Architecture] = Registry("architecture")
ENTRIES: Registry[Entry] = Registry("weights")

_TORCHVISION = (
    "https://download.pytorch.org/models/",
    "https://s3.amazonaws.com/pytorch/models/",
)


def add_torchvision(
    name: str, file: str, megabytes: int, preprocessing: str = "imagenet", origin: str = ""
) -> Entry:
    """Register weights that torchvision publishes; the file's name has the start of its sha256."""
    entry = Entry(
        name=name,
        file=file,
        sha256=file.removesuffix(".pth").rpartition("-")[2],
        preprocessing=PREPROCESSING.get(preprocessing),
        licence="BSD-3-Clause",
        origin=origin or "torchvision, trained on ImageNet-1k",
        megabytes=megabytes,
        urls=tuple(base + file for base in _TORCHVISION),
    )
    return ENTRIES.add(name, entry)
