"""The fine texture of a painting on an enlarged picture, which stays the same when made small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
#: At full size, what was worked on at half size takes this many times fewer steps.
FEWER = 3
#: Pixels of the result up to which it is worked on whole, and edge of tiles above, px.
WHOLE, TILE = 1_200_000, 512


@dataclass(frozen=True)
class Stage:
    """A size at which the picture is worked on.

    Attributes:
        size: Height and width.
        steps: How many.
        painting: (1, 3, h, w), in the size in which it is looked at.
        tiles: How it is tiled; None for the whole picture at once. Either gives the same picture.
    """

    size: tuple[int, int]
    steps: int
    painting: Tensor
    tiles: Tiles | None


class Texture:
    """The work on one picture.

    Lowers the Wasserstein distance of shallow features to those of the painting, and the squared
    error of the picture made small again, over its variance: what was there before it was
    enlarged stays, and what is finer is free to become the painting's.

    What is enlarged four times is worked on at half its size first, where strokes are made, then,
    for fewer steps, in full, where only their finest parts are missing: at full size alone, which
    takes four times as long for each step, the texture stays as fine as a fingerprint.

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
        self.device, self.optimiser = painting.device, Optimiser(lr=0.02, decay=0.1)
        self.term = Term("texture", Wasserstein(scale="relative"), LAYERS, TEXTURE * spec.strength)
        height, width = painting.shape[-2:]
        if min(height, width) < LEAST:
            raise InputError(
                f"the painting is too small: {width} x {height} px",
                hint=f"at least {LEAST} on each side",
            )
        self.stages = tuple(self._stage(painting, *shape) for shape in self.shape())

    def settings(self) -> dict[str, Any]:
        """All numbers."""
        painting = self.stages[-1].painting
        return {
            "backbone": self.backbone.name,
            "layers": list(LAYERS),
            "strength": self.spec.strength,
            "kept": KEPT,
            "steps": [stage.steps for stage in self.stages],
            "painting": [painting.shape[-1], painting.shape[-2]],
        }

    def shape(self) -> tuple[tuple[int, int, int], ...]:
        """Height, width, steps of each stage."""
        height, width = self.size
        half = (height // 2, width // 2)
        if self.scale < 4 or min(half) < LEAST:
            return ((height, width, self.spec.steps),)
        return ((*half, self.spec.steps), (height, width, -(-self.spec.steps // FEWER)))

    def work(self, picture: Tensor) -> Iterator[tuple[int, Step, Tensor]]:
        """Work on ``picture`` (1, 3, H, W), which is left as it is.

        Yields:
            The stage's number, its step, and the picture in full size after it.
        """
        made = picture
        for number, stage in enumerate(self.stages):
            given, begun = (
                resize(p, stage.size, mode="bicubic").clamp(0, 1) for p in (picture, made)
            )
            before = made
            for step in self._steps(stage, begun, self._small(given)):
                made = before + resize(step.image() - begun, self.size, mode="bicubic")
                made = made.clamp_(0, 1)
                yield number, step, made

    def _steps(self, stage: Stage, picture: Tensor, given: Tensor) -> Iterator[Step]:
        store = stage.tiles.store if stage.tiles else IN_MEMORY
        eyes = TiledEyes(self.backbone, stage.tiles or Tiles(TILE))
        goal = goal_for(self.term, eyes, [stage.painting], (1.0,))
        style = _objective(self.backbone, [goal], stage.tiles)
        spread = given.var().clamp_min(1e-4)

        def objective(image: Tensor) -> dict[str, Tensor]:
            error = (self._small(image) - given).square().mean() / spread
            return {**style(image), "picture": KEPT * error}

        pixels = PlainPixels(picture, store=store)
        yield from Optimisation(pixels, objective, self.optimiser, stage.steps, store).steps()

    def _small(self, image: Tensor) -> Tensor:
        """In the size of the picture that was given."""
        height, width = (n // self.scale for n in self.size)
        return resize(image, (height, width), mode="bicubic")

    def _stage(self, painting: Tensor, height: int, width: int, steps: int) -> Stage:
        tall, wide = painting.shape[-2:]
        seen = fit_size(tall, wide, min(max(height, width), max(tall, wide)))
        smaller = resize(painting, seen).clamp(0, 1)
        return Stage((height, width), steps, smaller, self._tiles(height, width))

    def _tiles(self, height: int, width: int) -> Tiles | None:
        asked, pixels = self.spec.tile, height * width
        if asked not in ("auto", "off"):
            edge = int(asked) * self.scale * height // self.size[0]
            return Tiles(max(64, edge), Store(LARGE))
        if asked == "auto" and pixels > WHOLE:
            return Tiles(TILE, Store(LARGE))
        need = memory.estimate(self.backbone, LAYERS, self.optimiser, pixels)
        free, least = memory.available(self.device), memory.fixed(self.backbone, LAYERS)
        memory.check_fits(need, free, pixels, max(height, width), least)
        return None


def _objective(backbone: Backbone, goals: Sequence[Goal], tiles: Tiles | None) -> Objective:
    if tiles is None:
        return Objective(backbone, goals)
    return TiledObjective(backbone, goals, tiles)
