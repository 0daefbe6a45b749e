"""Texture transfer: the photo laid out with patches of a painting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.filters.base import FILTERS, ReferenceFilter, param, pixels, seed
from impasto.filters.kernels import gaussian
from impasto.filters.seams import cut_masks
from impasto.images.resize import resize
from impasto.images.spaces import luma

Array = npt.NDArray[np.float32]

_CELLS, _OVERLAP = 12, 3  # a block is 12 x 12 cells, of which 3 lie over its neighbour
_GUIDE = 4  # a block's tones are compared on a 4 x 4 grid
_POOL = 8  # candidates that are drawn, over those that one round of blocks may choose from
_TOLERANCE = 0.1  # how much worse than the best a patch may be and still be taken


@FILTERS.register("quilting")
@dataclass(frozen=True)
class Quilting(ReferenceFilter):
    """The photo in patches of a painting, cut along invisible seams.

    Block by block, the patch of the painting is taken that fits both what is laid already (on
    the overlap) and the photo's tones there; the seam is the path of least difference through
    the overlap. Later passes use smaller blocks and also fit what the pass before has made.

    Deviations: a patch is the best of a random sample, compared on 12 x 12 cells; blocks that do
    not touch are laid together (same order of dependence as row by row); tones of the photo are
    matched to those of the painting by rank.
    """

    name: ClassVar[str] = "quilting"
    title: ClassVar[str] = "Texture transfer (image quilting)"
    source: ClassVar[str] = "Efros, Freeman 2001, Image quilting for texture synthesis and transfer"

    block: float = param(30.0, 12.0, 160.0, "side of a patch in the first pass, px at 1024")
    passes: int = param(2, 1, 4, "passes, each with patches two thirds as large")
    fidelity: float = param(0.85, 0.0, 1.0, "weight of the photo's tones against good seams")
    search: int = param(600, 50, 5000, "patches of the painting that are tried for a block")
    seed: int = seed()

    def transfer(self, image: Tensor, reference: Tensor) -> Tensor:
        """Lay the passes."""
        generator = np.random.default_rng(self.seed)
        texture = _sized(reference, max(image.shape[-2:]))
        source = texture[0].permute(1, 2, 0).contiguous().numpy()
        tones = _tones(texture)
        wanted = _ranked(_tones(image), tones)
        result = np.zeros((*wanted.shape, 3), np.float32)
        for index in range(self.passes):
            block = pixels(self.block, image) * (2.0 / 3.0) ** index
            patches = _Patches.sampled(
                source, tones, max(1, round(block / _CELLS)), _POOL * self.search, generator
            )
            # As in the paper, later passes trust more and more what is there already.
            trust = 0.7 * index / max(1, self.passes - 1)
            weights = _Weights(1.0 - self.fidelity + 0.1, trust, 3.0 * self.fidelity)
            result = _laid(patches, wanted, result, weights, generator)
        return torch.from_numpy(result).permute(2, 0, 1).unsqueeze(0).to(image.device)


def quilted(
    exemplar: Tensor,
    size: tuple[int, int],
    block: float | None = None,
    *,
    search: int = 2000,
    seed: int = 0,
    periodic: bool = False,
) -> Tensor:
    """Texture synthesis by image quilting (the paper's first half), with no photo to follow.

    Args:
        exemplar: ``(1, 3, h, w)`` in [0, 1]; enlarged where a side is below 12 px.
        size: Height and width of the result.
        block: Side of a patch, px, within 12 and the exemplar's sides; without, a quarter of the
            shorter.
        search: Patches that are tried for a block.
        seed: Of the choice.
        periodic: Lay the patches round a torus, so that copies of the result meet without seams
            (no part of the paper).

    Returns:
        ``(1, 3, *size)`` in [0, 1].
    """
    height, width = exemplar.shape[-2:]
    if min(height, width) < _CELLS:
        exemplar = resize(exemplar, (max(height, _CELLS), max(width, _CELLS))).clamp(0.0, 1.0)
    shorter = min(exemplar.shape[-2:])
    shorter = min(shorter, *size) if periodic else shorter
    factor = min(max(1, round((block or shorter / 4) / _CELLS)), shorter // _CELLS)
    generator = np.random.default_rng(seed)
    source = exemplar[0].permute(1, 2, 0).contiguous().cpu().numpy()
    tones = np.zeros(source.shape[:2], np.float32)
    patches = _Patches.sampled(source, tones, factor, _POOL * search, generator)
    nothing = np.zeros((*size, 3), np.float32)
    result = _laid(
        patches, nothing[..., 0], nothing, _Weights(1.0, 0.0, 0.0), generator, periodic=periodic
    )
    return torch.from_numpy(result).permute(2, 0, 1).unsqueeze(0).to(exemplar.device)


@dataclass(frozen=True)
class _Weights:
    """Of the three errors: on the overlap, against the pass before, against the photo's tones."""

    seam: float
    before: float
    tone: float


@dataclass(frozen=True)
class _Patches:
    """Candidates, in full and as averages.

    Attributes:
        source: The painting, ``(H, W, 3)``.
        corners: Upper left pixels, ``(K, 2)``.
        cells: Mean colours of the 12 x 12 cells, ``(K, 12, 12, 3)``.
        guides: Mean tones on a 4 x 4 grid, ``(K, 16)``.
        factor: Pixels a cell is wide.
    """

    source: Array
    corners: npt.NDArray[np.int64]
    cells: Array
    guides: Array
    factor: int

    @classmethod
    def sampled(
        cls, source: Array, tones: Array, factor: int, count: int, generator: np.random.Generator
    ) -> _Patches:
        """Draw ``count`` places at random."""
        room = np.array(tones.shape) - _CELLS * factor + 1
        corners = generator.integers(0, room, (count, 2))
        stack = np.concatenate([source, tones[..., None]], 2)
        steps = np.arange(_CELLS) * factor
        y = corners[:, 0, None, None] + steps[:, None]
        x = corners[:, 1, None, None] + steps
        cells = _means(stack, factor)[y, x]  # (K, 12, 12, 4)
        guides = _grid(cells[..., 3]).reshape(count, -1)
        return cls(source, corners, np.ascontiguousarray(cells[..., :3]), guides, factor)

    def some(self, start: int) -> _Patches:
        """An eighth of the candidates, from ``start`` on: changing choices do not repeat."""
        part = slice(start, start + len(self.corners) // _POOL)
        return _Patches(
            self.source, self.corners[part], self.cells[part], self.guides[part], self.factor
        )

    def pixels(self, chosen: npt.NDArray[np.int64]) -> Array:
        """The patches ``chosen`` in full, ``(n, side, side, 3)``."""
        steps = np.arange(_CELLS * self.factor)
        corners = self.corners[chosen]
        y, x = corners[:, 0, None, None] + steps[:, None], corners[:, 1, None, None] + steps
        full: Array = self.source[y, x]
        return full


def _means(image: Array, size: int) -> Array:
    """Means over the ``size`` x ``size`` pixels that begin at each pixel, where they fit."""
    planes = torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0)
    means = F.avg_pool2d(F.avg_pool2d(planes, (1, size), stride=1), (size, 1), stride=1)
    result: Array = means[0].permute(1, 2, 0).contiguous().numpy()
    return result


def _pooled(blocks: Array, factor: int) -> Array:
    """Cell means of ``(N, side, side, ...)``; slices add up faster than a mean over two axes."""
    total = blocks[:, ::factor, ::factor].copy()
    for offset in range(1, factor * factor):
        total += blocks[:, offset // factor :: factor, offset % factor :: factor]
    mean: Array = total / np.float32(factor**2)
    return mean


def _grid(cells: Array) -> Array:
    """Means of ``(..., 12, 12)`` on a 4 x 4 grid."""
    side = _CELLS // _GUIDE
    mean: Array = cells.reshape(*cells.shape[:-2], _GUIDE, side, _GUIDE, side).mean((-3, -1))
    return mean


def _laid(
    patches: _Patches,
    wanted: Array,
    before: Array,
    weights: _Weights,
    generator: np.random.Generator,
    *,
    periodic: bool = False,
) -> Array:
    """One pass over the picture.

    Args:
        patches: Candidates.
        wanted: Tones, ``(H, W)``.
        before: The pass before, ``(H, W, 3)``.
        weights: Of the errors.
        generator: Chooses among patches that are about equally good.
        periodic: Whether the picture goes on at its opposite edges.

    Returns:
        ``(H, W, 3)``.
    """
    height, width = wanted.shape
    side, overlap = _CELLS * patches.factor, _OVERLAP * patches.factor
    tops, lefts = (_starts(size, side, overlap, periodic=periodic) for size in wanted.shape)
    rows, columns = len(tops), len(lefts)
    margins = ((0, 0), (0, 0))
    if not periodic:
        margins = ((0, int(tops[-1]) + side - height), (0, int(lefts[-1]) + side - width))
    tones = np.pad(wanted, margins, mode="edge")
    canvas = np.pad(before, (*margins, (0, 0)), mode="edge")
    for wave in range(2 * (rows - 1) + columns):
        # Blocks (i, j) with j + 2 i alike do not touch, and all they lie over is laid.
        row = np.arange(rows)[
            (wave - 2 * np.arange(rows) >= 0) & (wave - 2 * np.arange(rows) < columns)
        ]
        column = wave - 2 * row
        steps = np.arange(side)
        place = (
            (tops[row][:, None, None] + steps[:, None]) % canvas.shape[0],
            (lefts[column][:, None, None] + steps) % canvas.shape[1],
        )
        sides = _Sides(row > 0, column > 0)
        if periodic:
            sides = _Sides(row > 0, column > 0, row == rows - 1, column == columns - 1)
        there = canvas[place]
        some = patches.some(int(generator.integers(0, len(patches.corners) * (_POOL - 1) // _POOL)))
        errors = _errors(some, there, tones[place], weights, sides)
        good = errors <= (1.0 + _TOLERANCE) * errors.min(1, keepdims=True) + 1e-9
        chosen = (good * (0.5 + generator.random(errors.shape, np.float32))).argmax(1)
        fresh = some.pixels(chosen)
        mask = sides.mask(((there - fresh) ** 2).sum(-1), overlap)[..., None]
        canvas[place] = there + mask * (fresh - there)
    return canvas[:height, :width]


def _starts(size: int, side: int, overlap: int, *, periodic: bool) -> npt.NDArray[np.int64]:
    """Where the blocks of an axis begin; periodic ones lie evenly, the last over the first."""
    stride = side - overlap
    if not periodic:
        return np.arange(max(1, -(-(size - overlap) // stride))) * stride
    count = -(-size // stride)
    return np.arange(count) * size // count


@dataclass(frozen=True)
class _Sides:
    """On which sides each of N blocks has neighbours, each ``(N,)``."""

    above: npt.NDArray[np.bool_]
    left: npt.NDArray[np.bool_]
    below: npt.NDArray[np.bool_] | None = None
    right: npt.NDArray[np.bool_] | None = None

    def strips(self) -> list[tuple[npt.NDArray[np.bool_], tuple[slice, ...]]]:
        """The flags of every side, and the cells that lie over the neighbour there."""
        first, last, every = slice(None, _OVERLAP), slice(-_OVERLAP, None), slice(None)
        found = [(self.above, (every, first)), (self.left, (every, every, first))]
        if self.below is not None and self.right is not None:
            found += [(self.below, (every, last)), (self.right, (every, every, last))]
        return found

    def mask(self, difference: Array, overlap: int) -> Array:
        """Where the new blocks show, ``(N, side, side)`` in [0, 1]."""
        mask = cut_masks(difference, overlap, self.above, self.left)
        if self.below is None or self.right is None:
            return mask
        turned = cut_masks(difference[:, ::-1, ::-1], overlap, self.below, self.right)
        both: Array = mask * turned[:, ::-1, ::-1]
        return both


def _errors(
    patches: _Patches,
    there: Array,
    tones: Array,
    weights: _Weights,
    sides: _Sides,
) -> Array:
    """Error of each candidate at each block, ``(n, K)``; mean squares, weighted."""
    count, factor = len(there), patches.factor
    cells = _pooled(there, factor)
    guide = _grid(_pooled(tones, factor))
    total = weights.tone * _distances(guide.reshape(count, -1), patches.guides)
    for present, strip in sides.strips():
        if present.any():
            here, candidates = cells[strip], patches.cells[strip]
            seam = _distances(here.reshape(count, -1), candidates.reshape(len(candidates), -1))
            total += weights.seam * present[:, None] * seam
    if weights.before > 0:
        every = patches.cells.reshape(len(patches.cells), -1)
        total += weights.before * _distances(cells.reshape(count, -1), every)
    return total


def _distances(points: Array, others: Array) -> Array:
    """Mean squared differences between the rows of two matrices."""
    squares = (points**2).sum(1)[:, None] + (others**2).sum(1) - 2.0 * points @ others.T
    result: Array = np.maximum(squares, 0.0) / points.shape[1]
    return result


def _sized(reference: Tensor, side: int) -> Tensor:
    """The painting with its longest side like the photo's, and no side shorter than a block."""
    height, width = reference.shape[-2:]
    scale = max(side / max(height, width), 2.0 * _CELLS / min(height, width))
    size = (round(height * scale), round(width * scale))
    resized = F.interpolate(
        reference.cpu(), size=size, mode="bicubic", align_corners=False, antialias=True
    )
    return resized.clamp(0.0, 1.0)


def _tones(image: Tensor) -> Array:
    """Luma, slightly blurred, ``(H, W)``."""
    tones: Array = gaussian(luma(image.cpu()), pixels(1.5, image))[0, 0].numpy()
    return tones


def _ranked(tones: Array, target: Array) -> Array:
    """The photo's tones moved to the painting's distribution, rank by rank."""
    levels = np.linspace(0.0, 1.0, 256)
    # Strictly rising, so that the map is defined on flat pictures as well.
    have = np.maximum.accumulate(np.quantile(tones[::3, ::3], levels)) + 1e-6 * levels
    return np.interp(tones, have, np.quantile(target[::3, ::3], levels)).astype(np.float32)
