"""The main job: a photo and paintings in, events out, the last of which holds the picture."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from impasto.backbones import Backbone
from impasto.engine.devices import pick_device, placed
from impasto.engine.objective import Eyes, Goal
from impasto.engine.pixels import Frame
from impasto.images import FloatArray
from impasto.images.resize import fit_size, resize, resize_map
from impasto.images.tensors import to_tensor
from impasto.recipes import Recipe
from impasto.specs import StylizeSpec
from impasto.styling import fast, network, starts
from impasto.styling.colours import finished, needs_photo, recoloured
from impasto.styling.filtered import Filters
from impasto.styling.goals import Paintings, goals_at
from impasto.styling.guides import Guides
from impasto.styling.inputs import Inputs
from impasto.styling.job import RecipeJob, Size, scales_of
from impasto.styling.one_pass import instant
from impasto.styling.plan import terms_at


class Stylization(RecipeJob):
    """A stylization, checked on construction.

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

    verb = "stylize"

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
        backbone = placed(backbone, self.device, spec.precision)
        size = fit_size(inputs.photo.height, inputs.photo.width, recipe.size)
        super().__init__(recipe, backbone, scales_of(recipe, size, backbone), spec.tile)
        self._photo = self._filters.prepared(to_tensor(inputs.photo, self.device), size)
        self._shown = self._mixed_in(size)
        paintings = [to_tensor(p, self.device) for p in inputs.paintings]
        self._paintings = Paintings(
            recoloured(paintings, self._photo, spec), spec.style_scale, spec.degrees()
        )
        self._guides = Guides.of(inputs, spec, size, self.device)

    def settings(self) -> dict[str, Any]:
        """The recipe and the filters with all numbers, for the record."""
        return super().settings() | self._filters.settings()

    def described(self) -> dict[str, Any]:
        """The inputs: role to name, sha256, size."""
        return self.inputs.described()

    def notes(self) -> tuple[str, ...]:
        """What a person should know of the network and the pictures."""
        return (*self._notes, *self.inputs.notes())

    def image(self) -> Tensor:
        """The picture so far at the size of the current scale, (1, 3, H, W) in [0, 1]."""
        picture = self._canvas()
        size = (picture.shape[-2], picture.shape[-1])
        return finished(picture, self._shown, self.spec, self._guides.kept_at(size))

    def _completed(self) -> Tensor:
        return self._filters.completed(self.image())

    def _goals(self, index: int, eyes: Eyes) -> list[Goal]:
        size = self._size(index)
        return goals_at(
            terms_at(self.recipe.terms, index),
            eyes,
            self._store(index).keep(self._frame.pad(resize(self._photo, size))),
            self._paintings,
            self._guides.areas_at(size, self._frame),
            max(size),
        )

    def _start(self, size: Size) -> Tensor:
        """The first picture: photo, noise, a mixture, or one that the caller gave."""
        start = starts.parse(self.recipe.init)
        if start.kind == "picture" and self.inputs.start is not None:
            return resize(to_tensor(self.inputs.start, self.device), size).clamp(0, 1)
        photo = self._photo_at(size)
        if start.kind == "instant":
            areas = self._guides.areas_at(size, Frame(0))
            return instant(fast.default(), photo, self._paintings, areas)
        generator = torch.Generator().manual_seed(self.spec.seed)
        return starts.draw(start, photo, list(self._paintings.images), generator, self.recipe.mean)

    def _refined(self, canvas: Tensor, index: int) -> Tensor:
        """The result so far, and of the photo what the scale before had no room for.

        Of the picture that it started from, where the caller gave one.
        """
        share, kind = self.recipe.schedule.detail, starts.parse(self.recipe.init).kind
        if not share or kind not in ("content", "instant", "picture"):
            return canvas
        first, size = self._start if kind == "picture" else self._photo_at, self._size(index)
        detail = first(size)
        detail -= resize(first(self._size(index - 1)), size)
        canvas.add_(self._frame.pad(detail), alpha=share)  # in place: pictures can be large
        return canvas.clamp_(0, 1) if self.recipe.clamp else canvas

    def _photo_at(self, size: Size) -> Tensor:
        """The photo, as it is painted, at a size."""
        return resize(self._photo, size).clamp(0, 1)

    def _mixed_in(self, size: Size) -> Tensor:
        """The photo as results are mixed with it; at the size of the result, for speed."""
        return resize(self._photo, size) if needs_photo(self.spec) else self._photo

    def _alpha(self) -> FloatArray | None:
        alpha = self.inputs.photo.alpha
        if alpha is None:
            return None
        plane = resize_map(torch.tensor(alpha)[None, None], self._size(self._passage.index))
        return plane[0, 0].numpy()
