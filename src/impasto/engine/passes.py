"""Two passes over the tiles of a network: sums and maps in the first, gradients in the second.

The first pass runs the sections one after the other, each over the map at the cut before it. A
tile adds to the sums that losses want, and puts its part into the map at the next cut and into
the layers that are wanted whole. The second pass goes backwards: it runs each tile again and
pushes the gradients of its sums and maps back to what it saw. What lies between the last layer
that a loss reads and the cut it need not run again: of that the first pass keeps the way back, as
far as there is room for it. Nothing is approximated.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from impasto.engine.objective import IMAGE
from impasto.engine.store import IN_MEMORY, Store
from impasto.engine.summed import Part
from impasto.engine.tiles import Span, Tiling
from impasto.engine.way_back import Walker, WayBack
from impasto.losses import Target

#: Bytes that the ways back of an evaluation may take, in the store.
ROOM = 2**33

Place = tuple[Span, Span]


@dataclass
class Tile:
    """A tile that was run: what it saw, and its own positions of the layers.

    Attributes:
        section: Which it is a tile of.
        place: Where it lies.
        seen: What it saw.
        features: Its own positions by layer, those of the cut among them.
        last: All that it has of the layer where its section can pause, if it did.
    """

    section: Tiling
    place: Place
    seen: Tensor
    features: dict[str, Tensor]
    last: Tensor | None = None

    @classmethod
    def run(cls, section: Tiling, x: Tensor, place: Place) -> Tile:
        """Run the tile at ``place`` of the map ``x``; tracked where gradients are enabled."""
        seen = cls._seen(x, place)
        return cls(section, place, seen, section.features(seen, *place))

    @classmethod
    def begin(cls, section: Tiling, x: Tensor, place: Place) -> Tile:
        """As :meth:`run`, down to where the section can pause."""
        assert section.pause is not None
        seen, mine = cls._seen(x, place), [n for n in section.layers if n != IMAGE]
        taps = section.taps(seen, [*mine, section.pause])
        features = {n: section.own(n, taps[n], *place) for n in mine}
        return cls(section, place, seen, features, taps[section.pause])

    @staticmethod
    def _seen(x: Tensor, place: Place) -> Tensor:
        down, across = place
        return x[..., down.seen, across.seen].detach().requires_grad_(torch.is_grad_enabled())

    def go_on(self, walker: Walker) -> WayBack:
        """Run the rest of a tile that was begun, down to the cut.

        Args:
            walker: The same for all tiles of an evaluation.
        """
        section, cut = self.section, self.section.cut
        assert cut is not None
        assert self.last is not None

        def rest(x: Tensor) -> Tensor:
            taps = section.taps(x, [cut], section.pause)[cut]
            return section.own(cut, taps, *self.place)

        spans = [(s.start - s.first, s.stop - s.first, s.last - s.first) for s in self.place]
        key = cut, *spans, *(s.stop == s.last for s in self.place)
        self.features[cut], way = walker.through(rest, self.last, key)
        return way

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
    """A section at work.

    Attributes:
        section: Which.
        x: The map that it reads.
        ways: Of some tiles, where they lie in the map at the cut, and the way back from there.
    """

    section: Tiling
    x: Tensor
    ways: dict[Place, tuple[tuple[slice, slice], WayBack]] = field(default_factory=dict)

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
    room: int = 0,
) -> list[Level]:
    """Run every tile of every section once, shallow to deep.

    Args:
        sections: Of the network.
        image: (B, 3, H, W).
        store: Where the maps at the cuts are.
        visit: Called with each tile.
        room: Bytes that the ways back of tiles may take.
    """
    levels: list[Level] = []
    walker = Walker(sections[0].backbone, store)
    x = image.detach()
    for section in sections:
        level, canvas = Level(section, x), Canvas(store)
        for place in level.places():
            way: WayBack | None = None
            if room and section.pause:
                tile = Tile.begin(section, x, place)
                way = tile.go_on(walker)
            else:
                tile = Tile.run(section, x, place)
            visit(tile)
            if section.cut is not None:
                where = tile.overall(section.cut)
                canvas.put(section.cut, tile.features[section.cut], *where)
                if way is not None and way.nbytes <= room:
                    level.ways[place] = where, way
                    room -= way.nbytes
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
        room: Bytes that the ways back of tiles may take.
    """

    sections: tuple[Tiling, ...]
    parts: tuple[Part, ...]
    maps: tuple[str, ...] = ()
    store: Store = IN_MEMORY
    room: int = ROOM

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
        room = passes.room if ctx.needs_input_grad[0] else 0
        ctx.levels = sweep(passes.sections, image, passes.store, first, room)
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
        back = level.ways.pop(place, None)
        with torch.enable_grad():
            tile = (Tile.begin if back else Tile.run)(section, x, place)
        ends = [end for i, part in passes.at(section) for end in tile.ends(part, of_sums[i])]
        pulls = [(n, of_maps[n]) for n in passes.maps if n in section.layers]
        if section.cut is not None and not back:
            pulls.append((section.cut, below))
        ends += [
            (tile.features[n], None if slope is None else slope[(..., *tile.overall(n))])
            for n, slope in pulls
        ]
        if back and below is not None and tile.last is not None:
            where, way = back
            ends.append((tile.last, way(below[(..., *where)])))
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
