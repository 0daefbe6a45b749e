"""Two passes over the tiles of a network: sums and maps in the first, gradients in the second.

The first pass runs the sections one after the other, each over the map at the cut before it. A
tile adds to the sums that losses want, and puts its part into the map at the next cut and into
the layers that are wanted whole. The second pass goes backwards and pushes the gradients of the
sums and maps of each tile back to what it saw. It need not run the tile again where the first pass
kept the way back and what the losses read, as far as there is room for them. Nothing is
approximated.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from impasto.engine.objective import IMAGE
from impasto.engine.store import IN_MEMORY, Pages, Store, in_memory
from impasto.engine.summed import Part
from impasto.engine.tiles import Span, Tiling, keeps_ways
from impasto.engine.way_back import Detour, Route, Walker, WayBack
from impasto.losses import Target

#: Bytes that the ways back of an evaluation may take, with what losses read there.
ROOM = 2**30

Place = tuple[Span, Span]


@dataclass
class Tile:
    """A tile that was run: what it saw, and what it made of that.

    Attributes:
        section: Which it is a tile of.
        place: Where it lies.
        seen: What it saw.
        shapes: Of all that it has of each layer, the cut among them.
        parts: Its own positions of each, without gradient.
        way: The way back, if gradients are wanted.
    """

    section: Tiling
    place: Place
    seen: Tensor
    shapes: dict[str, torch.Size]
    parts: dict[str, Tensor]
    way: Route | WayBack | Detour | None = None

    @classmethod
    def run(cls, section: Tiling, x: Tensor, place: Place, walker: Walker | None = None) -> Tile:
        """Run the tile at ``place`` of the map ``x``; tracked where gradients are enabled.

        Args:
            section: Of the network.
            x: The map that it reads.
            place: Of the tile.
            walker: Keeps the way back from where the section pauses.
        """
        seen, pause = _seen(x, place), section.pause
        way: Route | WayBack | None = None
        front, rest = section.divided() if walker is not None else (section.ends, [])
        taps = section.taps(seen, front) if front else {}
        if walker is not None and rest:
            begin = seen if pause is None else taps[pause]
            key = pause or section.after, *begin.shape
            made, way = walker.through(lambda x: section.taps(x, rest, pause), begin, key)
            taps |= made
        elif seen.requires_grad and taps:
            way = Route.of(seen, taps)
        tile = cls(section, place, seen, {}, {}, way)
        tile._have(taps)
        if walker is not None and isinstance(way, WayBack):
            for name in rest:
                if name in section.layers and section.lasting(name):
                    walker.keep(way, name, tile.parts[name])
        return tile

    @classmethod
    def again(cls, section: Tiling, x: Tensor, place: Place, way: WayBack) -> Tile:
        """As :meth:`run`, tracked, where the way back was kept: only the rest is run."""
        seen, pause = _seen(x, place), section.pause
        front, rest = section.divided()
        taps = section.taps(seen, front) if front else {}
        begin = seen if pause is None else taps[pause]
        whole = way if pause is None else Detour(Route.of(seen, taps), pause, way)
        tile = cls(section, place, seen, dict(way.shapes), {}, whole)
        tile._have(taps)
        lost = [n for n in rest if n in section.layers and n not in way.values]
        if lost:
            with torch.no_grad():
                tile._have(section.taps(begin, lost, pause))
        tile.parts |= {name: way.value(name) for name in way.values}
        return tile

    def _have(self, taps: Mapping[str, Tensor]) -> None:
        """Take the tile's part of layers."""
        for name, tap in taps.items():
            self.shapes[name] = tap.shape
            self.parts[name] = tap.detach()[(..., *self.where(name))]

    def sums(self, part: Part) -> Target:
        """The tile's share in the sums of ``part``."""
        if part.layer == IMAGE:
            return self._of_picture(part)
        return part.sums(self.parts[part.layer], *self.overall(part.layer))

    def of_picture(
        self, part: Part, slopes: Sequence[Tensor | None]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The sums of a ``part`` on the picture, each with its gradient."""
        with torch.enable_grad():
            sums = self._of_picture(part)
        for total, slope in zip(sums, slopes, strict=True):
            if slope is not None and total.requires_grad:
                yield total, slope

    def where(self, layer: str) -> tuple[slice, slice]:
        """The tile's own positions among all that it has of ``layer``."""
        if layer != IMAGE:
            return self.section.own(layer, self.shapes[layer], *self.place)
        down, across = (_shifted(slice(s.start, s.stop), s) for s in self.place)
        return down, across

    def of(self, layer: str) -> Tensor:
        """The tile's own positions of ``layer``, (B, C, h, w)."""
        return self.seen[(..., *self.where(IMAGE))] if layer == IMAGE else self.parts[layer]

    def overall(self, layer: str) -> tuple[slice, slice]:
        """Where the tile's own positions lie in the whole layer."""
        stride = self.section.stride(layer)
        pairs = zip(self.place, self.where(layer), strict=True)
        down, across = (span.overall(stride, s.stop - s.start) for span, s in pairs)
        return down, across

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


def _seen(x: Tensor, place: Place) -> Tensor:
    """What the tile at ``place`` sees of ``x``."""
    part = x[..., place[0].seen, place[1].seen].detach()
    return part.requires_grad_(torch.is_grad_enabled())


def _shifted(part: slice, span: Span) -> slice:
    return slice(part.start - span.first, part.stop - span.first)


@dataclass(frozen=True)
class Level:
    """A section at work.

    Attributes:
        section: Which.
        x: The map that it reads.
        ways: Back from tiles, as far as they are kept.
    """

    section: Tiling
    x: Tensor
    ways: dict[Place, WayBack] = field(default_factory=dict)

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
    walker: Walker | None = None,
) -> list[Level]:
    """Run every tile of every section once, shallow to deep.

    Args:
        sections: Of the network.
        image: (B, 3, H, W).
        store: Where the maps at the cuts are.
        visit: Called with each tile.
        walker: Keeps the ways back of tiles.
    """
    levels: list[Level] = []
    x = image.detach()
    for section in sections:
        level, canvas = Level(section, x), Canvas(store)
        for place in level.places():
            tile = Tile.run(section, x, place, walker)
            if isinstance(tile.way, WayBack):
                level.ways[place] = tile.way
            visit(tile)
            if section.cut is not None:
                canvas.put(section.cut, tile.parts[section.cut], *tile.overall(section.cut))
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
        room: Bytes that the ways back of tiles may take, on the CPU.
        pages: Where they are, used again by every evaluation.
    """

    sections: tuple[Tiling, ...]
    parts: tuple[Part, ...]
    maps: tuple[str, ...] = ()
    store: Store = IN_MEMORY
    room: int = ROOM
    pages: Pages = field(default_factory=in_memory)

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
                self.canvas.put(name, tile.parts[name], *tile.overall(name))


class _TwoPasses(torch.autograd.Function):
    """Sums and maps; the backward pass is the second pass over the tiles."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, passes: Passes, counts: list[int]) -> tuple[Tensor, ...]:
        first = _Sums(passes)
        network, walker = passes.sections[0].backbone, None
        if ctx.needs_input_grad[0] and passes.room and keeps_ways(network):
            walker = Walker(network, passes.pages, passes.room)
        ctx.levels = sweep(passes.sections, image, passes.store, first, walker)
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
        second = _SecondPass(ctx.passes, of_sums, of_maps)
        below: Tensor | None = None
        while ctx.levels:
            below = second(ctx.levels.pop(), below)
        assert below is not None
        return below, None, None


