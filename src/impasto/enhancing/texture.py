"""The fine texture of a painting on an enlarged picture, which stays the same when made small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from impasto import backbones
from impasto.backbones import Backbone
from impasto.engine import memory
from impasto.engine.objective import Goal, Objective, Term, goal_for
from impasto.engine.optimise import Optimisation, Optimiser, Step
from impasto.engine.pixels import PlainPixels
from impasto.engine.store import IN_MEMORY, LARGE, Store
from impasto.engine.tiled import TiledEyes, TiledObjective, Tiles
from impasto.errors import InputError
from impasto.images.resize import fit_size, resize
from impasto.losses import Wasserstein
from impasto.specs import EnhanceSpec

#: Layers whose statistics are the painting's: what lies within some 24 px of a place.
LAYERS = ("relu1_1", "relu2_1", "relu3_1")
#: Weights of the texture, times the request's strength, and of the picture; both are relative.
TEXTURE, KEPT = 0.5, 20.0
#: Least short side of a painting, px: fewer patches are no texture.
LEAST = 32
#: Pixels of the result up to which it is worked on whole, and edge of tiles above, px.
WHOLE, TILE = 1_200_000, 512


class Texture:
    """The work on one picture.

    Lowers the Wasserstein distance of shallow features to those of the painting, and the squared
    error of the picture made small again, over its variance: what was there before it was
    enlarged stays, and what is finer is free to become the painting's.

    Args:
        painting: (1, 3, h, w) in [0, 1]; looked at in the size of the result, never enlarged.
        size: Height and width of the result.
        scale: How many times larger than the picture that was given.
        spec: The request.

    Raises:
        InputError: The painting is too small.
        WeightsError: The weights of the network are not there.
        ResourceError: It would not fit in memory.
    """

    def __init__(
        self, painting: Tensor, size: tuple[int, int], scale: int, spec: EnhanceSpec
    ) -> None:
        self.spec, self.size, self.scale = spec, size, scale
        self.backbone = backbones.load(backbones.DEFAULT, pooling="avg").to(painting.device)
        self.optimiser = Optimiser(lr=0.02, decay=0.1)
        self.term = Term("texture", Wasserstein(scale="relative"), LAYERS, TEXTURE * spec.strength)
        height, width = painting.shape[-2:]
        if min(height, width) < LEAST:
            raise InputError(
                f"the painting is too small: {width} x {height} px",
                hint=f"at least {LEAST} on each side",
            )
        seen = fit_size(height, width, min(max(size), max(height, width)))
        self.painting = resize(painting, seen).clamp(0, 1)
        self.tiles = self._tiles()

    def settings(self) -> dict[str, Any]:
        """All numbers."""
        return {
            "backbone": self.backbone.name,
            "layers": list(LAYERS),
            "strength": self.spec.strength,
            "kept": KEPT,
            "steps": self.spec.steps,
            "painting": [self.painting.shape[-1], self.painting.shape[-2]],
        }

    def shape(self) -> tuple[tuple[int, int, int], ...]:
        """Height, width, steps."""
        return ((*self.size, self.spec.steps),)

    def steps(self, picture: Tensor) -> Iterator[Step]:
        """Work on ``picture`` (1, 3, H, W), which is left as it is."""
        store = self.tiles.store if self.tiles else IN_MEMORY
        eyes = TiledEyes(self.backbone, self.tiles or Tiles(TILE))
        goal = goal_for(self.term, eyes, [self.painting], (1.0,))
        style = _objective(self.backbone, [goal], self.tiles)
        given = self._reduced(picture)
        spread = given.var().clamp_min(1e-4)

        def objective(image: Tensor) -> dict[str, Tensor]:
            error = (self._reduced(image) - given).square().mean() / spread
            return {**style(image), "picture": KEPT * error}

        pixels = PlainPixels(picture, store=store)
        yield from Optimisation(pixels, objective, self.optimiser, self.spec.steps, store).steps()

    def _reduced(self, image: Tensor) -> Tensor:
        height, width = (n // self.scale for n in image.shape[-2:])
        return resize(image, (height, width), mode="bicubic")

    def _tiles(self) -> Tiles | None:
        """How it is tiled; None for the whole picture at once. Either gives the same picture."""
        asked, pixels = self.spec.tile, self.size[0] * self.size[1]
        if asked not in ("auto", "off"):
            return Tiles(max(64, int(asked) * self.scale), Store(LARGE))
        if asked == "auto" and pixels > WHOLE:
            return Tiles(TILE, Store(LARGE))
        need = memory.estimate(self.backbone, LAYERS, self.optimiser, pixels)
        free, least = memory.available(self.painting.device), memory.fixed(self.backbone, LAYERS)
        memory.check_fits(need, free, pixels, max(self.size), least)
        return None


def _objective(backbone: Backbone, goals: Sequence[Goal], tiles: Tiles | None) -> Objective:
    if tiles is None:
        return Objective(backbone, goals)
    return TiledObjective(backbone, goals, tiles)
