"""The same objective and the same gradient, a tile at a time.

A loss that sees the picture only through sums over positions (:class:`impasto.losses.SumLoss`)
can be evaluated without holding the whole picture's features: one pass over the tiles adds up the
sums; the objective is differentiated with respect to them; a second pass runs each tile again and
pushes its share of the gradient back. Each tile is seen with a halo as wide as the deepest layer
can see, and begins on the coarsest layer's grid, so nothing is approximated.

Cost: two forward passes and one backward pass, over tiles that are larger by their halos. Memory:
activations of one tile, and the whole picture's features only where they are a target (content).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from impasto.backbones import Backbone
from impasto.engine.objective import IMAGE, Goal, Objective
from impasto.errors import UsageError
from impasto.losses import SumLoss, Target


@dataclass(frozen=True)
class Span:
    """A tile along one axis: the pixels it is for, and those it must see."""

    start: int
    stop: int
    first: int
    last: int

    def within(self, stride: int, length: int) -> slice:
        """The tile's own positions among the features of what it sees.

        Args:
            stride: Of the layer.
            length: Positions there are.
        """
        begin = (self.start - self.first) // stride
        end = length if self.stop == self.last else (self.stop - self.first) // stride
        return slice(begin, end)

    def overall(self, stride: int, count: int) -> slice:
        """Its ``count`` own positions among the features of the whole picture."""
        return slice(self.start // stride, self.start // stride + count)


@dataclass(frozen=True)
class Tiling:
    """How a backbone's layers are seen in tiles of ``size`` px.

    Attributes:
        backbone: The network.
        size: Edge of a tile without halo, px; rounded up to the coarsest layer's grid.
        layers: The layers that will be asked for.

    Raises:
        UsageError: A layer sees the whole picture, or pads in a way that depends on its size.
    """

    backbone: Backbone
    size: int
    layers: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check the layers."""
        for layer in self.layers:
            if self.backbone.table[self.backbone.resolve(layer)].reach is None:
                raise UsageError(
                    f"{layer} of {self.backbone.name} cannot be seen in tiles", hint="--tile off"
                )

    @property
    def grid(self) -> int:
        """Pixels between the places where a tile may begin."""
        return max((self.stride(n) for n in self.layers), default=1)

    @property
    def halo(self) -> int:
        """Pixels that a tile sees on each side beyond its own, a multiple of :attr:`grid`."""
        widest = 0
        for layer in self.layers:
            widest = max(widest, *(self.backbone.table[self.backbone.resolve(layer)].reach or ()))
        return -(-widest // self.grid) * self.grid

    def stride(self, layer: str) -> int:
        """Input pixels per position of ``layer``."""
        return self.backbone.table[self.backbone.resolve(layer)].stride

    def spans(self, length: int) -> list[Span]:
        """The tiles along an axis of ``length`` px; the last takes a rest below one grid cell."""
        step = -(-self.size // self.grid) * self.grid
        starts = list(range(0, max(1, length - self.grid + 1), step))
        stops = [*starts[1:], length]
        return [
            Span(a, b, max(0, a - self.halo), min(length, b + self.halo))
            for a, b in zip(starts, stops, strict=True)
        ]

    def tiles(self, height: int, width: int) -> Iterator[tuple[Span, Span]]:
        """All tiles of a picture, row by row."""
        for down in self.spans(height):
            for across in self.spans(width):
                yield down, across

    def features(self, image: Tensor, down: Span, across: Span) -> dict[str, Tensor]:
        """The tile's own positions of every layer, (B, C, h, w), differentiable."""
        taps = self.backbone.taps(image, self.layers)
        return {
            n: t[
                ...,
                down.within(self.stride(n), t.shape[-2]),
                across.within(self.stride(n), t.shape[-1]),
            ]
            for n, t in taps.items()
        }


class TiledTaps:
    """Stands in for a backbone where targets are made: whole features, computed in tiles.

    Args:
        backbone: The network.
        size: Edge of a tile, px.
    """

    def __init__(self, backbone: Backbone, size: int) -> None:
        self.backbone = backbone
        self.size = size

    def min_size(self, layers: Iterable[str]) -> int:
        """As the backbone's."""
        return self.backbone.min_size(layers)

    @torch.no_grad()
    def taps(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """As the backbone's, without gradient."""
        tiling = Tiling(self.backbone, self.size, tuple(layers))
        rows: dict[str, list[Tensor]] = {n: [] for n in tiling.layers}
        for down in tiling.spans(x.shape[-2]):
            row: dict[str, list[Tensor]] = {n: [] for n in tiling.layers}
            for across in tiling.spans(x.shape[-1]):
                seen = x[..., down.first : down.last, across.first : across.last]
                for layer, part in tiling.features(seen, down, across).items():
                    row[layer].append(part)
            for layer, parts in row.items():
                rows[layer].append(torch.cat(parts, -1))
        return {layer: torch.cat(parts, -2) for layer, parts in rows.items()}


@dataclass(frozen=True)
class Part:
    """One loss on one layer, with its factor in the objective and the term it belongs to."""

    name: str
    loss: SumLoss
    layer: str
    target: Target
    weight: Tensor | None
    factor: float

    def sums(self, features: Tensor, down: slice, across: slice) -> Target:
        """The loss's sums over a tile; the slices are its place in the whole."""
        target = self.target
        if self.loss.aligned:
            target = tuple(t[..., down, across] for t in target)
        weight = None if self.weight is None else self.weight[..., down, across]
        return self.loss.sums(features, target, weight)


class TiledObjective(Objective):
    """As :class:`Objective`, with values and gradients computed in tiles.

    Terms on the picture itself are computed whole: they need no features.

    Args:
        backbone: Whose features are compared.
        goals: What is wanted of them.
        size: Edge of a tile without halo, px.

    Raises:
        UsageError: A loss is not a sum over positions, or a layer cannot be seen in tiles.
    """

    def __init__(self, backbone: Backbone, goals: Sequence[Goal], size: int) -> None:
        super().__init__(backbone, goals)
        self.parts = [part for goal in self.goals for part in _parts(goal)]
        deep = dict.fromkeys(p.layer for p in self.parts if p.layer != IMAGE)
        self.tiling = Tiling(backbone, size, tuple(deep))

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """Weighted value of each term, by name."""
        deep = [p for p in self.parts if p.layer != IMAGE]
        found = dict(zip(map(id, deep), _Tiled.apply(image, self.tiling, deep), strict=True))  # type: ignore[no-untyped-call]
        values: dict[str, Tensor] = {}
        for part in self.parts:
            value = found[id(part)] if part.layer != IMAGE else _whole(part, image)
            value = value * part.factor
            values[part.name] = values[part.name] + value if part.name in values else value
        return values


def _parts(goal: Goal) -> Iterator[Part]:
    loss = goal.term.loss
    if not isinstance(loss, SumLoss):
        raise UsageError(
            f"term {goal.term.name}: {type(loss).__name__} is no sum over positions and cannot be "
            "computed in tiles",
            hint="--tile off",
        )
    for layer, share in goal.term.shares().items():
        factor = share * goal.share * goal.term.weight
        target, weight = goal.targets[layer], goal.maps.get(layer)
        yield Part(goal.term.name, loss, layer, target, weight, factor)


def _whole(part: Part, image: Tensor) -> Tensor:
    return part.loss(image, part.target, part.weight)


def _tile_sums(
    image: Tensor, tiling: Tiling, parts: Sequence[Part], down: Span, across: Span
) -> list[Target]:
    """The sums of each part over one tile; ``image`` is what the tile sees."""
    features = tiling.features(image, down, across)
    found: list[Target] = []
    for part in parts:
        own, stride = features[part.layer], tiling.stride(part.layer)
        rows, columns = own.shape[-2:]
        place = down.overall(stride, rows), across.overall(stride, columns)
        found.append(part.sums(own, *place))
    return found


def _values(parts: Sequence[Part], flat: Iterable[Tensor], counts: Sequence[int]) -> list[Tensor]:
    """The value of each part, given the sums of all in a row."""
    rest = iter(flat)
    return [
        part.loss.value(tuple(itertools.islice(rest, count)), part.target)
        for part, count in zip(parts, counts, strict=True)
    ]


class _Tiled(torch.autograd.Function):
    """Values of the parts; the backward pass is the second pass over the tiles."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, tiling: Tiling, parts: list[Part]) -> tuple[Tensor, ...]:
        total: list[Tensor] = []
        counts: list[int] = []
        for down, across in tiling.tiles(*image.shape[-2:]):
            seen = image[..., down.first : down.last, across.first : across.last]
            sums = _tile_sums(seen, tiling, parts, down, across)
            counts = [len(of_part) for of_part in sums]
            flat = list(itertools.chain(*sums))
            total = [a + b for a, b in zip(total, flat, strict=True)] if total else flat
        ctx.save_for_backward(image, *total)
        ctx.tiling, ctx.parts, ctx.counts = tiling, parts, counts
        return tuple(_values(parts, total, counts))

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        image, *total = ctx.saved_tensors
        with torch.enable_grad():
            leaves = [t.detach().requires_grad_(True) for t in total]
            values = _values(ctx.parts, leaves, ctx.counts)
            pulls = torch.autograd.grad(values, leaves, slopes, allow_unused=True)
        result = torch.zeros_like(image)
        for down, across in ctx.tiling.tiles(*image.shape[-2:]):
            place = (..., slice(down.first, down.last), slice(across.first, across.last))
            with torch.enable_grad():
                seen = image[place].detach().requires_grad_(True)
                flat = itertools.chain(*_tile_sums(seen, ctx.tiling, ctx.parts, down, across))
            pairs = [(a, b) for a, b in zip(flat, pulls, strict=True) if b is not None]
            pairs = [(a, b) for a, b in pairs if a.requires_grad]
            (slope,) = torch.autograd.grad([a for a, _ in pairs], seen, [b for _, b in pairs])
            result[place] += slope
        return result, None, None
