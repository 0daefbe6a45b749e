"""One layer of one picture restyled, whole or in tiles, by region."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.engine.tiles import Span
from impasto.universal.coders import Coder
from impasto.universal.gaussian import CARRIES, Affine, Gaussian, Sums, raised
from impasto.universal.swap import swapped

#: Size of pictures must be a multiple of this, the coarsest stride.
GRID = 8
#: Rows that are decoded at a time, where all features are there: fresh memory costs more than the
#: rows that strips share.
STRIP = 128


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
        tile: Edge of the tiles in px, or None.

    Returns:
        (1, 3, H, W) in [0, 1].
    """
    height, width = picture.shape[-2:]
    grown = F.pad(picture, (0, -width % GRID, 0, -height % GRID), mode="replicate")
    # Of a picture that is one tile, what was measured is what is changed.
    seen_once = coder.encode(grown) if tile is None else None
    maps = [_padded(r.where, grown) for r in regions]
    if method == "swap":
        change = _swapping(regions, maps, strength, ridge)
    else:
        own = _gaussians(grown, coder, maps, tile, seen_once)
        carried = [
            _towards(method, photo, region, ridge).towards_identity(strength)
            for photo, region in zip(own, regions, strict=True)
        ]
        change = _carrying(carried, maps)
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


#: From features and the tile they are of to other features.
Change = Callable[[Tensor, Span, Span], Tensor]


def _towards(method: str, photo: Gaussian, region: Region, ridge: float) -> Affine:
    """The map to a region's targets: a mixture of the maps to each."""
    carry = CARRIES.get(method)
    have = raised(photo, ridge)
    maps = [carry(have, raised(target, ridge)) for target, _ in region.targets]
    return Affine.mean(maps, [share for _, share in region.targets])


def _carrying(carried: Sequence[Affine], maps: Sequence[Tensor | None]) -> Change:
    def change(features: Tensor, down: Span, across: Span) -> Tensor:
        return _composed(features, [m(features) for m in carried], maps, down, across)

    return change


def _swapping(
    regions: Sequence[Region], maps: Sequence[Tensor | None], strength: float, ridge: float
) -> Change:
    def change(features: Tensor, down: Span, across: Span) -> Tensor:
        made = []
        for region in regions:
            assert region.patches is not None
            target = max(region.targets, key=lambda t: t[1])[0]
            new = swapped(features, region.patches(), target, ridge)
            made.append(features.lerp(new, strength))
        return _composed(features, made, maps, down, across)

    return change


def _composed(
    features: Tensor,
    made: Sequence[Tensor],
    maps: Sequence[Tensor | None],
    down: Span,
    across: Span,
) -> Tensor:
    """Each region's features where it is; what no region covers stays."""
    if len(made) == 1 and maps[0] is None:
        return made[0]
    result = features.clone()
    for new, where in zip(made, maps, strict=True):
        assert where is not None
        part = where[..., down.first : down.last, across.first : across.last]
        share = F.avg_pool2d(part, part.shape[-1] // features.shape[-1])
        result += share.to(features) * (new - features)
    return result


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
    return ((down, whole) for down in _spans(height, STRIP if strips else height, coder.back))


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
