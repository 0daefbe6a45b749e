"""What the picture should become at one scale: targets from the photo and the paintings."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from impasto.backbones import Backbone
from impasto.engine.objective import Goal, Term, goal_for
from impasto.images.resize import fit_size, resize
from impasto.losses import LOSSES
from impasto.recipes import TermSpec


def make_term(spec: TermSpec) -> Term:
    """The engine's term for a recipe's."""
    loss = LOSSES.get(spec.loss)(**spec.options)
    return Term(spec.name, loss, spec.layers, spec.weight, spec.layer_weights)


def goals_at(
    terms: Sequence[TermSpec],
    backbone: Backbone,
    photo: Tensor,
    paintings: Sequence[Tensor],
    blend: Sequence[float],
    longest: int,
) -> list[Goal]:
    """The goals for a picture of the size of ``photo``.

    Args:
        terms: Of the recipe; those of weight 0 are left out.
        backbone: Whose features count.
        photo: (1, 3, H, W), at the size of this scale.
        paintings: Each (1, 3, H, W), any size and aspect; their aspect is kept.
        blend: One share per painting; sums to 1.
        longest: Longest side of a painting at this scale, px.
    """
    wanted = [t for t in terms if t.weight]
    sources: dict[str, list[Tensor]] = {"content": [photo]}
    sources["image"] = sources["content"]
    if any(t.role == "style" for t in wanted):
        smallest = backbone.min_size(_style_layers(wanted))
        sources["style"] = [_fit(p, longest, smallest) for p in paintings]
    goals = []
    for spec in wanted:
        images = sources[spec.role]
        shares = blend if spec.role == "style" else (1.0,)
        goals.append(goal_for(make_term(spec), backbone, images, shares))
    return goals


def _style_layers(terms: Sequence[TermSpec]) -> list[str]:
    return [n for t in terms if t.role == "style" for n in t.layers if n != "image"]


def _fit(painting: Tensor, longest: int, smallest: int) -> Tensor:
    """The painting at ``longest`` px, but no side below what the network needs."""
    height, width = fit_size(painting.shape[-2], painting.shape[-1], longest)
    return resize(painting, (max(height, smallest), max(width, smallest)))
