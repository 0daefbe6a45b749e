"""A network seen a tile at a time: where tiles lie, and what each must see.

A network is divided at its *cuts*, the places where it becomes coarser, into sections. Within a
section a tile needs a halo of a few of the section's own cells; the maps at the cuts are small
and are put together whole. So the halo of the first blocks is 8 px for a VGG, where a tile that
went down to ``relu5_1`` in one go would need 80 on each side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from impasto.backbones import Backbone
from impasto.engine.objective import IMAGE
from impasto.errors import UsageError

#: How much larger than asked a tile may be where that saves one: a picture of 1024 px has a margin.
OVER = 1.1
#: Edge of tiles from which on freed memory is kept, px: what smaller ones need stays in blocks
#: that the C library keeps anyway; for these it takes fresh pages each time, half as long again.
KEEPING = 512
#: Values per pixel of the picture up to which a layer is kept for the way back. Finer ones take
#: more, and cost less to compute again.
LASTING = 8


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in cells: those it is for, and those it must see."""

    start: int
    stop: int
    first: int
    last: int

    def within(self, stride: int, length: int) -> slice:
        """The tile's own positions among the features of what it sees.

        Args:
            stride: Of the layer, in cells.
            length: Positions there are.
        """
        begin = (self.start - self.first) // stride
        end = length if self.stop == self.last else (self.stop - self.first) // stride
        return slice(begin, end)

    def overall(self, stride: int, count: int) -> slice:
        """Its ``count`` own positions among the features of the whole."""
        return slice(self.start // stride, self.start // stride + count)

    @property
    def seen(self) -> slice:
        """The cells that it must see."""
        return slice(self.first, self.last)


@dataclass(frozen=True)
class Tiling:
    """How a section of a backbone is seen in tiles.

    Its cells are the pixels of the picture, or the positions of the layer ``after``.

    Attributes:
        backbone: The network.
        size: Edge of a tile without halo, px of the picture; rounded up to the coarsest layer's
            grid.
        layers: The layers that will be asked for; :data:`IMAGE` among them is the picture.
        after: Where the section begins, one of the backbone's cuts; None at the picture.
        cut: Where it ends and the next begins; None for the last.
        slack: Pixels of the picture to the right and below that a loss on it needs.

    Raises:
        UsageError: A layer sees the whole picture, or pads in a way that depends on its size.
    """

    backbone: Backbone
    size: int
    layers: tuple[str, ...]
    after: str | None = None
    cut: str | None = None
    slack: int = 0

    def __post_init__(self) -> None:
        """Check the layers."""
        for layer in self.ends:
            if self.backbone.table[self.backbone.resolve(layer)].reach is None:
                raise UsageError(
                    f"{layer} of {self.backbone.name} cannot be seen in tiles", hint="--tile off"
                )

    @property
    def ends(self) -> list[str]:
        """Layers of the network that are asked for, and the cut; shallow to deep."""
        cut = () if self.cut is None else (self.cut,)
        names = (n for n in dict.fromkeys((*self.layers, *cut)) if n != IMAGE)
        place = {name: i for i, name in enumerate(self.backbone.table)}
        return sorted(names, key=lambda n: place[self.backbone.resolve(n)])

    def straight(self, layer: str) -> bool:
        """Whether all that lies behind ``layer`` depends on the picture through it alone."""
        backbone = self.backbone
        return not (backbone.lowered or backbone.table[backbone.resolve(layer)].inner)

    def lasting(self, layer: str) -> bool:
        """Whether ``layer`` is kept for the way back, not computed again: :data:`LASTING`."""
        tap = self.backbone.table[self.backbone.resolve(layer)]
        return tap.channels <= LASTING * tap.stride**2

    @property
    def pause(self) -> str | None:
        """The last layer to compute again on the way back, if a walk can go on from there."""
        again = [n for n in self.ends if n in self.layers and not self.lasting(n)]
        restarts = again and self.backbone.restarts(self.backbone.resolve(again[-1]))
        return again[-1] if restarts else None

    def divided(self) -> tuple[list[str], list[str]]:
        """The layers down to :attr:`pause`, and those behind it."""
        names = self.ends
        front = 0 if self.pause is None else names.index(self.pause) + 1
        return names[:front], names[front:]

    @property
    def scale(self) -> int:
        """Edge of a cell, px."""
        return 1 if self.after is None else self.backbone.table[self.after].stride

    @property
    def grid(self) -> int:
        """Cells between the places where a tile may begin."""
        return max((self.stride(n) for n in self.ends), default=1)

    @property
    def halo(self) -> int:
        """Cells that a tile sees on each side beyond its own, a multiple of :attr:`grid`."""
        widest = max([self.slack, *(self._reach(n) for n in self.ends)])
        return -(-widest // self.grid) * self.grid

    def stride(self, layer: str) -> int:
        """Cells per position of ``layer``."""
        if layer == IMAGE:
            return 1
        return self.backbone.table[self.backbone.resolve(layer)].stride // self.scale

    def _reach(self, layer: str) -> int:
        """Cells that a position of ``layer`` sees beyond its own, on the worse side."""
        begin = (0, 0) if self.after is None else self.backbone.table[self.after].reach
        end = self.backbone.table[self.backbone.resolve(layer)].reach
        pairs = zip(begin or (0, 0), end or (0, 0), strict=True)
        return max(-(-(b - a) // self.scale) for a, b in pairs)

    def spans(self, length: int) -> list[Span]:
        """The tiles along an axis of ``length`` cells, about equal.

        They may be larger than asked by :data:`OVER`; the last takes a rest below the grid.
        """
        most = max(1, -(-self.size // (self.scale * self.grid))) * self.grid
        count = max(1, math.ceil(length / (OVER * most)))
        step = max(1, math.ceil(length / (count * self.grid))) * self.grid
        starts = list(range(0, max(1, length - self.grid + 1), step))
        stops = [*starts[1:], length]
        return [
            Span(a, b, max(0, a - self.halo), min(length, b + self.halo))
            for a, b in zip(starts, stops, strict=True)
        ]

    def tiles(self, height: int, width: int) -> Iterator[tuple[Span, Span]]:
        """All tiles of a map, row by row."""
        for down in self.spans(height):
            for across in self.spans(width):
                yield down, across

    def taps(
        self, seen: Tensor, layers: Iterable[str], after: str | None = None
    ) -> dict[str, Tensor]:
        """All positions of ``layers``, (B, C, h, w), differentiable.

        Args:
            seen: What a tile sees, of the picture or of the layer :attr:`after`; or of ``after``.
            layers: Names or aliases, of the section.
            after: A layer of the section, or None for where it begins.
        """
        begin = self.after if after is None else self.backbone.resolve(after)
        if begin is None:
            return self.backbone.taps(seen, layers)
        return self.backbone.taps_after(begin, seen, layers)

    def features(self, seen: Tensor, down: Span, across: Span) -> dict[str, Tensor]:
        """The tile's own positions of every layer and of the cut, (B, C, h, w), differentiable.

        Args:
            seen: What the tile sees, of the picture or of the layer :attr:`after`.
            down: Its place.
            across: Its place.
        """
        taps = self.taps(seen, self.ends)
        return {n: t[(..., *self.own(n, t.shape, down, across))] for n, t in taps.items()}

    def own(
        self, layer: str, shape: Sequence[int], down: Span, across: Span
    ) -> tuple[slice, slice]:
        """The tile's own positions among all that it has of ``layer``.

        Args:
            layer: Of the section.
            shape: Of all that it has.
            down: Its place.
            across: Its place.
        """
        stride, (rows, columns) = self.stride(layer), shape[-2:]
        return down.within(stride, rows), across.within(stride, columns)


def keeps_ways(backbone: Backbone) -> bool:
    """Whether ways back are kept: the memory of a device is dear, there tiles are run again."""
    return next(backbone.parameters()).device.type == "cpu" and not backbone.lowered


def sections(
    backbone: Backbone, layers: Iterable[str], size: int, slack: int = 0
) -> tuple[Tiling, ...]:
    """The network down to the deepest of ``layers``, divided at its cuts.

    Tiles of deeper sections are larger, as the root of their cells: what they hold of a pixel
    falls with the cell's area, and their halos grow with its edge.

    Args:
        backbone: The network.
        layers: The layers that will be asked for, perhaps with :data:`IMAGE`.
        size: Edge of a tile of the first section, px.
        slack: See :class:`Tiling`.

    Raises:
        UsageError: A layer cannot be seen in tiles.
    """
    found = []
    for after, cut, mine in divided(backbone, layers, backbone.cuts):
        scale = 1 if after is None else backbone.table[after].stride
        found.append(Tiling(backbone, round(size * scale**0.5), mine, after, cut, slack))
        slack = 0
    return tuple(found)


def divided(
    backbone: Backbone, layers: Iterable[str], borders: Iterable[str]
) -> Iterator[tuple[str | None, str | None, tuple[str, ...]]]:
    """The network down to the deepest of ``layers``, divided at ``borders``.

    Args:
        backbone: The network.
        layers: Names or aliases, perhaps with :data:`IMAGE`.
        borders: Canonical names, shallow to deep; those behind all layers are left out.

    Yields:
        Where a part begins (None at the picture) and ends (None for the last), and its layers,
        each once, by the names that were given.
    """
    place = {name: i for i, name in enumerate(backbone.table)}
    depth = {n: -1 if n == IMAGE else place[backbone.resolve(n)] for n in layers}
    deepest = max(depth.values(), default=-1)
    inner = [b for b in borders if place[b] < deepest]
    for after, border in pairwise([None, *inner, None]):
        low = -2 if after is None else place[after]
        high = deepest if border is None else place[border]
        yield after, border, tuple(n for n, d in depth.items() if low < d <= high)


@torch.no_grad()
def layer_sizes(
    backbone: Backbone, size: tuple[int, int], layers: Iterable[str]
) -> dict[str, tuple[int, int]]:
    """Height and width of ``layers`` for a picture of ``size``.

    Found on two strips, one as high and one as wide as the picture, since the number of positions
    along an axis depends on that axis alone.
    """
    names = [n for n in layers if n != IMAGE]
    thin, weight = backbone.min_size(names), next(backbone.parameters())
    tall = backbone.taps(weight.new_zeros(1, 3, size[0], min(thin, size[1])), names)
    wide = backbone.taps(weight.new_zeros(1, 3, min(thin, size[0]), size[1]), names)
    found = {n: (tall[n].shape[-2], wide[n].shape[-1]) for n in names}
    return found | ({IMAGE: size} if IMAGE in set(layers) else {})
