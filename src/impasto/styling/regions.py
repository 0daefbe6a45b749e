"""Which painting goes where, and which part of it: masks read, checked and divided.

Numpy only, so that a bad mask is reported before torch is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from impasto.errors import InputError
from impasto.images import FloatArray, Picture
from impasto.images.files import shown
from impasto.images.masks import Region as Patch
from impasto.images.masks import is_coloured, mask_of, pair_regions, split_colours

#: Proportions of a mask and its picture may differ by this factor: a pixel of a thumbnail.
STRETCH = 1.03
#: A mask below this everywhere, or above one less this, is empty or full: half a level of 8 bits.
LEVEL = 0.5 / 255
#: Colours of this many levels (of 255) or less mean no painting.
BLACK = 24


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the photo that takes its style from a part of one painting.

    Attributes:
        painting: Its index, from 0.
        where: (H, W) in [0, 1] over the photo, at the size of its mask.
        part: (H, W) in [0, 1] over the painting; None where all of it counts.
    """

    painting: int
    where: FloatArray
    part: FloatArray | None = None


def regions_of(
    photo: Picture,
    paintings: Sequence[Picture],
    masks: Sequence[Picture],
    style_masks: Sequence[Picture],
) -> tuple[Region, ...]:
    """The regions that ``masks`` divide the photo into; none without masks.

    Args:
        photo: The picture that is divided.
        paintings: In the order of the request.
        masks: None, one per painting, or one in plain colours.
        style_masks: None, or one per painting; with one painting and a mask in colours, its
            colours.

    Raises:
        InputError: A mask is empty, has other proportions than its picture, or not the colours
            that are needed.
    """
    for mask in masks:
        check_shape(mask, photo)
    for mask, painting in zip(style_masks, paintings, strict=False):
        check_shape(mask, painting)
    if not masks:
        return ()
    if len(paintings) == 1 and len(style_masks) == 1 and is_coloured(masks[0]):
        pairs = pair_regions(split_colours(masks[0]), split_colours(style_masks[0]))
        return tuple(Region(0, where, part) for where, part in pairs)
    if len(masks) == len(paintings):
        wheres = [_white(mask) for mask in masks]
    else:
        wheres = _by_colour(masks[0], len(paintings))
    parts = parts_of(paintings, style_masks)
    regions = zip(range(len(paintings)), wheres, parts, strict=True)
    return tuple(Region(*region) for region in regions)


def parts_of(
    paintings: Sequence[Picture], style_masks: Sequence[Picture]
) -> tuple[FloatArray | None, ...]:
    """The part of each painting that counts; None for all of it."""
    return tuple(map(_white, style_masks)) or (None,) * len(paintings)


def kept(photo: Picture, mask: Picture | None) -> FloatArray | None:
    """What stays as it is in the photo, (H, W) in [0, 1].

    Raises:
        InputError: The mask keeps nothing, or all, or has other proportions than the photo.
    """
    if mask is None:
        return None
    check_shape(mask, photo)
    where = _white(mask)
    if where.min() > 1 - LEVEL:
        raise InputError(f"mask {_name(mask)} keeps the whole photo", hint="black is painted")
    return where


def divided(wheres: Sequence[FloatArray]) -> list[FloatArray]:
    """Masks of one shape, scaled where they overlap so that they sum to 1 at most."""
    total = np.maximum(np.sum(wheres, axis=0, dtype=np.float64), 1.0)
    return [(where / total).astype(np.float32) for where in wheres]


def _white(mask: Picture) -> FloatArray:
    if is_coloured(mask):
        raise InputError(
            f"mask {_name(mask)} is not grey",
            hint="paint its area white on black; one picture in colours serves several paintings",
        )
    where = mask_of(mask)
    if where.max() < LEVEL:
        raise InputError(f"mask {_name(mask)} is black everywhere", hint="white is inside")
    return where


def _by_colour(mask: Picture, count: int) -> list[FloatArray]:
    """One mask for ``count`` paintings: by colours, or, for two, white and black."""
    if not is_coloured(mask):
        if count != 2:
            raise InputError(
                f"mask {_name(mask)} is grey: that divides two paintings, not {count}",
                hint="paint each area in its own colour, or give one mask per painting",
            )
        where = _white(mask)
        if where.min() > 1 - LEVEL:
            raise InputError(f"mask {_name(mask)} is white everywhere", hint="black is inside 2")
        return [where, np.asarray(1 - where, np.float32)]
    patches = [p for p in sorted(split_colours(mask), key=_first) if max(p.colour) > BLACK]
    if len(patches) != count:
        raise InputError(
            f"mask {_name(mask)} has {len(patches)} colours for {count} paintings",
            hint="one plain colour per painting; black is left to the photo",
        )
    return [p.mask for p in patches]


def _first(patch: Patch) -> int:
    """The first pixel of a region, row by row from the top left."""
    return int(patch.mask.argmax())


def check_shape(mask: Picture, picture: Picture) -> None:
    """Refuse a mask that has other proportions than its picture.

    Raises:
        InputError: It has.
    """
    if not fits_shape(mask, (picture.height, picture.width)):
        raise InputError(
            f"mask {_name(mask)} is {mask.width} x {mask.height} px, but {_name(picture)} is "
            f"{picture.width} x {picture.height}: other proportions",
            hint="paint it over a copy of the picture",
        )


def fits_shape(mask: Picture, size: tuple[int, int]) -> bool:
    """Whether a mask has the proportions of ``size``, height and width."""
    stretch = (mask.width * size[0]) / (mask.height * size[1])
    return 1 / STRETCH <= stretch <= STRETCH


def _name(picture: Picture) -> str:
    return shown(picture.source.name)
