"""An objective is a weighted sum of terms, each a loss on some layers of one backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from impasto.backbones import Backbone
from impasto.losses import Loss, Target

#: The pseudo-layer whose "features" are the picture itself.
IMAGE = "image"


@dataclass(frozen=True)
class Term:
    """One line of an objective, before any picture was seen.

    Attributes:
        name: For reports ("content", "style", "tv").
        loss: What is compared, and how.
        layers: Where; :data:`IMAGE` is the picture itself.
        weight: Factor of the whole term.
        layer_weights: Factor of each layer; equal ones when empty, each 1 / number of layers.
    """

    name: str
    loss: Loss
    layers: tuple[str, ...]
    weight: float = 1.0
    layer_weights: tuple[float, ...] = ()

    def shares(self) -> dict[str, float]:
        """Layer to factor, without :attr:`weight`."""
        weights = self.layer_weights or (1 / len(self.layers),) * len(self.layers)
        return dict(zip(self.layers, weights, strict=True))


@dataclass(frozen=True)
class Goal:
    """What one term wants in one region of the picture.

    Attributes:
        term: The loss and where it is measured.
        targets: Per layer of the term.
        maps: Per layer, (1, 1, H, W) weights of positions; no entry means everywhere.
        share: Factor of this goal, for several regions that make up one picture.
    """

    term: Term
    targets: dict[str, Target]
    maps: dict[str, Tensor] = field(default_factory=dict)
    share: float = 1.0


def features_of(backbone: Backbone, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """The taps of ``image`` at ``layers``, among which may be :data:`IMAGE`."""
    taps = backbone.taps(image, [n for n in layers if n != IMAGE])
    return taps | {IMAGE: image} if IMAGE in layers else taps


@torch.no_grad()
def goal_for(
    term: Term,
    backbone: Backbone,
    images: Sequence[Tensor],
    blend: Sequence[float],
    maps: dict[str, Tensor] | None = None,
    share: float = 1.0,
) -> Goal:
    """The goal to resemble ``images``, mixed in the proportions ``blend`` (which sum to 1)."""
    rows = [features_of(backbone, image, term.layers) for image in images]
    targets = {}
    for layer in term.layers:
        each = [term.loss.target(row[layer]) for row in rows]
        targets[layer] = each[0] if len(each) == 1 else term.loss.blend(each, blend)
    return Goal(term, targets, maps or {}, share)


class Objective:
    """A picture in, the weighted terms out.

    Args:
        backbone: Whose features are compared.
        goals: What is wanted of them.
    """

    def __init__(self, backbone: Backbone, goals: Sequence[Goal]) -> None:
        self.backbone = backbone
        self.goals = [g for g in goals if g.term.weight != 0]
        self.layers = list(dict.fromkeys(n for g in self.goals for n in g.term.layers))

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """Weighted value of each term, by name; their sum is the objective.

        ``image`` is (B, 3, H, W) sRGB; the values are scalars.
        """
        features = features_of(self.backbone, image, self.layers)
        values: dict[str, Tensor] = {}
        for goal in self.goals:
            for layer, share in goal.term.shares().items():
                value = goal.term.loss(features[layer], goal.targets[layer], goal.maps.get(layer))
                value = value * (share * goal.share * goal.term.weight)
                name = goal.term.name
                values[name] = values[name] + value if name in values else value
        return values
