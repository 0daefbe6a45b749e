"""One layer of one picture restyled, whole or in tiles, by region."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.engine.tiles import Span
from impasto.universal.coders import Coder
from impasto.universal.gaussian import CARRIES, Affine, Gaussian, Sums, raised
from impasto.universal.swap import swapped

#: Size of pictures must be a multiple of this, the coarsest stride.
GRID = 8
#: Rows that are decoded at a time where all features are there, at least, and in units of how far a
#: decoder sees: fresh memory costs more than the rows that strips share.
STRIP, STRIPS = 128, 8


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the picture and what its features should be like.

    Attributes:
        targets: Gaussians of one or several paintings, with their shares, which sum to 1.
        where: (1, 1, H, W) in [0, 1]; None everywhere.
        patches: Call for the features of the painting with the largest share; for swapping.
    """

    targets: tuple[tuple[Gaussian, float], ...]
    where: Tensor | None = None
    patches: Callable[[], Tensor] | None = None


@torch.no_grad()
def restyled(
    picture: Tensor,
    coder: Coder,
    regions: Sequence[Region],
    method: str,
    *,
    strength: float = 1.0,
    ridge: float = 0.0,
    limit: float | None = None,
    tile: int | None = None,
) -> Tensor:
    """The picture with the statistics of its features at one layer carried to the targets.

    Statistics are those of the whole picture also where it is decoded in tiles, which see as far
    as the networks do: the result is the same.

    Args:
        picture: (1, 3, H, W) in [0, 1].
        coder: The layer.
        regions: Where to which targets; where none is, features stay.
        method: A name in :data:`CARRIES`, or ``swap``.
        strength: 0 gives the picture, what the decoder loses added back; 1 the new statistics.
        ridge: See :func:`impasto.universal.gaussian.raised`.
        limit: Deviations of a channel of the painting that no new feature may be above its mean.
            A photo with a few hard edges in plain areas has features far beyond what any painting
            has, which decode to dotted halos.
        tile: Edge of the tiles in px, or None.

    Returns:
        (1, 3, H, W) in [0, 1].
    """
    height, width = picture.shape[-2:]
    grown = F.pad(picture, (0, -width % GRID, 0, -height % GRID), mode="replicate")
    # Of a picture that is one tile, what was measured is what is changed.
    seen_once = coder.encode(grown) if tile is None else None
    maps = [_padded(r.where, grown) for r in regions]
    makers: list[Maker]
    if method == "swap":
        makers = [partial(_swapped, region, ridge) for region in regions]
    else:
        own = _gaussians(grown, coder, maps, tile, seen_once)
        makers = [_towards(method, *pair, ridge) for pair in zip(own, regions, strict=True)]
    tops = [_top(region, limit) for region in regions]
    change = partial(_changed, list(zip(makers, tops, maps, strict=True)), strength)
    made = torch.empty_like(grown)
    for down, across in _parts(grown, tile, coder, strips=method != "swap"):
        seen = grown[..., down.first : down.last, across.first : across.last]
        if seen_once is None:
            features = coder.encode(seen)
        else:
            features = seen_once[..., down.first // coder.stride : down.last // coder.stride, :]
        decoded = coder.decode(coder.settled(change(features, down, across)))
        if strength < 1:
            decoded = decoded + (1 - strength) * (seen - coder.decode(features))
        rows, columns = (s.within(1, s.last - s.first) for s in (down, across))
        inner = decoded[..., rows, columns]
        made[..., down.start : down.stop, across.start : across.stop] = inner
    return made[..., :height, :width].clamp(0, 1)


#: From features to other features.
Maker = Callable[[Tensor], Tensor]
#: How a region's features are made, the highest of each channel, and where.
Part = tuple[Maker, Tensor | None, Tensor | None]


def _towards(method: str, photo: Gaussian, region: Region, ridge: float) -> Affine:
    """The map to a region's targets: a mixture of the maps to each."""
    carry = CARRIES.get(method)
    have = raised(photo, ridge)
    maps = [carry(have, raised(target, ridge)) for target, _ in region.targets]
    return Affine.mean(maps, [share for _, share in region.targets])


def _swapped(region: Region, ridge: float, features: Tensor) -> Tensor:
    assert region.patches is not None
    target = max(region.targets, key=lambda t: t[1])[0]
    return swapped(features, region.patches(), target, ridge)


def _top(region: Region, limit: float | None) -> Tensor | None:
    """The highest value of each channel, (1, C, 1, 1)."""
    if limit is None:
        return None
    tops = [share * g.top(limit) for g, share in region.targets]
    return torch.stack(tops).sum(0)[None, :, None, None]


def _changed(
    parts: Sequence[Part], strength: float, features: Tensor, down: Span, across: Span
) -> Tensor:
    """Each region's features where it is; what no region covers stays."""
    result: Tensor | None = None
    for make, top, where in parts:
        new = make(features)
        if top is not None:
            new = torch.minimum(new, top.to(new))
        if strength < 1:
            new = features.lerp(new, strength)
        if len(parts) == 1 and where is None:
            return new
        assert where is not None
        part = where[..., down.first : down.last, across.first : across.last]
        share = F.avg_pool2d(part, part.shape[-1] // features.shape[-1])
        result = features.clone() if result is None else result
        result += share.to(features) * (new - features)
    return features if result is None else result


def _gaussians(
    picture: Tensor,
    coder: Coder,
    maps: Sequence[Tensor | None],
    tile: int | None,
    whole: Tensor | None = None,
) -> list[Gaussian]:
    """Of the picture's features in each region; ``whole``, if they are there already."""
    sums: list[Sums] = []
    for down, across in _tiles(picture, tile, coder.reach):
        seen = picture[..., down.first : down.last, across.first : across.last]
        features = coder.encode(seen) if whole is None else whole
        rows = down.within(coder.stride, features.shape[-2])
        columns = across.within(coder.stride, features.shape[-1])
        features = features[..., rows, columns]
        sums = sums or [Sums(features.shape[1]) for _ in maps]
        for total, where in zip(sums, maps, strict=True):
            total.add(features, _reduced(where, down, across, coder.stride))
    return [total.gaussian() for total in sums]


def _reduced(where: Tensor | None, down: Span, across: Span, stride: int) -> Tensor | None:
    if where is None:
        return None
    part = where[..., down.start : down.stop, across.start : across.stop]
    return F.avg_pool2d(part, stride) if stride > 1 else part


def _parts(
    picture: Tensor, tile: int | None, coder: Coder, *, strips: bool
) -> Iterator[tuple[Span, Span]]:
    """Tiles with what encoder and decoder see; without them, strips with what the decoder sees."""
    if tile is not None:
        return _tiles(picture, tile, coder.reach + coder.back)
    height, width = picture.shape[-2:]
    whole = Span(0, width, 0, width)
    rows = max(STRIP, STRIPS * coder.back) if strips else height
    return ((down, whole) for down in _spans(height, rows, coder.back))


def _tiles(picture: Tensor, tile: int | None, halo: int) -> Iterator[tuple[Span, Span]]:
    height, width = picture.shape[-2:]
    for down in _spans(height, tile or height, halo):
        for across in _spans(width, tile or width, halo):
            yield down, across


def _spans(length: int, tile: int, halo: int) -> list[Span]:
    """Tiles along an axis, all on the grid."""
    step, margin = -(-tile // GRID) * GRID, -(-halo // GRID) * GRID
    starts = range(0, length, step)
    return [
        Span(a, min(a + step, length), max(0, a - margin), min(length, a + step + margin))
        for a in starts
    ]


def _padded(where: Tensor | None, picture: Tensor) -> Tensor | None:
    if where is None:
        return None
    right = picture.shape[-1] - where.shape[-1]
    bottom = picture.shape[-2] - where.shape[-2]
    return F.pad(where, (0, right, 0, bottom), mode="replicate")
