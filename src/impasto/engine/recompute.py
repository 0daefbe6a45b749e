"""Activation checkpointing: few activations are kept, the others are computed again.

The network is divided where it becomes coarser. The forward pass keeps the maps at these borders,
and the layers that losses need whole; the backward pass runs each stretch again, the deepest first,
and holds the activations of one stretch at a time. The gradient is that of one pass.

Source: Chen, Xu, Zhang & Guestrin 2016, *Training deep nets with sublinear memory cost*, with the
network's own borders as the places that are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from impasto.backbones import Backbone
from impasto.engine.objective import IMAGE, Goal
from impasto.engine.summed import SummedObjective
from impasto.engine.tiles import divided
from impasto.losses import Target


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

    def taps(self, backbone: Backbone, x: Tensor) -> dict[str, Tensor]:
        """The :attr:`ends`, of the picture or the border ``x`` where the stretch begins."""
        if self.after is None:
            return backbone.taps(x, self.ends)
        return backbone.taps_after(self.after, x, self.ends)


def stretches(backbone: Backbone, layers: Iterable[str]) -> tuple[Stretch, ...]:
    """The network down to the deepest of ``layers``, divided at its borders."""
    names = [backbone.resolve(n) for n in layers]
    parts = divided(backbone, names, backbone.borders)
    return tuple(Stretch(mine, after, border) for after, border, mine in parts)


class RecomputedObjective(SummedObjective):
    """As :class:`Objective`, with few activations kept for the way back.

    Sums over positions are taken within the stretches, so a layer is kept only for losses that
    need it whole.

    Args:
        backbone: Whose features are compared.
        goals: What is wanted of them.
        normalize_gradients: See :class:`Objective`.
    """

    def __init__(
        self, backbone: Backbone, goals: Sequence[Goal], *, normalize_gradients: bool = False
    ) -> None:
        super().__init__(backbone, goals, normalize_gradients=normalize_gradients)
        self._network = backbone
        self._resolved = {n: backbone.resolve(n) for n in self.layers if n != IMAGE}
        self.stretches = stretches(backbone, self._resolved)

    def sums(self, image: Tensor) -> tuple[list[Target], dict[str, Tensor]]:
        """See :meth:`SummedObjective.sums`."""
        self._network.check_size(image, self._resolved)
        sums = {i: p.sums(image) for i, p in enumerate(self.parts) if p.layer == IMAGE}
        maps: dict[str, Tensor] = {}
        x = image
        for stretch in self.stretches:
            made, found, x = self._run(stretch, x)
            sums |= made
            maps |= found
        return [sums[i] for i in range(len(self.parts))], maps

    def _run(
        self, stretch: Stretch, x: Tensor
    ) -> tuple[dict[int, Target], dict[str, Tensor], Tensor]:
        """Of a stretch that begins at ``x``: sums by part, layers that stay whole, its end.

        The last stretch keeps all: the way back begins there.
        """
        mine = {n: r for n, r in self._resolved.items() if r in stretch.layers}

        def run(seen: Tensor) -> tuple[dict[int, Target], dict[str, Tensor], Tensor]:
            taps = stretch.taps(self._network, seen)
            sums = {
                i: p.sums(taps[mine[p.layer]]) for i, p in enumerate(self.parts) if p.layer in mine
            }
            end = seen if stretch.border is None else taps[stretch.border]
            return sums, {n: taps[mine[n]] for n in self.whole if n in mine}, end

        if stretch.border is None or not torch.is_grad_enabled():
            return run(x)
        made: tuple[dict[int, Target], dict[str, Tensor], Tensor] = checkpoint(
            run, x, use_reentrant=False, preserve_rng_state=False
        )
        return made
