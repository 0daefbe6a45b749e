"""What of a trained network goes into an ONNX file, with all that is done before and after it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.images.resize import resize
from impasto.networks.decoder import Decoder
from impasto.networks.enhance import CUBIC, Enhancer
from impasto.networks.fast import FastNet, PhotoNet
from impasto.networks.framing import framed, unframed
from impasto.networks.sight import eyes
from impasto.networks.texture import NOISE, TextureNet

#: Largest side, in px.
LARGEST = 8192


@dataclass(frozen=True, eq=False)
class Graph:
    """A module from named inputs to one output.

    Attributes:
        module: What is exported; a copy, since tracing leaves traces.
        inputs: Names, in its order.
        output: Name.
        sample: Height and width to random inputs of such a picture.
        dynamic: For each input, which of its axes have any length, as ``torch.export`` wants it.
        sizes: Heights and widths at which the file is to be compared with the module.
    """

    module: nn.Module
    inputs: tuple[str, ...]
    output: str
    sample: Callable[[int, int], tuple[Tensor, ...]]
    dynamic: tuple[Any, ...]
    sizes: tuple[tuple[int, int], ...] = ((64, 80), (37, 101))


def graph_of(network: nn.Module, kind: str) -> Graph:
    """The graph of a trained network.

    Raises:
        UsageError: It is not one pass.
    """
    network = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    if isinstance(network, FastNet) and network.sight is not None:  # a file needs all of it
        network.sight.eyes = copy.deepcopy(eyes(torch.device("cpu")))
    network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    if isinstance(network, PhotoNet):
        return _painting(network)
    if isinstance(network, TextureNet):
        return _weaving(network)
    if isinstance(network, Enhancer):
        return _enlarging(network)
    if isinstance(network, Decoder) and not len(network.corrections):
        return _decoding(network)
    raise UsageError(
        f"a model of the kind {kind} cannot be exported: it is more than one pass",
        hint="its corrections look through another network"
        if isinstance(network, Decoder)
        else "fast, johnson, mgan, ulyanov, texture and enhance can",
    )


class Painting(nn.Module):
    """A photo painted with its margin, as :func:`impasto.networks.fast.paint` does.

    Args:
        network: What paints.
    """

    def __init__(self, network: PhotoNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, shares: Tensor, noise: Tensor | None = None) -> Tensor:
        """(1, 3, H, W), (1, S), and for a noisy network another (1, 3, H, W), to (1, 3, H, W)."""
        given = (image,) if noise is None else (image, noise)
        whole, *noises = (framed(x, self.network.multiple) for x in given)
        made: Tensor = self.network(whole, shares, *noises)
        return unframed(made, *image.shape[-2:])


def _painting(network: PhotoNet) -> Graph:
    def sample(height: int, width: int) -> tuple[Tensor, ...]:
        draw = torch.Generator().manual_seed(height)
        shares = torch.rand(1, network.styles, generator=draw).softmax(1)
        image, noise = (torch.rand(1, 3, height, width, generator=draw) for _ in range(2))
        return (image, shares, noise)[:count]

    count = 3 if network.noisy else 2
    sides = _sides("height", "width")
    names, dynamic = ("image", "shares", "noise"), (sides, None, sides)
    return Graph(Painting(network), names[:count], "painted", sample, dynamic[:count])


class Weaving(nn.Module):
    """A texture, its noise given scale by scale.

    Args:
        network: What weaves.
    """

    def __init__(self, network: TextureNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, *noise: Tensor) -> Tensor:
        """Noise from fine to coarse to (1, 3, H, W)."""
        made: Tensor = self.network(list(noise))
        return made


def _weaving(network: TextureNet) -> Graph:
    steps = [2**i for i in range(network.scales)]
    largest = network.multiple

    def sample(height: int, width: int) -> tuple[Tensor, ...]:
        draw = torch.Generator().manual_seed(height)
        tall, wide = (largest * max(2, n // largest) for n in (height, width))
        return tuple(torch.rand(1, NOISE, tall // s, wide // s, generator=draw) for s in steps)

    rows, columns = (
        torch.export.Dim(n, min=2, max=LARGEST // largest) for n in ("rows", "columns")
    )
    sides = tuple({2: _times(largest // s, rows), 3: _times(largest // s, columns)} for s in steps)
    names = tuple(f"noise_{i}" for i in range(network.scales))
    return Graph(Weaving(network), names, "texture", sample, (sides,))


class Enlarging(nn.Module):
    """A picture enlarged, as :func:`impasto.networks.enhance.enlarge` does.

    The bicubic enlargement is a convolution with one filter for each of the pixels that one
    becomes, over the sum of the filter inside the picture.

    Args:
        network: What enlarges.
    """

    def __init__(self, network: Enhancer) -> None:
        super().__init__()
        self.network = network
        # What a line of pixels becomes, seen from its middle.
        line = torch.eye(4 * CUBIC + 1)
        scale, middle = network.scale, 2 * CUBIC
        spread = resize(line, (len(line) * scale, len(line)), mode="bicubic")
        spread = spread[middle * scale : (middle + 1) * scale, middle - CUBIC : middle + CUBIC + 1]
        filters = torch.einsum("iy,jx->ijyx", spread, spread)
        self.filters = nn.Buffer(filters.reshape(scale**2, 1, *filters.shape[2:]))

    def forward(self, image: Tensor) -> Tensor:
        """(1, 3, H, W), at least 2 x 2, to (1, 3, s H, s W) in [0, 1]."""
        planes = torch.cat([image, torch.ones_like(image[:, :1])], 1).transpose(0, 1)
        spread = F.pixel_shuffle(F.conv2d(planes, self.filters, padding=CUBIC), self.network.scale)
        plain = (spread[:3] / spread[3:]).transpose(0, 1)
        return (self.network.detail(image) + plain).clamp(0, 1)


def _enlarging(network: Enhancer) -> Graph:
    def sample(height: int, width: int) -> tuple[Tensor, ...]:
        return (torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height)),)

    sizes = ((24, 32), (19, 45))
    return Graph(
        Enlarging(network), ("image",), "enlarged", sample, (_sides("height", "width"),), sizes
    )


class Decoding(nn.Module):
    """Features to the picture, with a decoder that needs no look at its guess.

    Args:
        network: What decodes.
    """

    def __init__(self, network: Decoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> Tensor:
        """(1, C, H, W) to (1, 3, s H, s W), about [0, 1], not clamped."""
        return self.network.first(features)


def _decoding(network: Decoder) -> Graph:
    channels = network.readout.in_channels

    def sample(height: int, width: int) -> tuple[Tensor, ...]:
        draw = torch.Generator().manual_seed(height)
        return (torch.rand(1, channels, height, width, generator=draw),)

    sizes, sides = ((16, 20), (9, 25)), _sides("rows", "columns")
    return Graph(Decoding(network), ("features",), "picture", sample, (sides,), sizes)


def _sides(*names: str) -> dict[int, Any]:
    """Axes 2 and 3 of any length."""
    return {2 + i: torch.export.Dim(n, min=2, max=LARGEST) for i, n in enumerate(names)}


def _times(factor: int, side: Any) -> Any:
    return factor * side if factor > 1 else side
