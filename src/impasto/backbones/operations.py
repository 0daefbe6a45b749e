"""What stages compute, and what becomes of a layer's shape."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto import native
from impasto.backbones.base import Tap

#: torch's names of the padding modes, by ours.
PADDING = {"zeros": "constant", "replicate": "replicate", "circular": "circular"}


@dataclass(frozen=True)
class Window:
    """Where the windows of a convolution or a pooling lie, along either axis.

    With circular padding a window is padded so that ``n`` pixels give ``n // stride`` positions,
    whatever the network was trained with: then a picture whose sides are multiples of the stride
    is seen as a torus, and rolling it by the stride rolls the features by one.

    Attributes:
        size: Edge of the window.
        stride: Step from one window to the next.
        pad: Added at both ends (padding ``"zeros"`` and ``"replicate"``).
        ceil: Whether a last, incomplete window counts (poolings of Caffe's networks).
        same: TensorFlow's SAME: as much padding as ``ceil(n / stride)`` windows need, the odd
            one at the end; ``pad`` is not used then.
        padding: ``"zeros"``, ``"replicate"`` or ``"circular"``.
    """

    size: int
    stride: int = 1
    pad: int = 0
    ceil: bool = False
    same: bool = False
    padding: str = "zeros"

    def pads(self, n: int) -> tuple[int, int]:
        """Padding before and after ``n`` pixels."""
        if self.padding == "circular":
            total = max(self.size - self.stride, 0)
            before = total // 2 if self.same else min(self.pad, total)
            return before, total - before
        if self.same:
            total = max((-(-n // self.stride) - 1) * self.stride + self.size - n, 0)
            return total // 2, total - total // 2
        return self.pad, self.pad

    def need(self, count: int) -> int:
        """Fewest pixels that give ``count`` windows."""
        if self.padding == "circular":
            before, after = self.pads(0)
            # torch wraps a picture round itself once, not more.
            return max((count - 1) * self.stride + self.size - before - after, before, after)
        if self.same:
            return (count - 1) * self.stride + 1
        spare = self.stride - 1 if self.ceil else 0
        return max((count - 1) * self.stride + self.size - 2 * self.pad - spare, 1)

    def padded(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """``x`` (B, C, H, W) with the padding that torch's operators cannot do themselves.

        Returns:
            The padded tensor, and the zero padding (vertical, horizontal) that is left to do.
        """
        top, bottom = self.pads(x.shape[-2])
        left, right = self.pads(x.shape[-1])
        if not (top or bottom or left or right):
            return x, (0, 0)
        if self.padding == "zeros" and top == bottom and left == right:
            return x, (top, left)
        return F.pad(x, (left, right, top, bottom), PADDING[self.padding]), (0, 0)


@dataclass(frozen=True)
class Shape:
    """What is known of an activation without running the network.

    Attributes:
        channels: Number of feature maps.
        stride: Input pixels per position; 0 for the whole picture.
        path: The windows between the picture and here.
    """

    channels: int = 3
    stride: int = 1
    path: tuple[Window, ...] = ()

    def through(self, window: Window, channels: int | None = None) -> Shape:
        """The shape after a convolution or pooling."""
        return Shape(channels or self.channels, self.stride * window.stride, (*self.path, window))

    def whole(self, channels: int | None = None) -> Shape:
        """The shape after a layer that sees the whole picture."""
        return Shape(channels or self.channels, 0, self.path)

    def tap(self, *, inner: bool = False) -> Tap:
        """The declaration of a layer of this shape."""
        need = 1
        for window in reversed(self.path):
            need = window.need(need)
        return Tap(self.channels, self.stride, need, inner, self._reach())

    def _reach(self) -> tuple[int, int] | None:
        """See :attr:`Tap.reach`."""
        if not self.stride or any(w.same or w.padding == "circular" for w in self.path):
            return None
        seen, before, step = 1, 0, 1
        for window in self.path:
            seen += (window.size - 1) * step
            before += window.pad * step
            step *= window.stride
        return before, seen - before - self.stride


class Conv(nn.Module):
    """A frozen convolution.

    Args:
        weight: (O, I / groups, k, k); not copied.
        bias: (O,).
        window: Where it is evaluated; its size is that of the weight.
        groups: As in torch; O for a depthwise convolution.
    """

    def __init__(self, weight: Tensor, bias: Tensor, window: Window, groups: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter(bias.clone())
        self.window = window
        self.groups = groups
        self.filters = native.Filters(self.weight, self.bias)

    def forward(
        self, x: Tensor, *, relu: bool = False, quiet: bool = False, pool: Pool | None = None
    ) -> Tensor:
        """(B, I, H, W) to (B, O, H', W').

        Args:
            x: The input.
            relu: Whether what is below 0 becomes 0.
            quiet: Whether the channels that :mod:`impasto.backbones.silence` found are 0 now.
            pool: What follows, if that is wanted, and not what it is given.
        """
        x, pad = self.window.padded(x)
        if self.window.stride == 1 and self.groups == 1 and pad[0] == pad[1]:
            means = pool is not None and pool.halves
            ours = native.convolve(x, self.filters, pad[0], relu=relu, quiet=quiet, means=means)
            if ours is not None:
                return ours if means or pool is None else pool(ours)
        y = F.conv2d(x, self.weight, self.bias, self.window.stride, pad, groups=self.groups)
        y = y.relu_() if relu else y
        return y if pool is None else pool(y)

    def shape(self, shape: Shape) -> Shape:
        """Of the output."""
        return shape.through(self.window, self.weight.shape[0])


class Pool(nn.Module):
    """Maximum or average over windows; padding never counts towards either."""

    def __init__(self, kind: str, window: Window) -> None:
        super().__init__()
        self.kind = kind
        self.window = window

    @property
    def halves(self) -> bool:
        """Whether it gives the means of 2 x 2 pixels, an odd last row or column left out."""
        window = self.window
        plain = not window.ceil and window.padding != "circular"
        return (
            self.kind == "avg" and plain and (window.size, window.stride, window.pad) == (2, 2, 0)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H', W')."""
        window = self.window
        pad: int | tuple[int, int] = window.pad
        if window.padding == "circular":
            x, pad = window.padded(x)
        ceil = window.ceil and window.padding != "circular"
        if self.halves:
            ours = native.mean_pool(x)
            if ours is not None:
                return ours
        if self.kind == "max":
            return F.max_pool2d(x, window.size, window.stride, pad, ceil_mode=ceil)
        return F.avg_pool2d(x, window.size, window.stride, pad, ceil, count_include_pad=False)

    def shape(self, shape: Shape) -> Shape:
        """Of the output."""
        return shape.through(self.window)


class Linear(nn.Module):
    """A fully connected layer on ``grid`` x ``grid`` positions, as (B, O, 1, 1).

    A picture of another size than the network was trained on has other than ``grid`` positions;
    their means over ``grid`` x ``grid`` fields are taken then (adaptive average pooling, as in
    torchvision). At the trained size this changes nothing.

    Args:
        weight: (O, C * grid * grid), the positions of a channel beside each other.
        bias: (O,).
        grid: Positions per axis.
    """

    def __init__(self, weight: Tensor, bias: Tensor, grid: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)
        self.grid = grid

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, O, 1, 1)."""
        if x.shape[-2:] != (self.grid, self.grid):
            x = F.adaptive_avg_pool2d(x, self.grid)
        return F.linear(x.flatten(1), self.weight, self.bias)[..., None, None]

    def shape(self, shape: Shape) -> Shape:
        """Of the output."""
        return shape.whole(self.weight.shape[0])


class GlobalMean(nn.Module):
    """The mean over all positions, (B, C, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, 1, 1)."""
        return x.mean(dim=(2, 3), keepdim=True)

    def shape(self, shape: Shape) -> Shape:
        """Of the output."""
        return shape.whole()


class Softmax(nn.Module):
    """Logits to probabilities, over channels."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, 1, 1) to the same."""
        return x.softmax(dim=1)

    def shape(self, shape: Shape) -> Shape:
        """Of the output."""
        return shape
