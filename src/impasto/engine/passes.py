"""Two passes over the tiles of a network: sums and maps in the first, gradients in the second.

The first pass runs the sections one after the other, each over the map at the cut before it. A
tile adds to the sums that losses want, and puts its part into the map at the next cut and into
the layers that are wanted whole. The second pass goes backwards: it runs each tile again and
pushes the gradients of its sums and maps back to what it saw. Nothing is approximated.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from impasto.engine.objective import IMAGE
from impasto.engine.store import IN_MEMORY, Store
from impasto.engine.summed import Part
from impasto.engine.tiles import Span, Tiling
from impasto.losses import Target

Place = tuple[Span, Span]


@dataclass
class Tile:
    """A tile that was run: what it saw, and its own positions of the layers."""

    section: Tiling
    place: Place
    seen: Tensor
    features: dict[str, Tensor]

    @classmethod
    def run(cls, section: Tiling, x: Tensor, place: Place) -> Tile:
        """Run the tile at ``place`` of the map ``x``; tracked where gradients are enabled."""
        down, across = place
        seen = x[..., down.seen, across.seen].detach()
        seen.requires_grad_(torch.is_grad_enabled())
        return cls(section, place, seen, section.features(seen, down, across))

    def sums(self, part: Part) -> Target:
        """The tile's share in the sums of ``part``."""
        if part.layer == IMAGE:
            return self._of_picture(part)
        return part.sums(self.own(part.layer), *self.overall(part.layer))

    def ends(
        self, part: Part, slopes: Sequence[Tensor | None]
    ) -> list[tuple[Tensor, Tensor | None]]:
        """What the sums of ``part`` depend on, each with its gradient."""
        if part.layer != IMAGE:
            own = self.own(part.layer)
            return [(own, part.pull(own.detach(), slopes, *self.overall(part.layer)))]
        with torch.enable_grad():
            return list(zip(self._of_picture(part), slopes, strict=True))

    def own(self, layer: str) -> Tensor:
        """The tile's own positions of ``layer``, (B, C, h, w)."""
        if layer != IMAGE:
            return self.features[layer]
        rows, columns = (slice(s.start, s.stop) for s in self.place)
        down, across = self.place
        return self.seen[..., _shifted(rows, down), _shifted(columns, across)]

    def overall(self, layer: str) -> tuple[slice, slice]:
        """Where the tile's own positions lie in the whole layer."""
        (down, across), stride = self.place, self.section.stride(layer)
        rows, columns = self.own(layer).shape[-2:]
        return down.overall(stride, rows), across.overall(stride, columns)

    def _of_picture(self, part: Part) -> Target:
        """Sums over the tile's own pixels.

        A loss that looks at groups of neighbours (``halo`` > 0) sees the tile and the next
        pixels to the right and below. The groups within that strip are the neighbour's as well
        and are taken off again; those in its corner were taken off twice.
        """
        (down, across), halo = self.place, part.loss.halo
        rows, columns = (_stretches(span, halo) for span in (down, across))
        total: list[Tensor] = []
        for (row, odd), (column, other) in itertools.product(rows, columns):
            piece = self.seen[..., _shifted(row, down), _shifted(column, across)]
            sums = part.sums(piece, row, column)
            signed = [-s if odd ^ other else s for s in sums]
            total = [a + b for a, b in zip(total, signed, strict=True)] if total else signed
        return tuple(total)


def _stretches(span: Span, halo: int) -> list[tuple[slice, bool]]:
    """The tile with what it needs beyond its end, and that surplus, which counts negative."""
    if not halo or span.stop == span.last:
        return [(slice(span.start, span.stop), False)]
    end = min(span.stop + halo, span.last)
    return [(slice(span.start, end), False), (slice(span.stop, end), True)]


def _shifted(part: slice, span: Span) -> slice:
    return slice(part.start - span.first, part.stop - span.first)


@dataclass(frozen=True)
class Level:
    """A section at work, and the map that it reads."""

    section: Tiling
    x: Tensor

    def places(self) -> list[Place]:
        """All tiles; the last, which shows how large the layers are, is the first."""
        height, width = self.x.shape[-2:]
        return list(self.section.tiles(height, width))[::-1]


