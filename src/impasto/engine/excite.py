"""The objective of deep visualization: excite a unit, from everywhere, with a plausible picture."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from impasto.engine.gradients import Redirected, even, with_gradient
from impasto.engine.objective import Eyes
from impasto.engine.views import Views
from impasto.engine.wishes import Wanted, likeness
from impasto.losses import TotalVariation


@dataclass(frozen=True)
class Manner:
    """How an excitation is looked for.

    Attributes:
        views: Random views of each step.
        redirect: Steps in which ReLUs let gradients pass that lead out of where they are flat.
        tv: Weight of the smoothness; 1 is as strong as the excitation where neighbours differ
            by 1.
        diversity: Weight of the pictures' likeness, relative to the excitation.
    """

    views: Views = field(default_factory=Views)
    redirect: int = 16
    tv: float = 0.0
    diversity: float = 0.0


class Excitement:
    """Pictures in, weighted terms out; ``excitation`` is the negative of how much they excite.

    A function of the picture and the step that :meth:`begin` announced, so that it can be
    repeated: nothing is kept. The gradient of the excitation is brought to an even size
    (:func:`impasto.engine.gradients.even`), so that weights mean the same at every layer.

    Args:
        eyes: The network.
        wish: What to excite.
        manner: How.
        apart: The layer at which diversity is measured.
    """

    learns = False

    def __init__(
        self, eyes: Eyes, wish: Wanted, manner: Manner | None = None, apart: str | None = None
    ) -> None:
        self.eyes = eyes
        self.wish = wish
        self.manner = manner or Manner()
        self.apart = apart if self.manner.diversity else None
        self._smooth = TotalVariation(power=1, form="isotropic", eps=1e-6)
        self._step = 0

    def begin(self, step: int) -> None:
        """A step begins, counted from 0."""
        self._step = step

    def state(self) -> dict[str, Any]:
        """Nothing: the steps say everything."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Nothing to go on with."""
        del state

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """Value of each term, by name; ``image`` is (B, 3, H, W)."""
        manner = self.manner
        seen = manner.views(with_gradient(image, even), self._step)
        layers = dict.fromkeys((*self.wish.layers(), *([self.apart] if self.apart else [])))
        guided = Redirected() if self._step < manner.redirect else contextlib.nullcontext()
        with guided:
            features = self.eyes.taps(seen, layers)
        excited = torch.stack([w * u.value(features).mean() for w, u in self.wish.terms()]).sum()
        terms = {"excitation": -excited}
        if self.apart:
            share = manner.diversity * excited.detach().abs()
            terms["likeness"] = share * likeness(features[self.apart])
        if manner.tv:
            terms["tv"] = manner.tv * self._smooth(image, ())
        return terms
