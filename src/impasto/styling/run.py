"""The main job: a photo and paintings in, events out, the last of which holds the picture."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from impasto.backbones import Backbone
from impasto.engine.devices import pick_device
from impasto.engine.memory import bounded
from impasto.engine.objective import IMAGE
from impasto.engine.optimise import Optimisation, Optimiser
from impasto.engine.pixels import Frame, LaplacianPixels, Pixels, PlainPixels
from impasto.engine.scales import Scale, pyramid
from impasto.engine.store import Store
from impasto.engine.tiled import Tiles
from impasto.errors import UsageError
from impasto.events import Event, Finished, ScaleStarted, Started, Step
from impasto.images.resize import fit_size, resize, resize_map
from impasto.images.tensors import from_tensor, to_tensor
from impasto.recipes import Recipe, write_recipe
from impasto.specs import StylizeSpec
from impasto.styling import fast, network, starts, tiling
from impasto.styling.colours import finished, needs_photo, recoloured
from impasto.styling.filtered import Filters
from impasto.styling.goals import Paintings, goals_at
from impasto.styling.guides import Guides
from impasto.styling.inputs import Inputs
from impasto.styling.one_pass import instant
from impasto.styling.plan import terms_at


class Stylization:
    """One job: checked on construction, run by :meth:`events`, saved by :meth:`state`.

    Args:
        spec: The request.
        recipe: All numbers, from :func:`impasto.styling.plan.resolve`.
        inputs: The pictures.
        backbone: The network to use in place of the recipe's, already loaded.

    Raises:
        UsageError: A device or layer is not there.
        InputError: The size is too small for the deepest layer.
        ResourceError: It would not fit in memory.
        WeightsError: The backbone's weights are missing or damaged.
    """

    def __init__(
        self,
        spec: StylizeSpec,
        recipe: Recipe,
        inputs: Inputs,
        backbone: Backbone | None = None,
    ) -> None:
        self.spec = spec
        self.inputs = inputs
        self.device = pick_device(spec.device)
        self._filters = Filters.of(spec, inputs, self.device)
        recipe, backbone, self._notes = network.choose(recipe, spec, backbone)
        self.recipe = recipe
        self.optimiser = Optimiser(**recipe.optimizer.model_dump())
        size = fit_size(inputs.photo.height, inputs.photo.width, recipe.size)
        self.backbone = backbone.to(self.device)
        layers = _layers(recipe)
        self.scales = _scales(recipe, size, self.backbone, layers)
        self._tile = self._choose_tile(layers)
        self._run: Optimisation | None = None
        self._index = 0
        self._resumed: dict[str, Any] | None = None
        self._frame = Frame(recipe.margin)
        self._photo = self._filters.prepared(to_tensor(inputs.photo, self.device), size)
        self._shown = self._mixed_in(size)
        paintings = [to_tensor(p, self.device) for p in inputs.paintings]
        self._paintings = Paintings(
            recoloured(paintings, self._photo, spec), spec.style_scale, spec.degrees()
        )
        self._guides = Guides.of(inputs, spec, size, self.device)

    def settings(self) -> dict[str, Any]:
        """The recipe and the filters with all numbers, for the record."""
        return self.recipe.model_dump(mode="json") | self._filters.settings()

    def described(self) -> dict[str, Any]:
        """The inputs: role to name, sha256, size."""
        return self.inputs.described()

    def notes(self) -> tuple[str, ...]:
        """What a person should know of the network and the pictures."""
        return (*self._notes, *self.inputs.notes())

    def save_recipe(self, path: str, *, force: bool) -> None:
        """Write the recipe, all numbers as they are used, to a .toml file."""
        write_recipe(self.recipe, Path(path), force=force)

    def events(self) -> Iterator[Event]:
        """Run; the last event is :class:`impasto.events.Finished`, not saved yet."""
        begun = time.monotonic()
        shape = tuple((s.height, s.width, s.steps) for s in self.scales)
        yield Started("stylize", shape, self.settings(), self.notes())
        for index in range(self._index, len(self.scales)):
            self._begin(index)
            scale = self.scales[index]
            yield ScaleStarted(index, len(self.scales), scale.height, scale.width, scale.steps)
            for step in self._optimisation.steps():
                yield Step(index, step.index, scale.steps, step.terms, self.image, note=step.note)
        yield self.finished(time.monotonic() - begun)

    def finished(self, seconds: float, *, complete: bool = True) -> Finished:
        """The result so far as an event."""
        image = from_tensor(self._filters.completed(self.image()))
        return Finished(image, self._alpha(), self.settings(), seconds, None, complete)

    def image(self) -> Tensor:
        """The picture so far at the size of the current scale, (1, 3, H, W) in [0, 1]."""
        picture = self._frame.crop(self._optimisation.image()).clamp(0, 1)
        size = (picture.shape[-2], picture.shape[-1])
        return finished(picture, self._shown, self.spec, self._guides.kept_at(size))

    @property
    def begun(self) -> bool:
        """Whether there is anything to save."""
        return self._run is not None

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`load` needs to go on exactly here."""
        return {"scale": self._index, "run": self._optimisation.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state when :meth:`events` is called."""
        self._index, self._resumed = state["scale"], state["run"]

    @property
    def _optimisation(self) -> Optimisation:
        if self._run is None:
            raise UsageError("the job has not begun")
        return self._run

    def _begin(self, index: int) -> None:
        scale, coarser = self.scales[index], self._run
        size = (scale.height, scale.width)

        def next_canvas(canvas: Tensor) -> Tensor:
            return self._frame.pad(resize(self._frame.crop(canvas), size))

        start = (
            self._frame.pad(self._start(size)) if coarser is None else next_canvas(coarser.image())
        )
        tile = tiling.at(self._tile, size)
        store = tiling.store(tile)
        pixels = self._pixels(start, store)
        del start
        goals = goals_at(
            terms_at(self.recipe.terms, index),
            tiling.eyes(self.backbone, tile),
            store.keep(self._frame.pad(resize(self._photo, size))),
            self._paintings,
            self._guides.areas_at(size, self._frame),
            max(size),
        )
        run = Optimisation(
            pixels,
            tiling.objective(
                self.backbone, goals, tile, normalize_gradients=self.recipe.normalize_gradients
            ),
            self._optimiser_at(index),
            scale.steps,
            store,
        )
        if self._resumed is not None:
            run.load(self._resumed)
            self._resumed = None
        elif coarser is not None:
            run.inherit(coarser, next_canvas)
        self._run, self._index = run, index

    def _start(self, size: tuple[int, int]) -> Tensor:
        """The first picture: photo, noise, a mixture, or one that the caller gave."""
        start = starts.parse(self.recipe.init)
        if start.kind == "picture" and self.inputs.start is not None:
            return resize(to_tensor(self.inputs.start, self.device), size).clamp(0, 1)
        photo = resize(self._photo, size).clamp(0, 1)
        if start.kind == "instant":
            areas = self._guides.areas_at(size, Frame(0))
            return instant(fast.default(), photo, self._paintings, areas)
        generator = torch.Generator().manual_seed(self.spec.seed)
        return starts.draw(start, photo, list(self._paintings.images), generator, self.recipe.mean)

    def _pixels(self, start: Tensor, store: Store) -> Pixels:
        if self.recipe.pixels == "laplacian":
            return LaplacianPixels(start, clamp=self.recipe.clamp)
        return PlainPixels(start, clamp=self.recipe.clamp, store=store)

    def _optimiser_at(self, index: int) -> Optimiser:
        last = index == len(self.scales) - 1 and index > 0
        factor = self.recipe.schedule.final_lr if last else 1.0
        optimiser = replace(self.optimiser, lr=self.optimiser.lr * factor)
        return bounded(optimiser, self.scales[index].height * self.scales[index].width)

    def _mixed_in(self, size: tuple[int, int]) -> Tensor:
        """The photo as results are mixed with it; at the size of the result, for speed."""
        return resize(self._photo, size) if needs_photo(self.spec) else self._photo

    def _alpha(self) -> Any:
        alpha = self.inputs.photo.alpha
        if alpha is None:
            return None
        size = (self.scales[self._index].height, self.scales[self._index].width)
        return resize_map(torch.tensor(alpha)[None, None], size)[0, 0].numpy()

    def _choose_tile(self, layers: list[str]) -> Tiles | None:
        last, margin = self.scales[-1], 2 * self.recipe.margin
        size = (last.height + margin, last.width + margin)
        return tiling.choose(self.spec.tile, self.recipe, self.backbone, layers, size, self.device)


def _layers(recipe: Recipe) -> list[str]:
    return [n for t in recipe.terms if t.weight for n in t.layers if n != IMAGE]


def _scales(
    recipe: Recipe, size: tuple[int, int], backbone: Backbone, layers: list[str]
) -> list[Scale]:
    """The pyramid without the scales that are too small for the deepest layer.

    The final one stays in any case, so that a size that is too small is reported.
    """
    plan = recipe.schedule
    steps = plan.steps[recipe.quality]
    every = pyramid(*size, steps, ratio=plan.ratio, smallest=plan.smallest, count=plan.count)
    need = backbone.min_size(layers)
    if min(size) < need:
        backbone.taps(torch.zeros(1, 3, *size), layers)  # raises, with the layer's name
    scales = [s for s in every if min(s.height, s.width) >= need]
    if len(scales) > 1:
        scales[0] = replace(scales[0], steps=round(scales[0].steps * plan.first))
    return scales