class Canvas:
    """Maps that are put together from tiles."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.maps: dict[str, Tensor] = {}

    def put(self, name: str, values: Tensor, rows: slice, columns: slice) -> None:
        """``values`` (B, C, h, w) to their place; the last tile must come first."""
        if name not in self.maps:
            shape = (*values.shape[:2], rows.stop, columns.stop)
            self.maps[name] = self.store.empty(shape, values, channels_last=True)
        self.maps[name][..., rows, columns] = values


@torch.no_grad()
def sweep(
    sections: Sequence[Tiling],
    image: Tensor,
    store: Store,
    visit: Callable[[Tile], None],
) -> list[Level]:
    """Run every tile of every section once, shallow to deep.

    Args:
        sections: Of the network.
        image: (B, 3, H, W).
        store: Where the maps at the cuts are.
        visit: Called with each tile.
    """
    levels: list[Level] = []
    x = image.detach()
    for section in sections:
        level, canvas = Level(section, x), Canvas(store)
        for place in level.places():
            tile = Tile.run(section, x, place)
            visit(tile)
            if section.cut is not None:
                canvas.put(section.cut, tile.features[section.cut], *tile.overall(section.cut))
            store.release()
        levels.append(level)
        if section.cut is not None:
            x = canvas.maps[section.cut]
    return levels


@dataclass(frozen=True, eq=False)
class Passes:
    """What is wanted of the network.

    Attributes:
        sections: The network in sections; all of ``parts`` and ``maps`` lie in them.
        parts: The losses whose sums are wanted.
        maps: The layers that are wanted whole.
        store: Where large maps are.
    """

    sections: tuple[Tiling, ...]
    parts: tuple[Part, ...]
    maps: tuple[str, ...] = ()
    store: Store = IN_MEMORY

    def __call__(self, image: Tensor) -> tuple[list[Target], dict[str, Tensor]]:
        """The sums of each part and the maps by name, differentiable.

        Args:
            image: (B, 3, H, W).
        """
        counts: list[int] = []
        out: tuple[Tensor, ...] = _TwoPasses.apply(image, self, counts)  # type: ignore[no-untyped-call]
        rest = iter(out)
        sums = [tuple(itertools.islice(rest, count)) for count in counts]
        return sums, dict(zip(self.maps, rest, strict=True))

    def at(self, section: Tiling) -> Iterator[tuple[int, Part]]:
        """The parts in ``section``, with their indices."""
        for index, part in enumerate(self.parts):
            if part.layer in section.layers:
                yield index, part


class _Sums:
    """The first pass: adds up sums, puts maps together."""

    def __init__(self, passes: Passes) -> None:
        self.passes = passes
        self.canvas = Canvas(passes.store)
        self.totals: dict[int, list[Tensor]] = {}

    def __call__(self, tile: Tile) -> None:
        for index, part in self.passes.at(tile.section):
            sums, total = tile.sums(part), self.totals.get(index)
            self.totals[index] = (
                [a + b for a, b in zip(total, sums, strict=True)] if total else list(sums)
            )
        for name in self.passes.maps:
            if name in tile.section.layers:
                self.canvas.put(name, tile.features[name], *tile.overall(name))


class _TwoPasses(torch.autograd.Function):
    """Sums and maps; the backward pass is the second pass over the tiles."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, passes: Passes, counts: list[int]) -> tuple[Tensor, ...]:
        first = _Sums(passes)
        ctx.levels = sweep(passes.sections, image, passes.store, first)
        ctx.save_for_backward(image)
        ctx.set_materialize_grads(False)
        ctx.passes = passes
        totals = [first.totals[i] for i in range(len(passes.parts))]
        counts += [len(total) for total in totals]
        ctx.counts = counts
        return (*itertools.chain(*totals), *(first.canvas.maps[n] for n in passes.maps))

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor | None) -> tuple[Tensor, None, None]:
        _ = ctx.saved_tensors  # complains if the picture was changed in between
        rest = iter(slopes)
        of_sums = [tuple(itertools.islice(rest, count)) for count in ctx.counts]
        of_maps = dict(zip(ctx.passes.maps, rest, strict=True))
        below: Tensor | None = None
        while ctx.levels:
            level = ctx.levels.pop()
            below = _pushed_back(level, ctx.passes, of_sums, of_maps, below)
        assert below is not None
        return below, None, None


def _pushed_back(
    level: Level,
    passes: Passes,
    of_sums: Sequence[tuple[Tensor | None, ...]],
    of_maps: Mapping[str, Tensor | None],
    below: Tensor | None,
) -> Tensor:
    """The gradient of the map that a section reads, given those of all that it makes.

    Args:
        level: The section.
        passes: What is computed.
        of_sums: Gradients of the sums of each part.
        of_maps: Gradients of the maps.
        below: Gradient of the map at the section's cut.
    """
    section, x = level.section, level.x
    result = passes.store.empty(x.shape, x, channels_last=section.after is not None, zero=True)
    for place in level.places():
        with torch.enable_grad():
            tile = Tile.run(section, x, place)
        ends = [end for i, part in passes.at(section) for end in tile.ends(part, of_sums[i])]
        pulls = [(n, of_maps[n]) for n in passes.maps if n in section.layers]
        pulls += [] if section.cut is None else [(section.cut, below)]
        ends += [
            (tile.features[n], None if slope is None else slope[(..., *tile.overall(n))])
            for n, slope in pulls
        ]
        _add_slope(result, tile, ends)
        passes.store.release()
    return result


def _add_slope(result: Tensor, tile: Tile, ends: Sequence[tuple[Tensor, Tensor | None]]) -> None:
    """Add to ``result`` what the gradients at the ``ends`` of a tile come to where it begins."""
    pairs = [(a, b) for a, b in ends if b is not None and a.requires_grad]
    if pairs:
        (slope,) = torch.autograd.grad([a for a, _ in pairs], tile.seen, [b for _, b in pairs])
        down, across = tile.place
        result[..., down.seen, across.seen] += slope
