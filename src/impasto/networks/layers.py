"""Parts that several networks are made of."""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.native import Filters, convolve

Layer = TypeVar("Layer", bound=nn.Conv2d)


def conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution that mirrors the picture at its border: no dark frame, no seams."""
    pad = size // 2
    return nn.Conv2d(inputs, outputs, size, stride, pad, padding_mode="reflect")


class Mirrored(nn.Conv2d):
    """A 3 x 3 convolution that mirrors the picture at its border.

    Once it is frozen, it is computed by our kernels where they are the faster ones.

    Args:
        inputs: Channels that go in.
        outputs: Channels that come out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3)
        self._filters: Filters | None = None

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H, W); with ``relu`` nothing is below 0."""
        return mirrored(x, self.filters, relu)

    @property
    def filters(self) -> Filters:
        """Weight and bias, made ready for the kernels when they are first needed."""
        assert self.bias is not None
        mine = self._filters
        if mine is None or mine.weight is not self.weight or mine.bias is not self.bias:
            mine = self._filters = Filters(self.weight, self.bias)
        return mine


class Enlarging(Mirrored):
    """:class:`Mirrored`, of an input that is enlarged to twice its sides first, bilinear.

    Once it is frozen, nothing is enlarged: each of the four pixels that a position becomes is a
    3 x 3 convolution of the small input, with filters of its own. That is as many products on a
    quarter of the positions, of four times as many channels, so far less is read and written.
    Only at the outermost line of pixels, where the border is mirrored, is that not the same;
    those are computed as they are said to be.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self._four: tuple[Filters, int, Filters] | None = None

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, 2 H, 2 W); with ``relu`` nothing is below 0."""
        small = min(x.shape[-2:]) < 2
        if self.weight.requires_grad or small or torch.compiler.is_exporting():
            return super().forward(smoothly_enlarged(x), relu)
        made = valid(F.pad(x, (1, 1, 1, 1), mode="replicate"), self._fours(), relu)
        made = F.pixel_shuffle(made, 2)
        made[..., :1, :] = self._first_row(x, relu)
        made[..., -1:, :] = self._first_row(x[..., -2:, :].flip(2), relu, upside=True)
        made[..., :, :1] = self._first_column(x, relu)
        made[..., :, -1:] = self._first_column(x[..., -2:].flip(3), relu, upside=True)
        return made

    def _first_row(self, x: Tensor, relu: bool, upside: bool = False) -> Tensor:
        """(B, outputs, 1, 2 W); with ``upside`` the filters are turned upside down."""
        weight = self.weight.flip(2) if upside else self.weight
        rows = smoothly_enlarged(x[..., :2, :])[..., :2, :]
        made = F.conv2d(F.pad(rows, (1, 1, 1, 0), mode="reflect"), weight, self.bias)
        return made.relu_() if relu else made

    def _first_column(self, x: Tensor, relu: bool, upside: bool = False) -> Tensor:
        """(B, outputs, 2 H, 1), likewise."""
        weight = self.weight.flip(3) if upside else self.weight
        columns = smoothly_enlarged(x[..., :2])[..., :2]
        made = F.conv2d(F.pad(columns, (1, 0, 1, 1), mode="reflect"), weight, self.bias)
        return made.relu_() if relu else made

    def _fours(self) -> Filters:
        """Filters of the four pixels, the channels as ``pixel_shuffle`` wants them."""
        mine = self.filters
        version = mine.weight._version + mine.bias._version
        if self._four is None or self._four[0] is not mine or self._four[1] != version:
            with torch.inference_mode(mode=False), torch.no_grad():
                # Low positions before, at and behind a pixel's own; what each of three takes.
                turns = self.weight.new_tensor(
                    (
                        ((0.75, 0.25, 0.0), (0.25, 0.75, 0.75), (0.0, 0.0, 0.25)),
                        ((0.25, 0.0, 0.0), (0.75, 0.75, 0.25), (0.0, 0.25, 0.75)),
                    )
                )
                each = torch.einsum("yij,xkl,ocjl->oyxcik", turns, turns, mine.weight)
                bias = mine.bias.repeat_interleave(4)
                self._four = mine, version, Filters(each.flatten(0, 2).contiguous(), bias)
        return self._four[2]


def mirrored(x: Tensor, filters: Filters, relu: bool = False) -> Tensor:
    """What :class:`Mirrored` computes, (B, I, H, W) to (B, O, H, W)."""
    return valid(F.pad(x, (1, 1, 1, 1), mode="reflect"), filters, relu)


def valid(x: Tensor, filters: Filters, relu: bool = False) -> Tensor:
    """As :func:`mirrored`, of an ``x`` that has its border already: two rows and columns less."""
    made = convolve(x, filters, 0, relu=relu)
    if made is None:
        made = F.conv2d(x, filters.weight, filters.bias)
        made = made.relu_() if relu else made
    return made


def enlarged(x: Tensor) -> Tensor:
    """Twice the height and width, every value repeated: no checkerboard."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def smoothly_enlarged(x: Tensor) -> Tensor:
    """Twice the height and width, bilinear: repeated values leave their 2 x 2 blocks visible."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def zeroed(layer: Layer) -> Layer:
    """``layer``, giving 0 for everything until it learns."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Residual(nn.Module):
    """``x + B relu(A x)``; begins as the identity.

    Args:
        channels: Of input and output.
        inner: Between the convolutions.
    """

    def __init__(self, channels: int, inner: int | None = None) -> None:
        super().__init__()
        self.first = Mirrored(channels, inner or channels)
        self.second = zeroed(Mirrored(inner or channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        made: Tensor = self.second(self.first(x, relu=True))
        return x + made


def moments_of(x: Tensor) -> tuple[Tensor, Tensor]:
    """Variance (biased) and mean of each channel over the picture, (B, C, 1, 1).

    In two passes, rows first: many times faster than ``torch.var_mean`` on few channels that lie
    beside each other in memory, and as exact.
    """
    mean = x.mean(3, keepdim=True).mean(2, keepdim=True)
    var = (x - mean).square().mean(3, keepdim=True).mean(2, keepdim=True)
    return var, mean
