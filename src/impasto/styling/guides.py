"""Masks as tensors: where each painting's style goes at each scale, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from impasto.engine.pixels import Frame
from impasto.images import FloatArray
from impasto.images.masks import soften
from impasto.images.resize import resize_map
from impasto.specs import StylizeSpec
from impasto.styling.goals import Area
from impasto.styling.inputs import Inputs
from impasto.styling.regions import LEVEL, divided

Size = tuple[int, int]

#: Width of the soft edge around what is kept, as a part of the picture's longest side.
KEPT_EDGE = 0.01


@dataclass(frozen=True, eq=False)
class Guides:
    """What the masks of a job say, at the size of its result.

    Attributes:
        areas: Where which paintings go, with what is to be kept taken out.
        kept: (1, 1, H, W) in [0, 1], where the photo is put back: what is to be kept, and where
            no painting goes; None for nowhere.
    """

    areas: tuple[Area, ...]
    kept: Tensor | None = None

    @classmethod
    def of(cls, inputs: Inputs, spec: StylizeSpec, size: Size, device: torch.device) -> Guides:
        """The guides for a result of ``size``."""
        softness = spec.mask_soften / 100
        masks = [soften(_sized(r.where, size), softness * max(size)) for r in inputs.regions]
        wheres = divided(masks) if masks else []
        back = np.zeros(size, np.float32)
        if wheres:
            back = np.maximum(0, 1 - np.sum(wheres, axis=0, dtype=np.float32))
        if inputs.kept is not None:
            kept = _sized(inputs.kept, size)
            back = np.maximum(back, edged(kept, max(softness, KEPT_EDGE)))
            wheres = [where * (1 - kept) for where in wheres or [np.ones(size, np.float32)]]
        put_back = _plane(back, device) if back.max() > LEVEL else None
        if inputs.regions:
            return cls(_regional(inputs, wheres, device), put_back)
        area = _blended(inputs, spec, device)
        return cls((replace(area, where=_plane(wheres[0], device)) if wheres else area,), put_back)

    def areas_at(self, size: Size, frame: Frame) -> list[Area]:
        """The areas over a canvas of ``size`` within ``frame``."""
        return [
            area
            if area.where is None
            else replace(area, where=frame.pad(resize_map(area.where, size)))
            for area in self.areas
        ]

    def kept_at(self, size: Size) -> Tensor | None:
        """:attr:`kept` at another size."""
        return None if self.kept is None else resize_map(self.kept, size)


def edged(kept: FloatArray, width: float) -> FloatArray:
    """``kept`` with a soft edge that lies outside: what is 1 stays 1, to the last pixel.

    Args:
        kept: (H, W) in [0, 1].
        width: Of the edge, as a part of the longest side.
    """
    blurred = soften(kept, width * max(kept.shape))
    return np.maximum(kept, np.minimum(1, 2 * blurred)).astype(np.float32)


def _blended(inputs: Inputs, spec: StylizeSpec, device: torch.device) -> Area:
    """All paintings everywhere."""
    blend = spec.style_blend or (1.0,) * len(inputs.paintings)
    shares = {i: share / sum(blend) for i, share in enumerate(blend)}
    parts = {i: _plane(p, device) for i, p in enumerate(inputs.parts) if p is not None}
    return Area(shares, parts)


def _regional(
    inputs: Inputs, wheres: Sequence[FloatArray], device: torch.device
) -> tuple[Area, ...]:
    """One area per region."""
    areas = []
    for region, where in zip(inputs.regions, wheres, strict=True):
        index, part = region.painting, region.part
        parts = {} if part is None else {index: _plane(part, device)}
        areas.append(Area({index: 1.0}, parts, _plane(where, device)))
    return tuple(areas)


def _sized(mask: FloatArray, size: Size) -> FloatArray:
    return np.asarray(resize_map(torch.from_numpy(mask.copy())[None, None], size)[0, 0].numpy())


def _plane(mask: FloatArray, device: torch.device) -> Tensor:
    return torch.from_numpy(mask.copy())[None, None].to(device)
