"""Texture synthesis: a stylization without a photo, on pixels of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from impasto.backbones import Backbone
from impasto.engine.devices import pick_device, placed
from impasto.engine.objective import Eyes, Goal
from impasto.engine.scales import Scale
from impasto.events import Finished
from impasto.filters.quilting import quilted
from impasto.images.colour import match_histogram
from impasto.images.resize import resize, resize_map
from impasto.images.tensors import to_tensor
from impasto.losses import LOSSES
from impasto.recipes import Recipe, TermSpec
from impasto.specs import TextureSpec
from impasto.styling import network, starts
from impasto.styling.exemplar import Exemplar
from impasto.styling.goals import Area, Paintings, goals_at
from impasto.styling.job import RecipeJob, Size, layers_of, scales_of
from impasto.styling.plan import terms_at
from impasto.styling.seams import seam_strength


class Texture(RecipeJob):
    """A texture, checked on construction.

    Args:
        spec: The request.
        recipe: All numbers, from :func:`impasto.styling.plan.resolve_texture`.
        inputs: The pictures.
        backbone: The network to use in place of the recipe's, already loaded.

    Raises:
        UsageError: A device or layer is not there.
        InputError: The size is too small for the deepest layer, or not that of the guide.
        ResourceError: It would not fit in memory.
        WeightsError: The backbone's weights are missing or damaged.
    """

    verb = "texture"

    def __init__(
        self,
        spec: TextureSpec,
        recipe: Recipe,
        inputs: Exemplar,
        backbone: Backbone | None = None,
    ) -> None:
        self.spec = spec
        self.inputs = inputs
        self.device = pick_device(spec.device)
        self.size = inputs.result_size(spec)
        recipe, backbone, self._notes = network.choose(recipe, spec.stylization(), backbone)
        backbone = placed(backbone, self.device, spec.precision)
        shown = inputs.looked_at(spec.exemplar_size)
        self._exemplar = resize(to_tensor(inputs.picture, self.device), shown).clamp(0, 1)
        scales = _scales(recipe, self.size, shown, backbone, periodic=spec.seamless)
        super().__init__(recipe, backbone, scales, spec.tile, periodic=spec.seamless)
        self._areas = _areas(inputs, self.device)

    def described(self) -> dict[str, Any]:
        """The inputs: role to name, sha256, size."""
        return self.inputs.described()

    def notes(self) -> tuple[str, ...]:
        """What a person should know of the network and the pictures."""
        return (*self._notes, *self.inputs.notes())

    def image(self) -> Tensor:
        """The picture so far at the size of the current scale, (1, 3, H, W) in [0, 1]."""
        return self._canvas()

    def finished(self, seconds: float, *, complete: bool = True) -> Finished:
        """The result so far as an event; it says how strong the seams are."""
        done = super().finished(seconds, complete=complete)
        if not self.spec.seamless:
            return done
        strength = seam_strength(torch.from_numpy(done.image.transpose(2, 0, 1)[None]))
        return replace(done, report={"seam": round(strength, 3)})

    def _completed(self) -> Tensor:
        picture = self._canvas()
        if self._passage.index == len(self.scales) - 1:
            picture = self._frame.resized(self._frame.pad(picture), self.size)
            picture = self._frame.crop(picture).clamp(0, 1)
        return picture if self.spec.colors == "free" else self._recoloured(picture)

    def _recoloured(self, picture: Tensor) -> Tensor:
        """Every part of the picture with the histograms of what it was made from."""
        found = picture.clone()
        size = (picture.shape[-2], picture.shape[-1])
        shown = (self._exemplar.shape[-2], self._exemplar.shape[-1])
        for area in self._areas:
            here, there = (
                _inside(plane, s) for plane, s in ((area.where, size), (area.parts.get(0), shown))
            )
            if here.any() and there.any():
                pixels = match_histogram(picture[:, :, here][:, :, None],
                                         self._exemplar[:, :, there][:, :, None])  # fmt: skip
                found[:, :, here] = pixels[:, :, 0]
        return found

    def _goals(self, index: int, eyes: Eyes) -> list[Goal]:
        size = self._size(index)
        factor = _factor(size, self._size(-1))
        areas = [
            a if a.where is None else replace(a, where=self._frame.pad(resize_map(a.where, size)))
            for a in self._areas
        ]
        longest = max(1, round(max(self._exemplar.shape[-2:]) * factor))
        canvas = self._frame.pad(self._exemplar.new_zeros(1, 3, *size))
        terms = terms_at(self.recipe.terms, index)
        if self.spec.seamless:
            terms = tuple(map(_periodic, terms))
        return goals_at(terms, eyes, canvas, Paintings([self._exemplar]), areas, longest)

    def _start(self, size: Size) -> Tensor:
        """The first picture: noise, the exemplar's pixels, patches, or one that was given."""
        start = starts.parse(self.recipe.init)
        if start.kind == "picture" and self.inputs.start is not None:
            return resize(to_tensor(self.inputs.start, self.device), size).clamp(0, 1)
        canvas = self._exemplar.new_zeros(1, 3, *size)
        generator = torch.Generator().manual_seed(self.spec.seed)
        exemplar = self._at(size)
        if start.kind == "quilting":
            return quilted(exemplar, size, seed=self.spec.seed, periodic=self.spec.seamless)
        return starts.draw(start, canvas, [exemplar], generator, self.recipe.mean)

    def _at(self, size: Size) -> Tensor:
        """The exemplar as it is looked at on a scale."""
        factor = _factor(size, self._size(-1))
        height, width = (max(1, round(n * factor)) for n in self._exemplar.shape[-2:])
        return resize(self._exemplar, (height, width)).clamp(0, 1)

    def _resampled(self, canvas: Tensor, index: int) -> Tensor:
        """As for every recipe; what is periodic is rolled, so that strides leave no grid."""
        canvas = super()._resampled(canvas, index)
        if not self.spec.seamless:
            return canvas
        generator = torch.Generator().manual_seed(self.spec.seed + index)
        down, across = (int(torch.randint(n, (), generator=generator)) for n in self._size(index))
        return canvas.roll((down, across), (-2, -1))


