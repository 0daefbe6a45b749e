"""A recipe at work on a picture, from coarse to fine: what stylizations and textures share."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from impasto.backbones import Backbone
from impasto.engine.coarse_to_fine import CoarseToFine
from impasto.engine.memory import bounded
from impasto.engine.objective import IMAGE, Eyes, Goal
from impasto.engine.optimise import Optimisation, Optimiser
from impasto.engine.pixels import Frame, LaplacianPixels, Pixels, PlainPixels
from impasto.engine.scales import Scale, pyramid
from impasto.engine.store import Store
from impasto.events import Event, Finished, Started
from impasto.images import FloatArray
from impasto.images.tensors import from_tensor
from impasto.recipes import Recipe, write_recipe
from impasto.styling import tiling

Size = tuple[int, int]


class RecipeJob(ABC):
    """One job: checked on construction, run by :meth:`events`, saved by :meth:`state`.

    Subclasses say what to start from, what is wanted of the picture and how it is shown.

    Args:
        recipe: All numbers, for the network at hand.
        backbone: The network, on its device.
        scales: From coarse to fine.
        tile: Edge of tiles in px, ``auto`` or ``off``.
        periodic: Whether the picture goes on at its opposite edges.

    Raises:
        ResourceError: It would not fit in memory.
        UsageError: Tiles were asked for, and the recipe cannot be computed in them.
    """

    #: Name of the verb.
    verb: ClassVar[str]

    def __init__(
        self,
        recipe: Recipe,
        backbone: Backbone,
        scales: Sequence[Scale],
        tile: str,
        *,
        periodic: bool = False,
    ) -> None:
        self.recipe = recipe
        self.backbone = backbone
        self.scales = list(scales)
        self.optimiser = Optimiser(**recipe.optimizer.model_dump())
        self._frame = Frame(recipe.margin, periodic=periodic)
        self._passage = CoarseToFine(self.scales, self._made, self._resampled)
        last, margin = self.scales[-1], 2 * recipe.margin
        size = (last.height + margin, last.width + margin)
        device = next(backbone.parameters()).device
        self._tile = tiling.choose(tile, recipe, backbone, layers_of(recipe), size, device)

    @abstractmethod
    def _start(self, size: Size) -> Tensor:
        """The first picture, (1, 3, H, W) of that size."""

    @abstractmethod
    def _goals(self, index: int, eyes: Eyes) -> list[Goal]:
        """What is wanted of the picture, margin included, at a scale."""

    @abstractmethod
    def image(self) -> Tensor:
        """The picture so far as it is shown, (1, 3, H, W) in [0, 1]."""

    @abstractmethod
    def described(self) -> dict[str, Any]:
        """The inputs: role to name, sha256, size."""

    @abstractmethod
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the network and the pictures."""

    def settings(self) -> dict[str, Any]:
        """All numbers, for the record."""
        return self.recipe.model_dump(mode="json")

    def save_recipe(self, path: str, *, force: bool) -> None:
        """Write the recipe, all numbers as they are used, to a .toml file."""
        write_recipe(self.recipe, Path(path), force=force)

    def events(self) -> Iterator[Event]:
        """Run; the last event is :class:`impasto.events.Finished`, not saved yet."""
        begun = time.monotonic()
        shape = tuple((s.height, s.width, s.steps) for s in self.scales)
        yield Started(self.verb, shape, self.settings(), self.notes())
        yield from self._passage.events(self.image)
        yield self.finished(time.monotonic() - begun)

    def finished(self, seconds: float, *, complete: bool = True) -> Finished:
        """The result so far as an event."""
        image = from_tensor(self._completed())
        return Finished(image, self._alpha(), self.settings(), seconds, None, complete)

    @property
    def begun(self) -> bool:
        """Whether there is anything to save."""
        return self._passage.begun

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`load` needs to go on exactly here."""
        return self._passage.state()

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state when :meth:`events` is called."""
        self._passage.load(state)

    def _completed(self) -> Tensor:
        """The picture that is saved."""
        return self.image()

    def _alpha(self) -> FloatArray | None:
        """Its opacity, (H, W), where not all is opaque."""
        return None

    def _size(self, index: int) -> Size:
        """Height and width of a scale, without the margin."""
        return self.scales[index].height, self.scales[index].width

    def _canvas(self) -> Tensor:
        """The picture so far as it is optimised, without the margin."""
        return self._frame.crop(self._passage.run.image()).clamp(0, 1)

    def _made(self, index: int, picture: Tensor | None) -> Optimisation:
        size = self._size(index)
        tile, store = tiling.at(self._tile, size), self._store(index)
        if picture is None:
            start = self._frame.pad(self._start(size))
        else:
            start = self._refined(picture, index)
        pixels = self._pixels(start, store)
        del start, picture  # the next ones may need the room
        goals = self._goals(index, tiling.eyes(self.backbone, tile))
        normalize = self.recipe.normalize_gradients
        objective = tiling.objective(self.backbone, goals, tile, normalize_gradients=normalize)
        optimiser, steps = self._optimiser_at(index), self.scales[index].steps
        thrifty = tiling.thrifty(tile)
        return Optimisation(pixels, objective, optimiser, steps, store, thrifty=thrifty)

    def _store(self, index: int) -> Store:
        """Where the large tensors of a scale are."""
        return tiling.store(tiling.at(self._tile, self._size(index)))

    def _refined(self, canvas: Tensor, index: int) -> Tensor:
        """What a scale begins with: ``canvas``, the result of the one before at its size.

        It may be changed.
        """
        del index
        return canvas

    def _resampled(self, canvas: Tensor, index: int) -> Tensor:
        return self._frame.resized(canvas, self._size(index))

    def _pixels(self, start: Tensor, store: Store) -> Pixels:
        if self.recipe.pixels == "laplacian":
            return LaplacianPixels(start, clamp=self.recipe.clamp)
        return PlainPixels(start, clamp=self.recipe.clamp, store=store)

    def _optimiser_at(self, index: int) -> Optimiser:
        last = index == len(self.scales) - 1 and index > 0
        factor = self.recipe.schedule.final_lr if last else 1.0
        optimiser = replace(self.optimiser, lr=self.optimiser.lr * factor)
        return bounded(optimiser, self.scales[index].height * self.scales[index].width)


def layers_of(recipe: Recipe) -> list[str]:
    """The layers that the recipe looks at."""
    return [n for t in recipe.terms if t.weight for n in t.layers if n != IMAGE]


def scales_of(recipe: Recipe, size: Size, backbone: Backbone) -> list[Scale]:
    """The pyramid without the scales that are too small for the deepest layer.

    The final one stays in any case, so that a size that is too small is reported. Where it is
    the only one it takes over the steps of the coarser ones that a larger picture has: few steps
    at the end are enough only after large shapes were settled.

    Raises:
        InputError: The size is too small; the message names the layer.
    """
    layers = layers_of(recipe)
    plan = recipe.schedule
    steps = plan.steps[recipe.quality]
    every = pyramid(*size, steps, ratio=plan.ratio, smallest=plan.smallest, count=plan.count)
    need = backbone.min_size(layers)
    if min(size) < need:
        backbone.taps(torch.zeros(1, 3, *size), layers)  # raises, with the layer's name
    scales = [s for s in every if min(s.height, s.width) >= need]
    number = scales[0].steps
    if len(scales) > 1:
        number = round(number * plan.first)
    elif plan.ratio > 1 and plan.carried:
        number = max(steps[: plan.count or None])
    return [replace(scales[0], steps=number), *scales[1:]]
