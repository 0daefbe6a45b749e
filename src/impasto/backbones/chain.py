"""Networks as chains of stages, with everything about their layers known beforehand.

All networks here, residual ones included, are chains: each stage takes the output of the one
before it and yields its own activations by name, the last of which is its output. Channels,
strides and smallest inputs follow from the windows of the convolutions and poolings
(:class:`Window`), so :attr:`Backbone.table` is computed, not typed in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto import native
from impasto.backbones.base import Backbone, Preprocessing, Tap
from impasto.backbones.silence import RANGE_SLACK, silent_outputs
from impasto.errors import UsageError

#: torch's names of the padding modes, by ours.
PADDING = {"zeros": "constant", "replicate": "replicate", "circular": "circular"}
POOLING = ("max", "avg")


def check_variant(pooling: str, padding: str) -> None:
    """Refuse unknown kinds of pooling or padding.

    Raises:
        UsageError: One of them is not known.
    """
    if pooling not in POOLING:
        raise UsageError(f"pooling {pooling!r} is not known", hint=f"use {' or '.join(POOLING)}")
    if padding not in PADDING:
        raise UsageError(f"padding {padding!r} is not known", hint=f"use {', '.join(PADDING)}")


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

    def forward(self, x: Tensor, *, relu: bool = False, quiet: bool = False) -> Tensor:
        """(B, I, H, W) to (B, O, H', W').

        Args:
            x: The input.
            relu: Whether what is below 0 becomes 0.
            quiet: Whether the channels that :mod:`impasto.backbones.silence` found are 0 now.
        """
        x, pad = self.window.padded(x)
        if self.window.stride == 1 and self.groups == 1 and pad[0] == pad[1]:
            ours = native.convolve(x, self.filters, pad[0], relu=relu, quiet=quiet)
            if ours is not None:
                return ours
        y = F.conv2d(x, self.weight, self.bias, self.window.stride, pad, groups=self.groups)
        return y.relu_() if relu else y

    def shape(self, shape: Shape) -> Shape:
        """Of the output."""
        return shape.through(self.window, self.weight.shape[0])


class Pool(nn.Module):
    """Maximum or average over windows; padding never counts towards either."""

    def __init__(self, kind: str, window: Window) -> None:
        super().__init__()
        self.kind = kind
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H', W')."""
        window = self.window
        pad: int | tuple[int, int] = window.pad
        if window.padding == "circular":
            x, pad = window.padded(x)
        ceil = window.ceil and window.padding != "circular"
        if self.kind == "avg" and (window.size, window.stride, pad, ceil) == (2, 2, 0, False):
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