@dataclass(frozen=True)
class _SecondPass:
    """Pushes gradients back through the sections.

    Attributes:
        passes: What was computed.
        of_sums: Gradients of the sums of each part.
        of_maps: Gradients of the maps.
    """

    passes: Passes
    of_sums: Sequence[tuple[Tensor | None, ...]]
    of_maps: Mapping[str, Tensor | None]

    def __call__(self, level: Level, below: Tensor | None) -> Tensor:
        """The gradient of the map that a section reads.

        Args:
            level: The section.
            below: Gradient of the map at its cut.
        """
        section, x, store = level.section, level.x, self.passes.store
        result = store.empty(x.shape, x, channels_last=section.after is not None, zero=True)
        for place in level.places():
            way = level.ways.pop(place, None)
            with torch.enable_grad():
                tile = (
                    Tile.run(section, x, place)
                    if way is None
                    else Tile.again(section, x, place, way)
                )
            for slope in self._of_seen(tile, below):
                result[..., place[0].seen, place[1].seen] += slope
            store.release()
        return result

    def _of_seen(self, tile: Tile, below: Tensor | None) -> Iterator[Tensor]:
        """The gradients of what a tile saw, to be summed."""
        if tile.way is not None:
            yield self._of_layers(tile, tile.way, below)
        ends = [
            end
            for i, part in self.passes.at(tile.section)
            if part.layer == IMAGE
            for end in tile.of_picture(part, self.of_sums[i])
        ]
        if ends:
            yield torch.autograd.grad([a for a, _ in ends], tile.seen, [b for _, b in ends])[0]

    def _of_layers(self, tile: Tile, way: Route | WayBack | Detour, below: Tensor | None) -> Tensor:
        """What the gradients of its layers come to.

        From layer to layer, so that each adds its own to what has come from below in place:
        autograd would make another map of both, and one more for what lies around the tile.
        """
        section = tile.section
        slopes: dict[str, Tensor] = {}
        for layer in reversed(section.ends):
            if slopes and section.straight(layer):
                slopes = {layer: way.back(slopes, layer)}
            else:
                empty = tile.seen.new_empty(tile.shapes[layer])
                slopes[layer] = torch.zeros_like(empty, memory_format=torch.channels_last)
            self._add(tile, layer, slopes[layer][(..., *tile.where(layer))], below)
        return way.back(slopes)

    def _add(self, tile: Tile, layer: str, slope: Tensor, below: Tensor | None) -> None:
        """Add what a layer's own losses say to ``slope``, the gradient of the tile's own part."""
        place = tile.overall(layer)
        for i, part in self.passes.at(tile.section):
            if part.layer == layer:
                part.add_pull(slope, tile.parts[layer], self.of_sums[i], *place)
        for whole in (self.of_maps.get(layer), below if layer == tile.section.cut else None):
            if whole is not None:
                slope += whole[(..., *place)]
