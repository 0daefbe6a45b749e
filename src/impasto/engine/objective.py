"""An objective is a weighted sum of terms, each a loss on some layers of one backbone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from impasto.errors import UsageError
from impasto.images.resize import resize_map
from impasto.losses import Critic, JointLoss, Loss, Target
from impasto.losses.hypercolumns import finest

#: The pseudo-layer whose "features" are the picture itself.
IMAGE = "image"
#: Key of the one target of a loss that sees all its layers together.
JOINT = "joint"


@dataclass(frozen=True)
class Term:
    """One line of an objective, before any picture was seen.

    Attributes:
        name: For reports ("content", "style", "tv").
        loss: What is compared, and how.
        layers: Where; :data:`IMAGE` is the picture itself.
        weight: Factor of the whole term.
        layer_weights: Factor of each layer; equal ones when empty, each 1 / number of layers.

    Raises:
        UsageError: There are layer weights for a loss that sees all layers together.
    """

    name: str
    loss: Loss | JointLoss
    layers: tuple[str, ...]
    weight: float = 1.0
    layer_weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        if self.layer_weights and isinstance(self.loss, JointLoss):
            raise UsageError(
                f"term {self.name}: {type(self.loss).__name__} sees its layers together",
                hint="leave out the layer weights",
            )

    def shares(self) -> dict[str, float]:
        """Layer to factor, without :attr:`weight`."""
        weights = self.layer_weights or (1 / len(self.layers),) * len(self.layers)
        return dict(zip(self.layers, weights, strict=True))


@dataclass(frozen=True)
class Goal:
    """What one term wants in one region of the picture.

    Attributes:
        term: The loss and where it is measured.
        targets: Per layer of the term, or one at :data:`JOINT`.
        maps: Per layer, (1, 1, H, W) weights of positions; no entry means everywhere.
        share: Factor of this goal, for several regions that make up one picture.
    """

    term: Term
    targets: dict[str, Target]
    maps: dict[str, Tensor] = field(default_factory=dict)
    share: float = 1.0


class Eyes(Protocol):
    """What features are asked of: a backbone, or something that sees as one does."""

    def taps(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """As :meth:`impasto.backbones.Backbone.taps`."""

    def min_size(self, layers: Iterable[str]) -> int:
        """As :meth:`impasto.backbones.Backbone.min_size`."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Eyes that have looked at ``picture`` already; what else they are asked for, they look at."""

    eyes: Eyes
    picture: Tensor
    found: dict[str, Tensor]

    def taps(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """As :meth:`impasto.backbones.Backbone.taps`."""
        names = list(layers)
        if x is self.picture and all(n in self.found for n in names):
            return {n: self.found[n] for n in names}
        return self.eyes.taps(x, names)

    def min_size(self, layers: Iterable[str]) -> int:
        """As :meth:`impasto.backbones.Backbone.min_size`."""
        return self.eyes.min_size(layers)


def looked(eyes: Eyes, pictures: Sequence[Tensor], layers: Sequence[str]) -> list[Seen]:
    """Look at pictures of one size, each (1, 3, H, W), all in one pass."""
    taps = eyes.taps(torch.cat(list(pictures)), [n for n in layers if n != IMAGE])
    parts = {name: torch.split(features, 1) for name, features in taps.items()}
    return [
        Seen(eyes, picture, {name: each[i] for name, each in parts.items()})
        for i, picture in enumerate(pictures)
    ]


@runtime_checkable
class Gatherer(Protocol):
    """Eyes that never see a picture's features whole and make targets themselves."""

    def sizes(self, size: tuple[int, int], layers: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Height and width of ``layers`` for a picture of ``size``."""

    def targets(self, term: Term, image: Tensor, weight: Tensor | None) -> dict[str, Target]:
        """As :func:`whole_targets`."""


def features_of(backbone: Eyes, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """The taps of ``image`` at ``layers``, among which may be :data:`IMAGE`."""
    taps = backbone.taps(image, [n for n in layers if n != IMAGE])
    return taps | {IMAGE: image} if IMAGE in layers else taps


@torch.no_grad()
def goal_for(
    term: Term,
    backbone: Eyes,
    images: Sequence[Tensor],
    blend: Sequence[float],
    maps: dict[str, Tensor] | None = None,
    share: float = 1.0,
    weights: Sequence[Tensor | None] = (),
) -> Goal:
    """The goal to resemble ``images``, mixed in the proportions ``blend`` (which sum to 1).

    Args:
        term: What is compared, and where.
        backbone: Whose features count.
        images: Each (1, 3, H, W).
        blend: One share per image.
        maps: Where in the picture the goal holds; see :class:`Goal`.
        share: See :class:`Goal`.
        weights: Per image (1, 1, H, W), how much each of its positions counts, or None; empty
            where all count.
    """
    need = backbone.min_size(n for n in term.layers if n != IMAGE)
    found: dict[str, list[Target]] = {}
    shares: list[float] = []
    rows = zip(images, blend, weights or [None] * len(images), strict=True)
    for image, part, weight in rows:
        views = _views(term.loss, image, weight, need)
        for view, where in views:
            made = (
                backbone.targets(term, view, where)
                if isinstance(backbone, Gatherer)
                else whole_targets(term, backbone, view, where)
            )
            for key, target in made.items():
                found.setdefault(key, []).append(target)
        shares += [part / len(views)] * len(views)
    targets = {key: _blended(term.loss, each, shares) for key, each in found.items()}
    return Goal(term, targets, maps or {}, share)


def _views(
    loss: Loss | JointLoss, image: Tensor, weight: Tensor | None, need: int
) -> list[tuple[Tensor, Tensor | None]]:
    """The pictures that ``loss`` makes of one, with their weights, as far as large enough."""
    views = loss.views(image)
    seen = [None] * len(views) if weight is None else loss.views(weight)
    large = [(v, w) for v, w in zip(views, seen, strict=True) if min(v.shape[-2:]) >= need]
    return large or [(image, weight)]


def whole_targets(
    term: Term, backbone: Eyes, image: Tensor, weight: Tensor | None
) -> dict[str, Target]:
    """The targets of one picture, per layer or one at :data:`JOINT`."""
    features = features_of(backbone, image, term.layers)

    def at(layer: Tensor) -> Tensor | None:
        return None if weight is None else resize_map(weight, (layer.shape[-2], layer.shape[-1]))

    if isinstance(term.loss, JointLoss):
        inputs = tuple(features[n] for n in term.layers)
        return {JOINT: term.loss.target(inputs, at(inputs[finest(inputs)]))}
    return {n: term.loss.target(features[n], at(features[n])) for n in term.layers}


def _blended(loss: Loss | JointLoss, targets: list[Target], shares: list[float]) -> Target:
    return targets[0] if len(targets) == 1 else loss.blend(targets, shares)


class _UnitGradient(torch.autograd.Function):
    """Identity; the gradient on its way back is brought to a given L1 norm."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, strength: float) -> Tensor:
        """``features`` as they are."""
        ctx.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """``strength g / sum |g|``; 0 where there is no gradient."""
        size = grads[0].abs().sum()
        tiny = torch.finfo(size.dtype).tiny
        return grads[0] * (ctx.strength / size.clamp_min(tiny)), None


def unit_gradient(features: Tensor, strength: float) -> Tensor:
    """``features``, with a gradient of L1 norm ``strength`` instead of what comes back."""
    out: Tensor = _UnitGradient.apply(features, strength)  # type: ignore[no-untyped-call]
    return out


class Objective:
    """A picture in, the weighted terms out.

    The same picture gives the same values, until :meth:`begin` announces a step: then losses that
    draw at random draw anew, as a function of their seed and the step, and critics learn once from
    the next picture. Optimisers that need an objective to stand still never call it. Only what
    critics have learnt is state (:meth:`state`); draws can be repeated from the step's number.

    Args:
        backbone: Whose features are compared.
        goals: What is wanted of them.
        normalize_gradients: Bring the gradient of each goal at each of its layers to an L1 norm
            that is the goal's weight there. Values are not changed, so a gradient then is not
            that of the values. Goals on the picture itself are left as they are. (As
            ``-normalize_gradients`` of jcjohnson's neural-style; ports that scale the value of
            the loss instead square the weight.)
    """

    def __init__(
        self, backbone: Eyes, goals: Sequence[Goal], *, normalize_gradients: bool = False
    ) -> None:
        self.backbone = backbone
        self.normalize_gradients = normalize_gradients
        self.goals = [g for g in goals if g.term.weight != 0]
        self.layers = list(dict.fromkeys(n for g in self.goals for n in g.term.layers))
        self.learns = any(isinstance(g.term.loss, Critic) for g in self.goals)
        self._step: int | None = None
        self._to_learn = False

    def begin(self, step: int) -> None:
        """Redraw and learn for ``step``, counted from 0."""
        self._step, self._to_learn = step, self.learns

    def state(self) -> dict[str, Any]:
        """What critics have learnt."""
        critics = [g.targets if isinstance(g.term.loss, Critic) else {} for g in self.goals]
        return {"critics": critics}

    def load(self, state: dict[str, Any]) -> None:
        """Go on with what critics had learnt at :meth:`state`."""
        self.goals = [
            replace(goal, targets=critics) if critics else goal
            for goal, critics in zip(self.goals, state["critics"], strict=True)
        ]

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """Weighted value of each term, by name; their sum is the objective.

        ``image`` is (B, 3, H, W) sRGB; the values are scalars.
        """
        features = features_of(self.backbone, image, self.layers)
        if self._to_learn:
            self.goals = [learnt(goal, features) for goal in self.goals]
            self._to_learn = False
        values: dict[str, Tensor] = {}
        for goal in self.goals:
            name = goal.term.name
            value = self._value(goal, features) * (goal.share * goal.term.weight)
            values[name] = values[name] + value if name in values else value
        return values

    def _value(self, goal: Goal, features: dict[str, Tensor]) -> Tensor:
        loss, layers = goal.term.loss, goal.term.layers
        if self._step is not None:
            loss = loss.at(self._step)
        if self.normalize_gradients:
            strength = goal.share * goal.term.weight
            shares = dict.fromkeys(layers, 1.0) if loss.joint else goal.term.shares()
            normal = {n: unit_gradient(features[n], strength * shares[n]) for n in layers}
            features = normal | ({IMAGE: features[IMAGE]} if IMAGE in layers else {})
        if isinstance(loss, JointLoss):
            inputs = tuple(features[n] for n in layers)
            return loss(inputs, goal.targets[JOINT], goal.maps.get(layers[finest(inputs)]))
        parts = [
            share * loss(features[n], goal.targets[n], goal.maps.get(n))
            for n, share in goal.term.shares().items()
        ]
        return torch.stack(parts).sum()


def learnt(goal: Goal, features: dict[str, Tensor]) -> Goal:
    """The goal after its critic, if it is one, has seen ``features``."""
    loss = goal.term.loss
    if not isinstance(loss, Critic):
        return goal
    targets = {n: loss.learn(features[n], t, goal.maps.get(n)) for n, t in goal.targets.items()}
    return replace(goal, targets=targets)
