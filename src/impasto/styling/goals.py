"""What the picture should become at one scale: targets from the photo and the paintings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from impasto.engine.objective import Eyes, Gatherer, Goal, Term, features_of, goal_for
from impasto.images.resize import fit_size, resize, resize_map
from impasto.losses import LOSSES
from impasto.losses.mrf import turned
from impasto.recipes import TermSpec

#: A region of a smaller share of the picture than this is nowhere.
NOWHERE = 1e-6


@dataclass(frozen=True, eq=False)
class Area:
    """Where the picture resembles which paintings.

    Attributes:
        shares: Index of a painting to its share in the blend; they sum to 1.
        parts: Index of a painting to the map (1, 1, h, w) of what counts of it, where not all.
        where: (1, 1, H, W) in [0, 1] over the picture; None everywhere.
    """

    shares: dict[int, float]
    parts: dict[int, Tensor] = field(default_factory=dict)
    where: Tensor | None = None

    def of(self, source: int | None) -> Area:
        """With one painting, by its number from 1, instead of the blend; None leaves it."""
        return self if source is None else replace(self, shares={source - 1: 1.0})


@dataclass(frozen=True, eq=False)
class Paintings:
    """The paintings, and in which sizes and turns their style is taken.

    Attributes:
        images: Each (1, 3, H, W), any size; the aspect is kept.
        factors: Longest side relative to the picture's; all count equally.
        degrees: Turns, counterclockwise; all count equally.
    """

    images: Sequence[Tensor]
    factors: tuple[float, ...] = (1.0,)
    degrees: tuple[float, ...] = (0.0,)

    def views(
        self, index: int, part: Tensor | None, longest: int, smallest: int
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """One painting in all sizes and turns, with the map of what counts.

        Args:
            index: Of the painting.
            part: (1, 1, h, w) over the painting, or None.
            longest: Longest side of the picture at this scale, px.
            smallest: Least side that the network needs, px; turns that cut off more are left out.
        """
        for factor in self.factors:
            image = _fit(self.images[index], max(1, round(longest * factor)), smallest)
            size = (image.shape[-2], image.shape[-1])
            where = None if part is None else resize_map(part, size)
            for angle in self.degrees:
                view = turned(image, angle) if angle else image
                if min(view.shape[-2:]) >= smallest:
                    yield view, _turned_map(where, angle)


def make_term(spec: TermSpec) -> Term:
    """The engine's term for a recipe's."""
    loss = LOSSES.get(spec.loss)(**spec.options)
    return Term(spec.name, loss, spec.layers, spec.weight, spec.layer_weights)


def goals_at(
    terms: Sequence[TermSpec],
    backbone: Eyes,
    photo: Tensor,
    paintings: Paintings,
    areas: Sequence[Area],
    longest: int,
) -> list[Goal]:
    """The goals for a picture of the size of ``photo``.

    A goal of an area counts by the area's share of the picture, so that a pixel is drawn to the
    style as strongly as without areas.

    Args:
        terms: Of the recipe; those of weight 0 are left out.
        backbone: Whose features count.
        photo: (1, 3, H, W), at the size of this scale.
        paintings: Where the style comes from.
        areas: Where it goes; their maps have the size of ``photo``.
        longest: Longest side of the picture without its margin, px.
    """
    wanted = [t for t in terms if t.weight]
    style = [t for t in wanted if t.role == "style"]
    smallest = backbone.min_size(n for t in style for n in t.layers if n != "image")
    shapes = _shapes(backbone, photo, [n for t in style for n in t.layers], areas)
    goals = []
    for spec in wanted:
        term = make_term(spec)
        if spec.role != "style":
            goals.append(goal_for(term, backbone, [photo], (1.0,)))
            continue
        for area in areas:
            share = 1.0 if area.where is None else float(area.where.mean())
            if share > NOWHERE:
                maps = _maps(area.where, term.layers, shapes)
                parts = _views(paintings, area.of(spec.source), longest, smallest)
                images, blend, weights = zip(*parts, strict=True)
                goals.append(goal_for(term, backbone, images, blend, maps, share, weights))
    return goals


def _views(
    paintings: Paintings, area: Area, longest: int, smallest: int
) -> Iterator[tuple[Tensor, float, Tensor | None]]:
    """Pictures to take the style from, their shares, which sum to 1, and their maps."""
    for index, share in area.shares.items():
        views = list(paintings.views(index, area.parts.get(index), longest, smallest))
        for view, where in views:
            yield view, share / len(views), where


@torch.no_grad()
def _shapes(
    backbone: Eyes, photo: Tensor, layers: Iterable[str], areas: Sequence[Area]
) -> dict[str, tuple[int, int]]:
    """Height and width of each layer, where any area has a map."""
    if all(area.where is None for area in areas):
        return {}
    names = list(dict.fromkeys(layers))
    if isinstance(backbone, Gatherer):
        return backbone.sizes((photo.shape[-2], photo.shape[-1]), names)
    features = features_of(backbone, photo, names)
    return {name: (f.shape[-2], f.shape[-1]) for name, f in features.items()}


def _maps(
    where: Tensor | None, layers: Iterable[str], shapes: dict[str, tuple[int, int]]
) -> dict[str, Tensor]:
    return {} if where is None else {n: resize_map(where, shapes[n]) for n in layers}


def _turned_map(where: Tensor | None, angle: float) -> Tensor | None:
    return where if where is None or not angle else turned(where, angle)


def _fit(painting: Tensor, longest: int, smallest: int) -> Tensor:
    """The painting at ``longest`` px, but no side below what the network needs."""
    height, width = fit_size(painting.shape[-2], painting.shape[-1], longest)
    return resize(painting, (max(height, smallest), max(width, smallest)))
