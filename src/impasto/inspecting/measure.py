"""What a picture does to the layers of a network, in numbers: one pass, one layer in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from impasto.backbones import Backbone, class_names, classifier_view
from impasto.errors import ImpastoError
from impasto.images.resize import resize_map
from impasto.losses import gram_sum

FloatArray = npt.NDArray[np.float32]

#: Bins of the histograms.
BINS = 64
#: Longest side of the feature maps that are kept for drawing, px.
KEPT = 320


@dataclass(frozen=True)
class Stats:
    """Of a tensor: least, greatest, mean, and the standard deviation of all entries."""

    min: float
    max: float
    mean: float
    std: float


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """One channel of a layer.

    Attributes:
        channel: Its index; -1 is all channels of a layer without positions.
        values: (H', W'), at most :data:`KEPT` px long: area means where the layer is larger.
        min: Of the channel at full resolution.
        max: Likewise.
    """

    channel: int
    values: FloatArray
    min: float
    max: float


@dataclass(frozen=True, eq=False)
class LayerView:
    """One layer.

    Attributes:
        name: Canonical.
        channels: Number of feature maps.
        height: Positions, vertically.
        width: Positions, horizontally.
        stride: Pixels per position; 0 where one position stands for the picture.
        stats: Of all activations.
        zeros: Share of activations that are exactly 0.
        dead: Share of channels that are 0 everywhere.
        maps: The channels that explain most, the first the most.
        counts: Histogram of the activations that are not 0, :data:`BINS` bins of equal width
            from ``stats.min`` to ``stats.max``.
        gram: (C, C) ``F F^T / (H W)``, or None where there are no positions to sum over.
    """

    name: str
    channels: int
    height: int
    width: int
    stride: int
    stats: Stats
    zeros: float
    dead: float
    maps: tuple[FeatureMap, ...]
    counts: npt.NDArray[np.int64]
    gram: FloatArray | None

    @property
    def bytes(self) -> int:
        """Memory of the activations in float32."""
        return 4 * self.channels * self.height * self.width


@dataclass(frozen=True)
class ClassGuess:
    """A class of ImageNet and its probability."""

    name: str
    probability: float


def check_size(backbone: Backbone, layers: Iterable[str], size: tuple[int, int]) -> None:
    """Refuse a picture of ``size`` (height, width) that is too small for ``layers``.

    Raises:
        InputError: It is; the message names the layer.
    """
    names = list(layers)
    if min(size) < backbone.min_size(names):
        backbone.taps(torch.zeros(1, 3, *size), names)  # raises before it computes anything


@torch.no_grad()
def look(backbone: Backbone, image: Tensor, layers: Iterable[str], maps: int) -> list[LayerView]:
    """Every one of ``layers``, in the order of the network.

    Layers are looked at as they pass by, so that memory for the largest of them is enough.

    Args:
        backbone: The network.
        image: (1, 3, H, W) sRGB in [0, 1].
        layers: Names or aliases.
        maps: How many feature maps are kept of each layer.

    Raises:
        UnknownName: A layer does not exist.
        InputError: The picture is too small.
    """
    wanted = {backbone.resolve(n) for n in layers}
    check_size(backbone, wanted, (image.shape[-2], image.shape[-1]))
    views: list[LayerView] = []
    for name, activation in backbone.walk(backbone.preprocessing(image), frozenset()):
        if name in wanted:
            views.append(view_of(name, activation[0].cpu(), backbone.table[name].stride, maps))
            if len(views) == len(wanted):
                break
    return views


def view_of(name: str, features: Tensor, stride: int, maps: int) -> LayerView:
    """The numbers of one layer.

    Args:
        name: Of the layer.
        features: (C, H, W), on the CPU.
        stride: Of the layer.
        maps: How many feature maps are kept.

    Raises:
        ImpastoError: An activation is not finite.
    """
    if not bool(torch.isfinite(features).all()):
        raise ImpastoError(f"{name} has activations that are not finite numbers")
    channels, height, width = features.shape
    gram = gram_sum(features[None])[0] / (height * width) if stride else None
    low, high = features.amin(dim=(1, 2)), features.amax(dim=(1, 2))
    chosen = select(*_inner_moments(features), maps) if stride else []
    return LayerView(
        name=name,
        channels=channels,
        height=height,
        width=width,
        stride=stride,
        stats=statistics(features),
        zeros=float((features == 0).double().mean()),
        dead=float(((low == 0) & (high == 0)).double().mean()),
        maps=tuple(_map(features[c], c) for c in chosen) if stride else (_vector(features),),
        counts=_histogram(features),
        gram=None if gram is None else gram.numpy(),
    )


def statistics(values: Tensor) -> Stats:
    """Of all entries; the means in float64."""
    mean = float(values.mean(dtype=torch.float64))
    # Centred in the tensor's own precision, summed in double: no float64 copy of the whole.
    variance = float((values - mean).square().mean(dtype=torch.float64))
    return Stats(float(values.min()), float(values.max()), mean, variance**0.5)


def select(gram: Tensor, means: Tensor, count: int) -> list[int]:
    """The channels that together explain most of what varies over the picture.

    Pivoted Cholesky decomposition of the channels' covariance: each step takes the channel with
    the largest variance that those before it do not explain linearly. The strongest alone would
    often be copies of each other.

    Args:
        gram: (C, C), mean of products over positions.
        means: (C,), mean over positions.
        count: How many; fewer when fewer channels vary.

    Returns:
        Indices, the first explains most. At least one, even when nothing varies.
    """
    covariance = gram.double() - means.double()[:, None] * means.double()
    left = covariance.diagonal().clone()
    least = 1e-9 * float(left.max().clamp_min(1e-30))
    factors = torch.zeros(0, len(left), dtype=torch.float64)
    chosen: list[int] = []
    while len(chosen) < min(count, len(left)):
        best = int(left.argmax())
        if float(left[best]) <= least:
            break
        row = (covariance[best] - factors[:, best] @ factors) / left[best].sqrt()
        factors = torch.cat([factors, row[None]])
        left = left - row.square()
        chosen.append(best)
        left[chosen] = 0
    return chosen or [int(means.argmax())]


def classify(network: Backbone, image: Tensor, count: int = 5) -> list[ClassGuess]:
    """The most probable classes of the middle of ``image`` (1, 3, H, W), best first.

    Raises:
        UsageError: The network has no classifier.
    """
    with torch.no_grad():
        probabilities = network.classify(classifier_view(image))[0].cpu()
    names = class_names()
    best = probabilities.topk(min(count, len(probabilities)))
    return [
        ClassGuess(names[i] if len(probabilities) == len(names) else f"class {i}", float(p))
        for p, i in zip(best.values, best.indices.tolist(), strict=True)
    ]


def _inner_moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Gram (C, C) and means (C,) of the positions away from the border.

    Padding makes some channels fire along the border and nowhere else; these vary most of all.
    """
    height, width = features.shape[-2:]
    m = min(4, min(height, width) // 8)
    inner = features[:, m : height - m, m : width - m]
    gram = gram_sum(inner[None])[0] / (inner.shape[-2] * inner.shape[-1])
    return gram, inner.mean(dim=(1, 2))


def _map(plane: Tensor, channel: int) -> FeatureMap:
    """The feature map ``plane`` (H, W)."""
    return FeatureMap(channel, _reduced(plane), float(plane.min()), float(plane.max()))


def _reduced(plane: Tensor) -> FloatArray:
    height, width = plane.shape
    factor = max(height, width) / KEPT
    if factor <= 1:
        return np.array(plane.numpy(), copy=True)
    size = (max(1, round(height / factor)), max(1, round(width / factor)))
    small: FloatArray = resize_map(plane[None, None], size)[0, 0].numpy()
    return small


def _vector(features: Tensor) -> FeatureMap:
    """A layer without positions: its channels side by side, (1, C)."""
    flat = features.flatten()
    values: FloatArray = np.array(flat[None].numpy(), copy=True)
    return FeatureMap(-1, values, float(flat.min()), float(flat.max()))


def _histogram(features: Tensor) -> npt.NDArray[np.int64]:
    low, high = float(features.min()), float(features.max())
    if not low < high:
        return np.zeros(BINS, np.int64)
    # Exact zeros have a number of their own; as a bar they would dwarf all others.
    counts: npt.NDArray[np.int64] = (
        torch.histc(features[features != 0], BINS, low, high).long().numpy()
    )
    return counts
