"""Colours of a job: of the paintings before it begins, of the picture when it is shown."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from impasto.images.colour import clip_gamut, keep_colours, match_histogram, match_mean_cov
from impasto.images.resize import resize
from impasto.specs import StylizeSpec

#: Colour modes that are done with once the paintings have been recoloured.
_OF_PAINTINGS = ("style", "match", "histogram")


def recoloured(paintings: Sequence[Tensor], photo: Tensor, spec: StylizeSpec) -> list[Tensor]:
    """The paintings in the colours that their style is taken in.

    Args:
        paintings: Each (1, 3, H, W) sRGB.
        photo: (1, 3, H, W) sRGB.
        spec: ``colors``, ``color_space`` and ``palette_from`` count.
    """
    if spec.palette_from is not None:
        model = paintings[spec.palette_from - 1]
        return [p if p is model else clip_gamut(match_mean_cov(p, model)) for p in paintings]
    if spec.colors in ("match", "content"):
        # For content, so that the light of the result has the contrast of the photo's.
        return [clip_gamut(match_mean_cov(p, photo)) for p in paintings]
    if spec.colors == "histogram":
        return [match_histogram(p, photo, spec.color_space) for p in paintings]
    return list(paintings)


def needs_photo(spec: StylizeSpec) -> bool:
    """Whether results are mixed with the photo, masks aside."""
    return spec.colors not in _OF_PAINTINGS or spec.alpha != 1


def finished(picture: Tensor, photo: Tensor, spec: StylizeSpec, kept: Tensor | None) -> Tensor:
    """What is shown of an optimised picture.

    Args:
        picture: (1, 3, H, W) sRGB in [0, 1].
        photo: (1, 3, H', W'), brought to the same size.
        spec: ``colors``, ``color_space`` and ``alpha`` count.
        kept: (1, 1, H, W) in [0, 1], where the photo stays, or None.
    """
    if not needs_photo(spec) and kept is None:
        return picture
    photo = resize(photo, (picture.shape[-2], picture.shape[-1])).clamp(0, 1)
    if spec.colors == "content":
        picture = keep_colours(picture, photo, spec.color_space)
    elif spec.colors == "recolor":
        picture = keep_colours(photo, picture, spec.color_space)
    if spec.alpha < 1:
        picture = photo.lerp(picture, spec.alpha)
    return picture if kept is None else picture.lerp(photo, kept.to(picture))
