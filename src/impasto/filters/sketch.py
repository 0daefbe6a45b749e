"""Pencil drawing: strokes for the edges, hatching for the tones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from impasto.filters.base import FILTERS, Filter, param, pixels, seed, switch
from impasto.filters.kernels import domain_transform, gaussian, gradients, pad, value_noise
from impasto.images.spaces import luma, oklab_to_rgb, rgb_to_oklab

_DIRECTIONS = 8
_TAPS = 24  # samples on one half of a stroke at most
# Lu, Xu, Jia 2012: shares of bright, middle and dark tones.
_SHARES = (0.52, 0.37, 0.11)


@FILTERS.register("sketch")
@dataclass(frozen=True)
class Sketch(Filter):
    """Pencil on paper: straight strokes along the edges, hatched shading under them.

    The gradient is split among eight directions and drawn again as lines of each; tones follow the
    histogram of real pencil drawings. The paper's scanned pencil texture is replaced by hatching
    made of noise drawn out along two directions: graphite of local density ``w`` turns a tone
    ``J`` into ``J^w`` (the paper solves for the exponent, here it is given).
    """

    name: ClassVar[str] = "sketch"
    title: ClassVar[str] = "Pencil sketch"
    source: ClassVar[str] = "Lu, Xu, Jia 2012, Combining sketch and tone"

    stroke: float = param(26.0, 2.0, 80.0, "length of a stroke, px at 1024")
    lines: float = param(1.0, 0.0, 2.5, "darkness of the strokes")
    shading: float = param(1.0, 0.0, 2.0, "darkness of the hatching")
    colour: bool = switch(False, "colour pencils instead of graphite")
    seed: int = seed()

    def render(self, image: Tensor) -> Tensor:
        """Strokes times hatching."""
        generator = torch.Generator().manual_seed(self.seed)
        grey = luma(image)
        strokes = _strokes(grey, pixels(self.stroke, image)) ** self.lines
        tone = _pencil_tone(domain_transform(grey, grey, pixels(12.0, image), 0.3, passes=2))
        density = _graphite(image, tone, generator)
        drawing = strokes * tone.pow(self.shading * density)
        # Graphite is no black hole: the darkest mark is a dark grey.
        drawing = 0.1 + 0.9 * drawing
        if not self.colour:
            return drawing.expand_as(image)
        lab = rgb_to_oklab(image)
        light = rgb_to_oklab(drawing.expand_as(image))[:, :1]
        return oklab_to_rgb(
            torch.cat([light, 1.3 * lab[:, 1:] * (1.15 - light).clamp(0.0, 1.0)], 1)
        )


def _strokes(grey: Tensor, length: float) -> Tensor:
    """Edges drawn as straight lines; 1 is paper, 0 the darkest stroke."""
    dx, dy = gradients(gaussian(grey, pixels(0.6, grey)))
    edge = torch.sqrt(dx * dx + dy * dy)
    responses = torch.cat([_line_sum(edge, length, k) for k in range(_DIRECTIONS)], 1)
    best = responses.argmax(1, keepdim=True)
    drawn = torch.zeros_like(edge)
    for k in range(_DIRECTIONS):
        drawn += _line_sum(torch.where(best == k, edge, torch.zeros_like(edge)), length, k)
    # The paper scales by the maximum; a high quantile is not at the mercy of one pixel.
    top = torch.quantile(drawn[..., ::4, ::4].reshape(-1), 0.985)
    return (1.0 - drawn / top.clamp_min(0.02)).clamp(0.02, 1.0)


def _line_sum(image: Tensor, length: float, direction: int) -> Tensor:
    """Mean along a line of ``length`` pixels through every pixel."""
    angle = math.pi * direction / _DIRECTIONS
    half = max(length / 2.0, 1.0)
    taps = min(_TAPS, math.ceil(half))
    margin = math.ceil(half)
    padded = pad(image, margin)
    height, width = image.shape[-2:]
    total = torch.zeros_like(image)
    for i in range(-taps, taps + 1):
        dx = margin + round(half * i / taps * math.cos(angle))
        dy = margin + round(half * i / taps * math.sin(angle))
        total += padded[..., dy : dy + height, dx : dx + width]
    return total / (2 * taps + 1)


def _pencil_tone(grey: Tensor) -> Tensor:
    """Match the histogram of pencil drawings: mostly bright, some middle, little dark."""
    levels = torch.arange(256, dtype=torch.float64)
    bright = torch.exp((levels - 255.0) / 9.0) / 9.0
    middle = ((levels >= 105) & (levels <= 225)) / 120.0
    dark = torch.exp(-0.5 * ((levels - 90.0) / 11.0) ** 2) / math.sqrt(2 * math.pi * 121.0)
    wanted = _SHARES[0] * bright + _SHARES[1] * middle + _SHARES[2] * dark
    target = (wanted / wanted.sum()).cumsum(0)
    index = (grey * 255.0).round().long().clamp(0, 255)
    have = torch.bincount(index.reshape(-1), minlength=256).double().cumsum(0) / index.numel()
    # Half of the way only: a dark photo stays darker than a bright one.
    matched = torch.searchsorted(target, have.cpu()).clamp(0, 255).double() / 255.0
    table = 0.65 * matched + 0.35 * levels / 255.0
    fraction = (grey * 255.0).clamp(0.0, 255.0)
    low = fraction.floor().long().clamp(0, 254)
    table = table.float().to(grey.device)
    blend = table[low] + (fraction - low) * (table[low + 1] - table[low])
    return blend.clamp(0.05, 1.0)


def _graphite(image: Tensor, tone: Tensor, generator: torch.Generator) -> Tensor:
    """Relative density of the graphite: hatching, crossed where it is dark, on rough paper."""
    height, width = image.shape[-2:]
    length, period = pixels(44.0, image), pixels(1.6, image)

    def hatching(direction: int) -> Tensor:
        noise = value_noise(height, width, period, generator)
        drawn = _line_sum(noise, length, direction)
        return drawn / drawn.std(correction=0).clamp_min(1e-6)

    first, second = hatching(3), hatching(5)
    grain = value_noise(height, width, pixels(1.3, image), generator)
    crossed = ((0.75 - tone.cpu()) / 0.4).clamp(0.0, 1.0)
    mark = 0.3 * (first + crossed * second) / (1.0 + crossed * crossed).sqrt() + 0.35 * grain
    return torch.exp(mark - 0.1).to(image.device)