class Stage(nn.Module, ABC):
    """A link of the chain.

    Args:
        name: Of its output among the layers.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    @abstractmethod
    def shapes(self, shape: Shape) -> Iterator[tuple[str, Shape]]:
        """Name and shape of each activation for an input of ``shape``; the output is last."""

    @abstractmethod
    def run(self, x: Tensor, keep: frozenset[str]) -> Iterator[tuple[str, Tensor]]:
        """Name and value of each activation, in the same order; see :meth:`Backbone.walk`."""


class Single(Stage):
    """One operation, one activation."""

    def __init__(self, name: str, op: Conv | Pool | Linear | GlobalMean | Softmax) -> None:
        super().__init__(name)
        self.op = op

    def shapes(self, shape: Shape) -> Iterator[tuple[str, Shape]]:
        """See :meth:`Stage.shapes`."""
        yield self.name, self.op.shape(shape)

    def run(self, x: Tensor, keep: frozenset[str]) -> Iterator[tuple[str, Tensor]]:
        """See :meth:`Stage.run`."""
        del keep
        yield self.name, self.op(x)


class Relu(Stage):
    """max(0, x), in place unless the layer ``below`` is wanted as it was."""

    def __init__(self, name: str, below: str) -> None:
        super().__init__(name)
        self.below = below

    def shapes(self, shape: Shape) -> Iterator[tuple[str, Shape]]:
        """See :meth:`Stage.shapes`."""
        yield self.name, shape

    def run(self, x: Tensor, keep: frozenset[str]) -> Iterator[tuple[str, Tensor]]:
        """See :meth:`Stage.run`."""
        yield self.name, F.relu(x, inplace=self.below not in keep)


class Chain(Backbone):
    """A backbone made of stages.

    Args:
        name: ``arch.tag``.
        stages: First to last.
        preprocessing: What the weights expect.
        aliases: Other names of layers.
        levels: See :class:`Backbone`.
    """

    def __init__(
        self,
        name: str,
        stages: Sequence[Stage],
        *,
        preprocessing: Preprocessing,
        aliases: Mapping[str, str],
        levels: Sequence[Sequence[str]],
    ) -> None:
        super().__init__(name, preprocessing, declare(stages), aliases, levels)
        self.stages = nn.ModuleList(stages)
        self._range: tuple[int, Tensor, Tensor] | None = None
        self.freeze()

    def walk(
        self, x: Tensor, keep: frozenset[str], after: str | None = None
    ) -> Iterator[tuple[str, Tensor]]:
        """See :meth:`Backbone.walk`."""
        x = x.contiguous(memory_format=torch.channels_last)
        quiet = after is None and self._quiet(x)
        stages = list(self._behind(after))
        skipped: Stage | None = None
        for stage, following in zip_longest(stages, stages[1:]):
            if stage is skipped:
                continue
            if (conv := _fusible(stage, following, keep)) is not None:
                x, skipped = conv.forward(x, relu=True, quiet=quiet), following
                yield following.name, x
                continue
            for name, x in stage.run(x, keep):  # noqa: B020
                yield name, x

    @property
    def cuts(self) -> tuple[str, ...]:
        """See :attr:`Backbone.cuts`."""
        return tuple(self._coarser(2, lambda tap: tap.reach is not None))

    @property
    def borders(self) -> tuple[str, ...]:
        """See :attr:`Backbone.borders`."""
        return tuple(self._coarser(1, lambda tap: tap.stride > 0))

    def _coarser(self, stride: int, suits: Callable[[Tap], bool]) -> Iterator[str]:
        """The first layer of each larger stride than ``stride`` that suits, shallow to deep."""
        for stage, behind in pairwise(cast("Iterable[Stage]", self.stages)):
            tap = self.table[stage.name]
            # A ReLU would overwrite what it is given.
            if tap.stride > stride and suits(tap) and not isinstance(behind, Relu):
                stride = tap.stride
                yield stage.name

    def filter_bytes(self, layers: Iterable[str]) -> int:
        """See :meth:`Backbone.filter_bytes`."""
        place = {name: i for i, name in enumerate(self.table)}
        deepest, before = max((place[n] for n in layers), default=-1), -1
        total = 0
        for stage in cast("Iterable[Stage]", self.stages):
            if before >= deepest:
                break
            before = place[stage.name]
            total += sum(
                m.filters.room
                for m in stage.modules()
                if isinstance(m, Conv) and m.groups == m.window.stride == 1
            )
        return total

    def _behind(self, name: str | None) -> Iterator[Stage]:
        """The stages that follow the one called ``name``; all of them without one."""
        stages = iter(cast("Iterable[Stage]", self.stages))
        if name is not None:
            next(stage for stage in stages if stage.name == name)
        return stages

    def _quiet(self, x: Tensor) -> bool:
        """Whether channels that are silent for pictures in [0, 1] are so for ``x``."""
        if x.device.type != "cpu" or x.dtype != torch.float32 or not x.numel():
            return False
        version = sum(p._version for p in self.parameters())
        if self._range is None or self._range[0] != version:
            self._range = version, *self._mark_silence()
        _, low, high = self._range
        least, most = torch.aminmax(x.detach().transpose(0, 1).flatten(1), dim=1)
        return bool((least >= low).all() and (most <= high).all())

    def _mark_silence(self) -> tuple[Tensor, Tensor]:
        """Tell the convolutions of their silent channels; the range of a picture, (3,) each."""
        ends = torch.stack([torch.zeros(3), torch.ones(3)]).view(2, 3, 1, 1)
        low, high = (v.flatten() for v in torch.aminmax(self.preprocessing(ends), dim=0))
        before, bounds = None, (low, high)
        for stage in cast("Iterable[Stage]", self.stages):
            op = getattr(stage, "op", None)
            if isinstance(op, Conv) and op.groups == 1:
                silent, bounds = silent_outputs(op.weight, op.bias, *bounds)
                op.filters.silent_inputs, op.filters.silent_outputs = before, silent
                before = silent
            elif not isinstance(stage, Relu) and not isinstance(op, Pool):
                break
        return low - RANGE_SLACK, high + RANGE_SLACK


def watched() -> bool:
    """Whether a ``TorchFunctionMode`` is on, which may want to see every ReLU."""
    return torch._C._len_torch_function_stack() > 0


def _fusible(stage: Stage, following: Stage | None, keep: frozenset[str]) -> Conv | None:
    """The convolution of ``stage``, where it can apply the ReLU of ``following`` itself.

    Only where the caller has said what it reads, and that is not the activation between the two.
    """
    if not (isinstance(stage, Single) and isinstance(following, Relu)):
        return None
    if not keep or watched() or stage.name in keep or not isinstance(stage.op, Conv):
        return None
    return stage.op


def declare(stages: Iterable[Stage]) -> dict[str, Tap]:
    """The table of layers of a chain."""
    table: dict[str, Tap] = {}
    shape = Shape()
    for stage in stages:
        for name, shape in stage.shapes(shape):  # noqa: B020
            table[name] = shape.tap(inner=name != stage.name)
    return table


def classifier(
    weights: Mapping[str, tuple[Tensor, Tensor]], layers: Mapping[str, int]
) -> list[Stage]:
    """Fully connected layers with ReLUs between them and a softmax at the end.

    Args:
        weights: Weight and bias by layer; the list ends before the first that is not there.
        layers: ``{"fc6": 7, "fc7": 1, "fc8": 1}``: name to positions per axis that it sees.
    """
    stages: list[Stage] = []
    for name, grid in layers.items():
        if name not in weights:
            return stages
        if stages:
            below = stages[-1].name
            stages.append(Relu(below.replace("fc", "relu"), below))
        stages.append(Single(name, Linear(*weights[name], grid)))
    return [*stages, Single("prob", Softmax())]
