"""What a loss is.

A loss compares the features of a picture with a *target*, a value made once from the features of
the photo or the painting. Targets are plain tuples of tensors, never state on the loss, so they
can be blended, masked, saved and compared. Losses know tensors only: not which network, layer or
picture the features came from.

Shapes: features are (B, C, H, W); weight maps are (B, 1, H, W) or (1, 1, H, W), non-negative, at
the resolution of the features, and say how much each position counts; positions of weight 0 have
no influence at all. Every loss returns a scalar, the mean over the batch of what it finds for
each sample. A target comes from one picture (B = 1), or from as many as the batch has.

Three kinds: :class:`Loss` sees one layer at a time; :class:`SumLoss` is one that sees it only
through sums over positions, which makes exact tiling possible; :class:`JointLoss` sees all layers
of its term together. A :class:`Critic` is a :class:`Loss` whose target learns while the picture
moves.

Chance: a loss that draws something (projections, positions) has a ``seed`` and draws as a pure
function of it, so equal settings and equal inputs give equal values, and a loss is safe to use
where the objective must stand still (L-BFGS). Fresh draws for each step come from
:meth:`BaseLoss.at`, again a pure function, of the seed and the number of the step. Nothing has to
be saved for a resumed run to draw what the uninterrupted one would have drawn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import field, fields
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from impasto.errors import UsageError
from impasto.registry import Registry

Target = tuple[Tensor, ...]

#: Below this a sum of squares counts as zero when something is divided by it.
_NOTHING = 1e-30


class BaseLoss:
    """What all kinds share. Implementations are frozen dataclasses of plain values.

    Equal settings compare equal, hash and print; settings out of range raise ``UsageError``.
    """

    #: Whether ``features`` are a tuple with one tensor per layer of the term.
    joint: ClassVar[bool] = False
    #: Whether the loss looks at the picture alone and has no target to be equal to.
    targetless: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the settings; lists, as JSON has them, become tuples."""
        hints = get_type_hints(type(self))
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if isinstance(value, list):
                object.__setattr__(self, item.name, tuple(value))
            _check(type(self).__name__, item.name, value, hints[item.name], item.metadata)

    def at(self, step: int) -> Self:
        """The loss with the draws of a step, from 0; itself where nothing is drawn."""
        del step
        return self

    def views(self, image: Tensor) -> tuple[Tensor, ...]:
        """The pictures to take targets from, given one, (B, 3, H, W): here that one."""
        return (image,)

    def blend(self, targets: Sequence[Target], weights: Sequence[float]) -> Target:
        """One target between several; ``weights`` sum to 1. Here: the mean, tensor by tensor."""
        return mix(targets, weights)


