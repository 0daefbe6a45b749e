"""Activation checkpointing: few activations are kept, the others are computed again.

The network is divided where it becomes coarser. The forward pass keeps what was asked for and the
maps at these borders; the backward pass runs each stretch again, the deepest first, and holds the
activations of one stretch at a time. The gradient is that of one pass.

Source: Chen, Xu, Zhang & Guestrin 2016, *Training deep nets with sublinear memory cost*, with the
network's own borders as the places that are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from impasto.backbones import Backbone


@dataclass(frozen=True)
class Stretch:
    """A part of a network.

    Attributes:
        layers: Those of it that were asked for, canonical.
        after: Where it begins, one of the backbone's borders; None at the picture.
        border: Where it ends; None for the last.
    """

    layers: tuple[str, ...]
    after: str | None = None
    border: str | None = None

    @property
    def ends(self) -> tuple[str, ...]:
        """What running it gives, each once."""
        last = () if self.border is None else (self.border,)
        return tuple(dict.fromkeys((*self.layers, *last)))


def stretches(backbone: Backbone, layers: Iterable[str]) -> tuple[Stretch, ...]:
    """The network down to the deepest of ``layers``, divided at its borders."""
    place = {name: i for i, name in enumerate(backbone.table)}
    names = list(dict.fromkeys(backbone.resolve(n) for n in layers))
    deepest = max((place[n] for n in names), default=-1)
    borders = [b for b in backbone.borders if place[b] < deepest]
    found = []
    for after, border in pairwise([None, *borders, None]):
        low = -1 if after is None else place[after]
        high = deepest if border is None else place[border]
        mine = tuple(n for n in names if low < place[n] <= high)
        found.append(Stretch(mine, after, border))
    return tuple(found)


class Recomputed:
    """Sees what a backbone sees, keeping few activations for the backward pass.

    Args:
        backbone: The network.
    """

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone

    def min_size(self, layers: Iterable[str]) -> int:
        """As the backbone's."""
        return self.backbone.min_size(layers)

    def taps(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """As the backbone's."""
        names = {layer: self.backbone.resolve(layer) for layer in layers}
        self.backbone.check_size(x, names.values())
        found: dict[str, Tensor] = {}
        for stretch in stretches(self.backbone, names.values()):
            made = self._run(stretch, x)
            found |= {n: made[n] for n in stretch.layers}
            x = made[stretch.border] if stretch.border is not None else x
        return {layer: found[name] for layer, name in names.items()}

    def _run(self, stretch: Stretch, x: Tensor) -> dict[str, Tensor]:
        """The stretch's ends. The last stretch keeps all: the way back begins there."""

        def run(seen: Tensor) -> dict[str, Tensor]:
            if stretch.after is None:
                return self.backbone.taps(seen, stretch.ends)
            return self.backbone.taps_after(stretch.after, seen, stretch.ends)

        if stretch.border is None or not torch.is_grad_enabled():
            return run(x)
        made: dict[str, Tensor] = checkpoint(run, x, use_reentrant=False, preserve_rng_state=False)
        return made
