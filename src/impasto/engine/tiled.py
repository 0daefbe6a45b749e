"""The same objective and the same gradient, a tile at a time; and targets made in the same way.

Losses see sums over the tiles (:mod:`impasto.engine.summed`). Those that need their layers whole
are given them, put together from tiles; the gradient is pushed back through the tiles like that of
the sums. It is as exact, but costs the memory of those layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.backbones import Backbone
from impasto.engine.objective import IMAGE, Goal, Term, whole_targets
from impasto.engine.passes import Canvas, Passes, Tile, sweep
from impasto.engine.store import IN_MEMORY, Store
from impasto.engine.summed import Part, SummedObjective
from impasto.engine.tiles import KEEPING, layer_sizes, sections
from impasto.images.resize import resize_map
from impasto.losses import SumLoss, Target


@dataclass(frozen=True)
class Tiles:
    """How a run is tiled.

    Attributes:
        size: Edge of a tile of the first section without halo, px.
        store: Where large tensors are.
    """

    size: int
    store: Store = IN_MEMORY

    @property
    def thrifty(self) -> bool:
        """Whether freed memory goes back to the system, see :data:`KEEPING`."""
        return self.size < KEEPING


class TiledObjective(SummedObjective):
    """As :class:`Objective`, with values and gradients computed in tiles.

    Args:
        backbone: Whose features are compared.
        goals: What is wanted of them.
        tiles: How.
        normalize_gradients: See :class:`Objective`.

    Raises:
        UsageError: A layer cannot be seen in tiles.
    """

    def __init__(
        self,
        backbone: Backbone,
        goals: Sequence[Goal],
        tiles: Tiles,
        *,
        normalize_gradients: bool = False,
    ) -> None:
        super().__init__(backbone, goals, normalize_gradients=normalize_gradients)
        slack = max((p.loss.halo for p in self.parts if p.layer == IMAGE), default=0)
        layers = [*(p.layer for p in self.parts), *self.whole]
        self.passes = Passes(
            sections(backbone, layers, tiles.size, slack),
            self.parts,
            self.whole,
            tiles.store,
        )

    def sums(self, image: Tensor) -> tuple[list[Target], dict[str, Tensor]]:
        """See :meth:`SummedObjective.sums`."""
        return self.passes(image)


class TiledEyes:
    """Stands in for a backbone where targets are made.

    Targets of losses that are sums over positions are made from sums; those of losses that
    compare position by position are put together from tiles, in the store; all others need their
    layers whole.

    Args:
        backbone: The network.
        tiles: How.
    """

    def __init__(self, backbone: Backbone, tiles: Tiles) -> None:
        self.backbone = backbone
        self.tiles = tiles

    def min_size(self, layers: Iterable[str]) -> int:
        """As the backbone's."""
        return self.backbone.min_size(layers)

    def sizes(self, size: tuple[int, int], layers: Iterable[str]) -> dict[str, tuple[int, int]]:
        """See :meth:`impasto.engine.objective.Eyes.sizes`."""
        return layer_sizes(self.backbone, size, layers)

    def taps(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """As the backbone's, whole, without gradient."""
        names, canvas = tuple(layers), Canvas(self.tiles.store)

        def visit(tile: Tile) -> None:
            for name in tile.section.layers:
                canvas.put(name, tile.parts[name], *tile.overall(name))

        sweep(sections(self.backbone, names, self.tiles.size), x, self.tiles.store, visit)
        return {name: canvas.maps[name] for name in names}

    @torch.no_grad()
    def targets(self, term: Term, image: Tensor, weight: Tensor | None) -> dict[str, Target]:
        """The targets of one picture, per layer or one for all."""
        if not isinstance(term.loss, SumLoss):
            return whole_targets(term, self, image, weight)
        weights: dict[str, Tensor] = {}
        if weight is not None:
            sizes = self.sizes((image.shape[-2], image.shape[-1]), term.layers)
            weights = {n: resize_map(weight, sizes[n]) for n in term.layers}
        gathering = _Gathering(term.loss, weights, self.tiles.store)
        parts = sections(self.backbone, term.layers, self.tiles.size, term.loss.halo)
        sweep(parts, image, self.tiles.store, gathering)
        return {n: gathering.target(n) for n in term.layers}


class _Gathering:
    """Makes the targets of one loss while tiles go by."""

    def __init__(self, loss: SumLoss, weights: dict[str, Tensor], store: Store) -> None:
        self.loss = loss
        self.weights = weights
        self.canvases: dict[str, list[Canvas]] = {}
        self.store = store
        self.parts: dict[str, Part] = {}
        self.sums: dict[str, Target] = {}

    def __call__(self, tile: Tile) -> None:
        for layer in tile.section.layers:
            own, place = tile.of(layer), tile.overall(layer)
            weight = self.weights.get(layer)
            here = None if weight is None else weight[(..., *place)]
            if self.loss.aligned:
                self._put(layer, self.loss.target(own, here), place)
            else:
                # The target of the first tile is a guess that sums are taken around.
                guess = self.parts.get(layer)
                if guess is None:
                    guess = Part(self.loss, layer, self.loss.target(own, here), weight)
                    self.parts[layer] = guess
                sums = tile.sums(guess)
                before = self.sums.get(layer)
                self.sums[layer] = (
                    tuple(a + b for a, b in zip(before, sums, strict=True)) if before else sums
                )

    def target(self, layer: str) -> Target:
        """What has been gathered."""
        if self.loss.aligned:
            return tuple(canvas.maps[layer] for canvas in self.canvases[layer])
        return self.loss.gathered(self.sums[layer], self.parts[layer].target)

    def _put(self, layer: str, target: Target, place: tuple[slice, slice]) -> None:
        canvases = self.canvases.setdefault(layer, [Canvas(self.store) for _ in target])
        for canvas, values in zip(canvases, target, strict=True):
            canvas.put(layer, values, *place)
