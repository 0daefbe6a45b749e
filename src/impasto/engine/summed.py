"""An objective from sums over positions: what works on a part of the network at a time needs.

A loss that sees a layer only through sums over positions (:class:`impasto.losses.SumLoss`) never
needs the whole of it at once. Any other loss, and any goal where gradients are normalised, is given
its layers whole.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.backbones import Backbone
from impasto.engine.objective import IMAGE, Goal, Objective, learnt
from impasto.losses import SumLoss, Target


@dataclass(frozen=True)
class Part:
    """One loss on one layer, with its factor in the objective."""

    loss: SumLoss
    layer: str
    target: Target
    weight: Tensor | None = None
    factor: float = 1.0

    def sums(
        self, features: Tensor, down: slice = slice(None), across: slice = slice(None)
    ) -> Target:
        """The loss's sums over a piece of the layer; the slices are its place in the whole."""
        target, weight = self._there(down, across)
        return self.loss.sums(features, target, weight)

    def add_pull(
        self,
        into: Tensor,
        features: Tensor,
        slopes: Sequence[Tensor | None],
        down: slice = slice(None),
        across: slice = slice(None),
    ) -> None:
        """Add the gradient of the sums over a piece, see :meth:`SumLoss.add_pull`."""
        target, weight = self._there(down, across)
        self.loss.add_pull(into, features, target, slopes, weight)

    def _there(self, down: slice, across: slice) -> tuple[Target, Tensor | None]:
        """Target and weights of a piece."""
        target = self.target
        if self.loss.aligned:
            target = tuple(t[..., down, across] for t in target)
        return target, None if self.weight is None else self.weight[..., down, across]


class SummedObjective(Objective):
    """As :class:`Objective`, from the sums of each part and the layers that are needed whole.

    Args:
        backbone: Whose features are compared.
        goals: What is wanted of them.
        normalize_gradients: See :class:`Objective`.
    """

    def __init__(
        self, backbone: Backbone, goals: Sequence[Goal], *, normalize_gradients: bool = False
    ) -> None:
        super().__init__(backbone, goals, normalize_gradients=normalize_gradients)
        of_goals = [parts_of(g) if self._sums(g) else () for g in self.goals]
        self.parts = tuple(part for parts in of_goals for part in parts)
        layers = [n for g in self.goals if not self._sums(g) for n in g.term.layers if n != IMAGE]
        self.whole = tuple(dict.fromkeys(layers))

    @abstractmethod
    def sums(self, image: Tensor) -> tuple[list[Target], dict[str, Tensor]]:
        """The sums of each of :attr:`parts` and the layers :attr:`whole`, differentiable."""

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """Weighted value of each term, by name."""
        sums, maps = self.sums(image)
        features = maps | {IMAGE: image}
        if self._to_learn:
            self.goals = [learnt(goal, features) for goal in self.goals]
            self._to_learn = False
        rest = iter(zip(self.parts, sums, strict=True))
        values: dict[str, Tensor] = {}
        for goal in self.goals:
            name = goal.term.name
            if self._sums(goal):
                found = [next(rest) for _ in goal.term.shares()]
                value = torch.stack([p.factor * p.loss.value(s, p.target) for p, s in found]).sum()
            else:
                value = self._value(goal, features) * (goal.share * goal.term.weight)
            values[name] = values[name] + value if name in values else value
        return values

    def _sums(self, goal: Goal) -> bool:
        """Whether sums over positions are all that is needed."""
        plain = set(goal.term.layers) == {IMAGE} or not self.normalize_gradients
        return plain and isinstance(goal.term.loss, SumLoss)


def parts_of(goal: Goal) -> tuple[Part, ...]:
    """One part per layer of a goal whose loss is a sum over positions."""
    loss = goal.term.loss
    if not isinstance(loss, SumLoss):
        raise TypeError(f"{type(loss).__name__} is no sum over positions")
    factor = goal.share * goal.term.weight
    return tuple(
        Part(loss, n, goal.targets[n], goal.maps.get(n), share * factor)
        for n, share in goal.term.shares().items()
    )
