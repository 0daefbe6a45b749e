"""Networks as chains of stages, with everything about their layers known beforehand.

All networks here, residual ones included, are chains: each stage takes the output of the one
before it and yields its own activations by name, the last of which is its output. Channels,
strides and smallest inputs follow from the windows of the convolutions and poolings
(:class:`impasto.backbones.operations.Window`), so :attr:`Backbone.table` is computed, not typed in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.backbones.base import Backbone, Preprocessing, Tap
from impasto.backbones.operations import PADDING, Conv, GlobalMean, Linear, Pool, Shape, Softmax
from impasto.backbones.silence import RANGE_SLACK, silent_outputs
from impasto.errors import UsageError

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
        while stages:
            if (fused := _fusible(stages[:3], keep)) is not None:
                x = fused.conv.forward(x, relu=True, quiet=quiet, pool=fused.pool)
                yield fused.last.name, x
            else:
                for name, x in stages[0].run(x, keep):  # noqa: B020
                    yield name, x
            del stages[: 1 if fused is None else fused.count]

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
        for stage in cast("Iterable[Stage]", self.stages):
            tap = self.table[stage.name]
            if tap.stride > stride and suits(tap) and self.restarts(stage.name):
                stride = tap.stride
                yield stage.name

    def restarts(self, layer: str) -> bool:
        """See :meth:`Backbone.restarts`."""
        links = pairwise(cast("Iterable[Stage]", self.stages))
        # A ReLU would overwrite what it is given.
        return any(a.name == layer and not isinstance(b, Relu) for a, b in links)

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
        if torch.compiler.is_exporting():
            return False
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


@dataclass(frozen=True)
class Fused:
    """A convolution that does what the stages after it would.

    Attributes:
        conv: It.
        pool: The pooling behind its ReLU, if it does that too.
        last: The last of the stages.
        count: How many they are.
    """

    conv: Conv
    pool: Pool | None
    last: Stage
    count: int


def _fusible(stages: Sequence[Stage], keep: frozenset[str]) -> Fused | None:
    """The first of ``stages``, where it is a convolution that can do the work of those behind it.

    Only where the caller has said what it reads, and that is none of the activations between.
    """
    conv, relu, pool = (*stages, None, None)[:3]
    if not (isinstance(conv, Single) and isinstance(relu, Relu)):
        return None
    if not keep or watched() or conv.name in keep or not isinstance(conv.op, Conv):
        return None
    if isinstance(pool, Single) and isinstance(pool.op, Pool) and relu.name not in keep:
        return Fused(conv.op, pool.op, pool, 3)
    return Fused(conv.op, None, relu, 2)


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
