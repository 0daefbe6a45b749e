"""Masks as tensors: where each painting's style goes at each scale, and what is kept."""

from __future__ import annotations

from collections.abc import Callable
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
from impasto.styling.regions import divided

Size = tuple[int, int]

#: Width of the soft edge around what is kept, as a part of the picture's longest side.
KEPT_EDGE = 0.01


@dataclass(frozen=True, eq=False)
class Guides:
    """What the masks of a job say, at the size of its result.

    Attributes:
        areas: Where which paintings go, with what is to be kept taken out.
        kept: (1, 1, H, W) in [0, 1], where the photo is put back, or None.
    """

    areas: tuple[Area, ...]
    kept: Tensor | None = None

    @classmethod
    def of(cls, inputs: Inputs, spec: StylizeSpec, size: Size, device: torch.device) -> Guides:
        """The guides for a result of ``size``."""
        radius = spec.mask_soften / 100 * max(size)

        def ready(mask: FloatArray) -> FloatArray:
            return soften(_sized(mask, size), radius)

        if inputs.kept is None:
            return cls(_areas(inputs, spec, ready, None, device))
        kept = ready(inputs.kept)
        free = np.asarray(1 - kept, np.float32)
        return cls(_areas(inputs, spec, ready, free, device), _plane(edged(kept), device))

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


def _areas(
    inputs: Inputs,
    spec: StylizeSpec,
    ready: Callable[[FloatArray], FloatArray],
    free: FloatArray | None,
    device: torch.device,
) -> tuple[Area, ...]:
    """One area per region, or one for all paintings; ``free`` is what is not to be kept."""
    if not inputs.regions:
        blend = spec.style_blend or (1.0,) * len(inputs.paintings)
        shares = {i: share / sum(blend) for i, share in enumerate(blend)}
        parts = {i: _plane(p, device) for i, p in enumerate(inputs.parts) if p is not None}
        return (Area(shares, parts, None if free is None else _plane(free, device)),)
    areas = []
    wheres = divided([ready(region.where) for region in inputs.regions])
    for region, where in zip(inputs.regions, wheres, strict=True):
        index, part = region.painting, region.part
        parts = {} if part is None else {index: _plane(part, device)}
        allowed = where if free is None else where * free
        areas.append(Area({index: 1.0}, parts, _plane(allowed, device)))
    return tuple(areas)


def edged(kept: FloatArray) -> FloatArray:
    """``kept`` with a soft edge that lies outside: what is 1 stays 1, to the last pixel."""
    blurred = soften(kept, KEPT_EDGE * max(kept.shape))
    return np.maximum(kept, np.minimum(1, 2 * blurred)).astype(np.float32)


def _sized(mask: FloatArray, size: Size) -> FloatArray:
    return np.asarray(resize_map(torch.from_numpy(mask.copy())[None, None], size)[0, 0].numpy())


def _plane(mask: FloatArray, device: torch.device) -> Tensor:
    return torch.from_numpy(mask.copy())[None, None].to(device)