def _periodic(term: TermSpec) -> TermSpec:
    """The term for pictures that go on at their opposite edges, where its loss knows of edges."""
    kind: Any = LOSSES.get(term.loss)
    if not any(f.name == "periodic" for f in fields(kind)):
        return term
    return term.model_copy(update={"options": {**term.options, "periodic": True}})


def _scales(
    recipe: Recipe, size: Size, shown: Size, backbone: Backbone, *, periodic: bool
) -> list[Scale]:
    """The pyramid, as far as the exemplar is large enough for it.

    What is periodic is a whole number of the coarsest layer's positions wide and high.
    """
    scales = scales_of(recipe, size, backbone)
    least = min(recipe.schedule.smallest, max(shown))
    fitting = [s for s in scales[:-1] if max(shown) * _factor((s.height, s.width), size) >= least]
    scales = [*fitting, scales[-1]]
    if not periodic:
        return scales
    grid = max((backbone.table[backbone.resolve(n)].stride for n in layers_of(recipe)), default=1)
    return [
        replace(s, height=-(-s.height // grid) * grid, width=-(-s.width // grid) * grid)
        for s in scales
    ]


def _factor(size: Size, final: Size) -> float:
    """How much smaller than the final picture a scale is, along an edge."""
    return math.sqrt(size[0] * size[1] / (final[0] * final[1]))


def _areas(inputs: Exemplar, device: torch.device) -> Sequence[Area]:
    """What of the exemplar goes where; all of it everywhere without maps."""
    alpha = inputs.picture.alpha
    opaque = None if alpha is None else torch.tensor(alpha)[None, None].to(device)
    if not inputs.regions:
        return [Area({0: 1.0}, {} if opaque is None else {0: opaque})]
    areas = []
    for where, part in inputs.regions:
        plane = torch.tensor(part)[None, None].to(device)
        if opaque is not None:
            plane = plane * resize_map(opaque, (plane.shape[-2], plane.shape[-1]))
        areas.append(Area({0: 1.0}, {0: plane}, torch.tensor(where)[None, None].to(device)))
    return areas


def _inside(plane: Tensor | None, size: Size) -> Tensor:
    """Which pixels of a picture of ``size`` lie in an area, (H, W)."""
    if plane is None:
        return torch.ones(size, dtype=torch.bool)
    return resize_map(plane, size)[0, 0] > 0.5
