"""How a job saves memory: in tiles, and in which; by activation checkpointing; or not at all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch

from impasto.backbones import Backbone
from impasto.engine import memory
from impasto.engine.objective import IMAGE, Goal, Objective
from impasto.engine.optimise import Optimiser
from impasto.engine.recompute import RecomputedObjective
from impasto.engine.store import IN_MEMORY, LARGE, VARIABLE, Store, scratch_folder
from impasto.engine.tiled import TiledEyes, TiledObjective, Tiles
from impasto.engine.tiles import sections
from impasto.errors import ResourceError, UsageError
from impasto.losses import LOSSES, SumLoss
from impasto.recipes import Recipe
from impasto.specs.stylize import RECOMPUTE

#: Sizes that ``--tile auto`` tries, the fastest first, px. Larger ones are slower: their
#: activations leave the caches.
SIZES = (512, 256, 128)
#: Pictures that a Laplacian pyramid, its gradient and its decoding take, in memory.
PYRAMID = 8

#: Tiles, or activation checkpointing, or None for one pass that keeps all activations.
Way = Tiles | Literal["recompute"] | None


def choose(
    asked: str,
    recipe: Recipe,
    backbone: Backbone,
    layers: Sequence[str],
    size: tuple[int, int],
    device: torch.device,
) -> Way:
    """How the job saves memory.

    ``auto`` is one pass where that fits; otherwise tiles; and where the network allows none or
    they do not fit either, because losses need layers whole, activation checkpointing.

    Args:
        asked: ``auto``, ``off``, ``recompute`` or a number of px.
        recipe: What is computed.
        backbone: On what.
        layers: Of the recipe's terms.
        size: Height and width of the picture with its margin.
        device: Whose memory counts.

    Raises:
        ResourceError: It would not fit; the hint names what would.
        UsageError: Tiles were asked for, and the network cannot be seen in tiles.
    """
    job = Needs(recipe, backbone, layers, size)
    if asked not in ("auto", "off", RECOMPUTE):
        sections(backbone, layers, int(asked))
        job.check_scratch(int(asked))
        return Tiles(int(asked), Store(LARGE))
    free = memory.available(device)
    if free is None:
        return "recompute" if asked == RECOMPUTE else None
    free += memory.resident() if device.type == "cpu" else 0.0
    room = memory.SHARE * free
    if asked != RECOMPUTE and job.whole() <= room:
        return None
    tile = job.largest_tile(free)
    if asked == "auto" and tile is not None:
        job.check_scratch(tile)
        return Tiles(tile, Store(LARGE))
    if asked != "off" and job.recomputed() <= room:
        return "recompute"
    raise job.refusal(asked, free, tile)


class Needs:
    """What a job would need at different sizes."""

    def __init__(
        self, recipe: Recipe, backbone: Backbone, layers: Sequence[str], size: tuple[int, int]
    ) -> None:
        self.backbone, self.layers, self.size = backbone, layers, size
        steps = recipe.schedule.steps[recipe.quality][0]
        optimiser = Optimiser(**recipe.optimizer.model_dump())
        # There is one pair less than steps.
        self.optimiser = replace(optimiser, history=min(optimiser.history, max(0, steps - 1)))
        self.pyramid = recipe.pixels == "laplacian"
        losses = [(LOSSES.get(t.loss), t.layers) for t in recipe.terms if t.weight]
        sums = [(c, n) for c, n in losses if issubclass(c, SumLoss)]
        self.maps = {n for c, names in sums if c.aligned for n in names} - {IMAGE}
        others = [n for c, names in losses if not issubclass(c, SumLoss) for n in names]
        self.wholes = set(layers if recipe.normalize_gradients else others) - {IMAGE}

    def whole(self, longest: int | None = None) -> float:
        """Bytes without tiles, for the picture or one of that longest side."""
        height, width = self._at(longest)
        optimiser = memory.bounded(self.optimiser, height * width)
        return memory.estimate(self.backbone, self.layers, optimiser, height * width)

    def recomputed(self, longest: int | None = None) -> float:
        """Bytes with activation checkpointing."""
        height, width = self._at(longest)
        optimiser = memory.bounded(self.optimiser, height * width)
        return memory.estimate_recomputed(
            self.backbone, self.layers, optimiser, height * width, whole=self.wholes
        )

    def tiled(self, tile: int, longest: int | None = None) -> memory.Need:
        """Likewise in tiles of ``tile`` px."""
        size = self._at(longest)
        return memory.estimate_tiled(
            self.backbone,
            self.layers,
            memory.bounded(self.optimiser, size[0] * size[1]),
            size,
            tile,
            maps=self.maps,
            whole=self.wholes,
            pictures=memory.TILED_PICTURES + PYRAMID * self.pyramid,
        )

    def largest_tile(self, free: float) -> int | None:
        """The first of :data:`SIZES` that fits, None where none does or none can be."""
        try:
            fitting = (t for t in SIZES if self.tiled(t).memory <= memory.SHARE * free)
            return next(fitting, None)
        except UsageError:
            return None

    def check_scratch(self, tile: int) -> None:
        """Refuse what the disk has no room for."""
        need, folder = self.tiled(tile).scratch, scratch_folder()
        free = shutil.disk_usage(folder).free
        if need > memory.SHARE * free:
            raise ResourceError(
                f"this needs about {need / 1e9:.1f} GB of scratch files, "
                f"{free / 1e9:.1f} GB are free in {folder}",
                hint=f"set {VARIABLE} to a folder on a disk with more room",
            )

    def refusal(self, asked: str, free: float, tile: int | None) -> ResourceError:
        """What is said where nothing fits."""
        longest = max(self.size)
        if asked == "auto":
            return memory.too_large(self.least(), free, longest, self.least)
        need = self.whole if asked == "off" else self.recomputed
        fits = "auto" if tile is not None else None
        if fits is None and asked == "off" and self.recomputed() <= memory.SHARE * free:
            fits = RECOMPUTE
        hint = f"--tile {fits} fits" if fits else ""
        return memory.too_large(need(), free, longest, need, hint)

    def least(self, longest: int | None = None) -> float:
        """Bytes of the way that takes least of them."""
        ways = [self.whole(longest), self.recomputed(longest)]
        with contextlib.suppress(UsageError):
            ways.append(self.tiled(SIZES[-1], longest).memory)
        return min(ways)

    def _at(self, longest: int | None) -> tuple[int, int]:
        if longest is None:
            return self.size
        factor = longest / max(self.size)
        return max(1, round(self.size[0] * factor)), max(1, round(self.size[1] * factor))


def at(way: Way, size: tuple[int, int]) -> Way:
    """``way`` at a scale of that size; None where one tile would hold it all."""
    return None if isinstance(way, Tiles) and max(size) <= way.size else way


def thrifty(way: Way) -> bool:
    """Whether freed memory goes back to the system."""
    return way.thrifty if isinstance(way, Tiles) else way is not None


def store(way: Way) -> Store:
    """Where a run's large tensors are."""
    return way.store if isinstance(way, Tiles) else IN_MEMORY


def objective(
    backbone: Backbone, goals: Sequence[Goal], way: Way, *, normalize_gradients: bool
) -> Objective:
    """The objective, in one pass, in tiles or with activation checkpointing."""
    if isinstance(way, Tiles):
        return TiledObjective(backbone, goals, way, normalize_gradients=normalize_gradients)
    kind = Objective if way is None else RecomputedObjective
    return kind(backbone, goals, normalize_gradients=normalize_gradients)


def eyes(backbone: Backbone, way: Way) -> Backbone | TiledEyes:
    """What makes targets: the backbone, or the same in tiles."""
    return TiledEyes(backbone, way) if isinstance(way, Tiles) else backbone