class Loss(BaseLoss, ABC):
    """A loss on the features of one layer."""

    @abstractmethod
    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """What ``__call__`` needs to know of the picture to resemble, detached."""

    @abstractmethod
    def __call__(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """How far ``features`` are from ``target``: a scalar >= 0."""


class JointLoss(BaseLoss, ABC):
    """A loss on the features of several layers together.

    ``features`` hold one tensor (B, C_l, H_l, W_l) per layer; ``weight`` belongs to the finest
    of them, the first of those with most positions.
    """

    joint: ClassVar[bool] = True

    @abstractmethod
    def target(self, features: tuple[Tensor, ...], weight: Tensor | None = None) -> Target:
        """What ``__call__`` needs to know of the picture to resemble, detached."""

    @abstractmethod
    def __call__(
        self, features: tuple[Tensor, ...], target: Target, weight: Tensor | None = None
    ) -> Tensor:
        """How far ``features`` are from ``target``: a scalar >= 0."""


class Critic(Loss):
    """A loss whose target holds what a critic has learnt, a value like the rest of it."""

    @abstractmethod
    def learn(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Target:
        """The target after the critic has looked at the picture's features once more."""


class SumLoss(Loss):
    """A loss that sees the picture only through sums over positions.

    Such a loss can be evaluated exactly tile by tile: add up :meth:`sums` over the tiles, then
    apply :meth:`value` once. Subclasses write those two, :meth:`target`, and :meth:`gathered`
    where the target is no map.
    """

    #: Whether the target is a map over the picture's positions, of which a tile needs its part.
    aligned: ClassVar[bool] = False
    #: Positions that neighbours reach across the border of a tile. Sums of a loss with a halo do
    #: not add up over parts that share nothing; such losses look at the picture itself, which is
    #: whole in memory even when the network is run in tiles.
    halo: ClassVar[int] = 0

    @abstractmethod
    def sums(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Target:
        """Tensors that add up over any division of the positions into parts."""

    @abstractmethod
    def value(self, sums: Target, target: Target) -> Tensor:
        """The loss, a scalar, from the sums over all positions."""

    @torch.no_grad()
    def add_pull(
        self,
        into: Tensor,
        features: Tensor,
        target: Target,
        slopes: Sequence[Tensor | None],
        weight: Tensor | None = None,
    ) -> None:
        """Add the gradient of the sums, each weighed by its slope, with respect to the features.

        Args:
            into: (B, C, H, W), changed in place.
            features: (B, C, H, W).
            target: As for :meth:`sums`.
            slopes: Of each of the sums; None for one that nothing depends on.
            weight: As for :meth:`sums`.
        """
        leaf = features.detach().requires_grad_()
        with torch.enable_grad():
            sums = self.sums(leaf, target, weight)
        pairs = [
            (a, b) for a, b in zip(sums, slopes, strict=True) if b is not None and a.requires_grad
        ]
        if pairs:
            into += torch.autograd.grad([a for a, _ in pairs], leaf, [b for _, b in pairs])[0]

    def gathered(self, sums: Target, around: Target) -> Target:
        """The target of a whole picture, from its sums.

        Args:
            sums: Over all positions of the picture, taken against ``around``.
            around: The target of any part of it.
        """
        del sums, around
        raise TypeError(f"the target of {type(self).__name__} is a map, made part by part")

    def __call__(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """The loss of ``features`` against ``target``, a scalar."""
        return self.value(self.sums(features, target, weight), target)


def mix(targets: Sequence[Target], weights: Sequence[float]) -> Target:
    """Weighted sum of targets of equal structure, tensor by tensor."""
    return tuple(
        sum((w * t for w, t in zip(weights[1:], parts[1:], strict=True)), weights[0] * parts[0])
        for parts in zip(*targets, strict=True)
    )


def total_weight(features: Tensor, weight: Tensor | None) -> Tensor:
    """Sum of the weights of all positions, (B,) or (1,): H * W where there is no map."""
    if weight is None:
        return features.new_tensor([float(features.shape[-2] * features.shape[-1])])
    return weight.to(features).sum(dim=(1, 2, 3))


def flat_weight(features: Tensor, weight: Tensor | None) -> Tensor:
    """The weights of all positions in a row, (B, M) or (1, M); ones where there is no map."""
    if weight is None:
        return features.new_ones(1, features.shape[-2] * features.shape[-1])
    return weight.to(features).flatten(1)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """``sum w v / sum w`` over the last axis; 0 where all weights are 0."""
    return (values * weights).sum(-1) / weights.sum(-1).clamp_min(_NOTHING)


def relative(error: Tensor, size: Tensor) -> Tensor:
    """``error / size``, or the error as it is where the target has no size at all."""
    return error / torch.where(size > _NOTHING, size, torch.ones_like(size))


def unit(vectors: Tensor, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """``v / sqrt(|v|^2 + eps)``: length 1 along ``dim``, and a finite gradient at zero."""
    return vectors * (vectors.square().sum(dim, keepdim=True) + eps).rsqrt()


def seed_at(seed: int, step: int) -> int:
    """The seed of a step; that of step 0 is the seed itself."""
    return (seed + step * 0x9E3779B97F4A7C15) % 2**63


def draw_positions(weights: Tensor, most: int, seed: int) -> Tensor:
    """Positions to look at: all that count, or as many of them as allowed, at random.

    Args:
        weights: (B, M) or (1, M); a position counts if any sample's weight is positive.
        most: Largest number to return.
        seed: Of the draw.

    Returns:
        Indices (n,) in rising order; of all positions if none counts.
    """
    counting = (weights.amax(0) > 0).nonzero().squeeze(1)
    if counting.numel() == 0:
        counting = torch.arange(weights.shape[-1], device=weights.device)
    if counting.numel() <= most:
        return counting
    random = torch.Generator().manual_seed(seed)
    order = torch.randperm(counting.numel(), generator=random, device="cpu")
    return counting[order[:most].sort().values.to(weights.device)]


def inner_weight(weight: Tensor, size: int, stride: int = 1) -> Tensor:
    """The smallest weight in each ``size x size`` window, without padding."""
    return -torch.nn.functional.max_pool2d(-weight, size, stride)


def option(default: Any, *, least: float | None = None, above: float | None = None) -> Any:
    """A field with a lower bound, included (``least``) or not (``above``)."""
    return field(default=default, metadata={"least": least, "above": above})


def _check(owner: str, name: str, value: Any, hint: Any, bounds: Any) -> None:
    if get_origin(hint) is Literal and value not in get_args(hint):
        allowed = ", ".join(str(choice) for choice in get_args(hint))
        raise UsageError(f"{owner}: {name} cannot be {value!r}", hint=f"use {allowed}")
    least, above = bounds.get("least"), bounds.get("above")
    numbers = value if isinstance(value, tuple | list) else (value,)
    for number in numbers:
        if least is not None and not number >= least:
            raise UsageError(f"{owner}: {name} is {value!r}", hint=f"{least} or more")
        if above is not None and not number > above:
            raise UsageError(f"{owner}: {name} is {value!r}", hint=f"more than {above}")


#: Every loss by name. Values are the classes; fields are the options a recipe may set.
LOSSES: Registry[type[Loss] | type[JointLoss]] = Registry("loss")
