"""Whether a job works in tiles, and in which."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from impasto.backbones import Backbone
from impasto.engine import memory
from impasto.engine.objective import Goal, Objective
from impasto.engine.optimise import Optimiser
from impasto.engine.tiled import TiledEyes, TiledObjective, Tiles
from impasto.engine.tiles import Tiling
from impasto.errors import UsageError
from impasto.losses import LOSSES, SumLoss
from impasto.recipes import Recipe

#: Sizes that ``--tile auto`` tries, the fastest first, px.
SIZES = (2048, 1024, 512, 256)


def choose(
    asked: str,
    recipe: Recipe,
    backbone: Backbone,
    layers: Sequence[str],
    size: tuple[int, int],
    device: torch.device,
) -> int | None:
    """Edge of the tiles in px, or None to work on the whole picture at once.

    Args:
        asked: ``auto``, ``off`` or a number of px.
        recipe: What is computed.
        backbone: On what.
        layers: Of the recipe's terms.
        size: Height and width of the picture with its margin.
        device: Whose memory counts.

    Raises:
        ResourceError: It would not fit; the hint names a size that does.
        UsageError: Tiles were asked for, and the recipe cannot be computed in them.
    """
    optimiser = Optimiser(**recipe.optimizer.model_dump())
    if asked not in ("auto", "off"):
        _check(recipe, backbone, layers)
        return int(asked)
    pixels, longest = size[0] * size[1], max(size)
    need = memory.estimate(backbone, layers, optimiser, pixels)
    free = memory.available(device)
    if free is None or need <= memory.SHARE * free or not longest:
        return None
    if asked == "auto" and _can(recipe, backbone, layers):
        needs = {t: memory.estimate_tiled(backbone, layers, optimiser, size, t) for t in SIZES}
        fitting = [tile for tile, bytes_ in needs.items() if bytes_ <= memory.SHARE * free]
        if fitting:
            return fitting[0]
        need = min(needs.values())
    memory.check_fits(need, free, pixels, longest)
    return None


def objective(
    backbone: Backbone, goals: Sequence[Goal], tile: int | None, *, normalize_gradients: bool
) -> Objective:
    """The objective, whole or in tiles."""
    if tile is None:
        return Objective(backbone, goals, normalize_gradients=normalize_gradients)
    return TiledObjective(
        backbone, goals, Tiles(tile), normalize_gradients=normalize_gradients
    )


def eyes(backbone: Backbone, tile: int | None) -> Backbone | TiledEyes:
    """What makes targets: the backbone, or the same in tiles."""
    return backbone if tile is None else TiledEyes(backbone, Tiles(tile))


def _can(recipe: Recipe, backbone: Backbone, layers: Sequence[str]) -> bool:
    try:
        _check(recipe, backbone, layers)
    except UsageError:
        return False
    return True


def _check(recipe: Recipe, backbone: Backbone, layers: Sequence[str]) -> None:
    Tiling(backbone, 256, tuple(layers))
    if recipe.normalize_gradients:
        raise UsageError(f"recipe {recipe.name} cannot be computed in tiles", hint="--tile off")
    for term in recipe.terms:
        if term.weight and not issubclass(LOSSES.get(term.loss), SumLoss):
            raise UsageError(
                f"term {term.name}: {term.loss} is no sum over positions and cannot be computed "
                "in tiles",
                hint="--tile off",
            )
