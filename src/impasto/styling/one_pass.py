"""The main job with a method of one pass: no optimisation, a second or so."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from impasto import backbones
from impasto.backbones import Backbone
from impasto.engine.allocator import kept_memory
from impasto.engine.devices import pick_device
from impasto.engine.pixels import Frame
from impasto.errors import UsageError
from impasto.events import Event, Finished, ScaleStarted, Started, Step
from impasto.filters.kernels import guided
from impasto.images.resize import fit_size, resize, resize_map
from impasto.images.tensors import from_tensor, to_tensor
from impasto.recipes import OnePass, write_recipe
from impasto.recipes.one_pass import Level, Pass, Smooth
from impasto.specs import StylizeSpec
from impasto.styling import starts
from impasto.styling.colours import finished, recoloured
from impasto.styling.encodings import remembered
from impasto.styling.filtered import Filters
from impasto.styling.goals import NOWHERE, Area, Paintings
from impasto.styling.guides import Guides
from impasto.styling.inputs import Inputs
from impasto.universal import Coder, Coders, Gaussian, Region, mixture, restyled

#: Pictures with a longer side are worked on in tiles of :data:`TILE` px.
WHOLE, TILE = 1280, 768
#: Least side of a painting, px: two positions of the coarsest layer there may be.
LEAST = 16
#: Weights of red, green and blue in light (Rec. 709, on coded values).
LIGHT = (0.2126, 0.7152, 0.0722)
Size = tuple[int, int]
#: A painting (1, 3, H, W), and the map of what counts.
View = tuple[Tensor, Tensor | None]


@dataclass(frozen=True, eq=False)
class Universal:
    """A method of one pass with its networks, ready for any photo and paintings.

    Attributes:
        coders: The encoder and its decoders.
        paintings: Where the style comes from.
        tile: Edge of tiles, px; None for the whole picture at once.
        keep: Whether what is known of a painting is kept on disk.
        seen: The paintings in the sizes and turns that were asked for, each with the map of what
            counts: its id is in the key.
    """

    coders: Coders
    paintings: Paintings
    tile: int | None = None
    keep: bool = True
    seen: dict[tuple[int, int, int], tuple[Tensor | None, list[View]]] = field(default_factory=dict)

    def level(self, picture: Tensor, level: Level, areas: Sequence[Area], alpha: float) -> Tensor:
        """One level of the method; picture (1, 3, H, W), areas with maps of that size."""
        coder = self.coders.get(level.layer, level.decoder)
        longest = max(picture.shape[-2:])
        frame = margin(coder)
        regions = []
        for area in areas:
            if area.where is None or float(area.where.mean()) > NOWHERE:
                leading = max(area.shares, key=lambda i: area.shares[i])
                regions.append(
                    Region(
                        tuple(
                            (self._target(coder, index, area.parts.get(index), longest), share)
                            for index, share in area.shares.items()
                        ),
                        None if area.where is None else frame.pad(area.where),
                        partial(self._patches, coder, leading, longest),
                    )
                )
        made = restyled(
            frame.pad(picture),
            coder,
            regions,
            level.method,
            strength=level.strength * alpha,
            ridge=level.ridge,
            limit=level.limit,
            tile=None if level.method == "swap" else self.tile,
        )
        return frame.crop(made)

    def _target(self, coder: Coder, index: int, part: Tensor | None, longest: int) -> Gaussian:
        """Of one painting in all its sizes and turns."""
        found = []
        about = f"{coder.backbone.name} {coder.layer}"
        for view, where in self._views(index, part, longest):
            measure = partial(_measured, coder, view, where)
            found.append(remembered(view, where, about, measure) if self.keep else measure())
        return mixture(found, [1 / len(found)] * len(found))

    def _patches(self, coder: Coder, index: int, longest: int) -> Tensor:
        return coder.encode(margin(coder).pad(self._views(index, None, longest)[0][0]))

    def _views(self, index: int, part: Tensor | None, longest: int) -> list[View]:
        key = index, id(part), longest
        if key not in self.seen:
            self.seen[key] = part, list(self.paintings.views(index, part, longest, LEAST))
        return self.seen[key][1]


class OnePassStylization:
    """One job: checked on construction, run by :meth:`events`, saved by :meth:`state`.

    Args:
        spec: The request.
        method: All numbers, from :func:`impasto.styling.fast.resolve`.
        inputs: The pictures.

    Raises:
        UsageError: A layer has no decoder.
        WeightsError: The weights of a network are missing or damaged.
    """

    def __init__(self, spec: StylizeSpec, method: OnePass, inputs: Inputs) -> None:
        self.spec, self.method, self.inputs = spec, method, inputs
        self.device = pick_device(spec.device)
        self.passes = method.passes[method.quality]
        self._filters = Filters.of(spec, inputs, self.device)
        size = fit_size(inputs.photo.height, inputs.photo.width, method.size)
        self.sizes = [pass_size(size, p) for p in self.passes]
        self._photo = resize(
            self._filters.prepared(to_tensor(inputs.photo, self.device), size), size
        ).clamp(0, 1)
        paintings = [to_tensor(p, self.device) for p in inputs.paintings]
        self._paintings = Paintings(
            recoloured(paintings, self._photo, spec), spec.style_scale, spec.degrees()
        )
        coders = Coders(load_backbone(method, self.device))
        for level in (level for p in self.passes for level in p.levels):
            coders.get(level.layer, level.decoder)
        self._universal = Universal(coders, self._paintings, chosen_tile(spec, method, size))
        self._guides = Guides.of(inputs, spec, size, self.device)
        self._picture: Tensor | None = None
        self._place = (0, 0)

    def settings(self) -> dict[str, Any]:
        """The method and the filters with all numbers, for the record."""
        return self.method.model_dump(mode="json") | self._filters.settings()

    def described(self) -> dict[str, Any]:
        """The inputs: role to name, sha256, size."""
        return self.inputs.described()

    def save_recipe(self, path: str, *, force: bool) -> None:
        """Write the method, all numbers as they are used, to a .toml file."""
        write_recipe(self.method, Path(path), force=force)

    def events(self) -> Iterator[Event]:
        """Run; a level is a step. The last event is Finished, not saved yet."""
        begun = time.monotonic()
        shape = tuple((*s, len(p.levels)) for s, p in zip(self.sizes, self.passes, strict=True))
        yield Started("stylize", shape, self.settings(), self.inputs.notes())
        with kept_memory():
            yield from self._passes()
        yield self.finished(time.monotonic() - begun)

    def _passes(self) -> Iterator[Event]:
        first, done = self._place
        for index in range(first, len(self.passes)):
            size, levels = self.sizes[index], self.passes[index].levels
            yield ScaleStarted(index, len(self.passes), *size, len(levels))
            if done == 0:
                self._picture = self._begin(index)
            for number in range(done, len(levels)):
                yield self._level(index, number)
            done = 0

    def finished(self, seconds: float, *, complete: bool = True) -> Finished:
        """The result so far as an event."""
        image = from_tensor(self._filters.completed(self.image()))
        return Finished(image, self._alpha(), self.settings(), seconds, None, complete)

    def image(self) -> Tensor:
        """The picture so far, (1, 3, H, W) in [0, 1]."""
        picture = self._current
        size = (picture.shape[-2], picture.shape[-1])
        if self.method.smooth is not None:
            picture = smoothed(picture, resize(self._photo, size), self.method.smooth)
        # The strength counted at every level already.
        spec = self.spec.model_copy(update={"alpha": 1.0})
        return finished(picture, self._photo, spec, self._guides.kept_at(size))

    @property
    def begun(self) -> bool:
        """Whether there is anything to save."""
        return self._picture is not None

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`load` needs to go on exactly here."""
        return {"place": list(self._place), "picture": self._current}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state when :meth:`events` is called."""
        first, done = state["place"]
        self._place, self._picture = (int(first), int(done)), state["picture"].to(self.device)
        if self._place[0] < len(self.passes) - 1 and done == len(self.passes[first].levels):
            self._place = (first + 1, 0)

    @property
    def _current(self) -> Tensor:
        if self._picture is None:
            raise UsageError("the job has not begun")
        return self._picture

    def _begin(self, index: int) -> Tensor:
        size = self.sizes[index]
        photo = resize(self._photo, size).clamp(0, 1)
        if index == 0 or self._picture is None:
            return self._start(photo)
        detail = self.passes[index].detail if self.method.init == "content" else 0.0
        return enlarged(self._picture, self._photo, photo, 1 - self.spec.alpha * (1 - detail))

    def _start(self, photo: Tensor) -> Tensor:
        start = starts.parse(self.method.init)
        if start.kind == "picture" and self.inputs.start is not None:
            size = (photo.shape[-2], photo.shape[-1])
            return resize(to_tensor(self.inputs.start, self.device), size).clamp(0, 1)
        generator = torch.Generator().manual_seed(self.spec.seed)
        return starts.draw(start, photo, list(self._paintings.images), generator).clamp(0, 1)

    def _level(self, index: int, number: int) -> Step:
        before = self._current
        level = self.passes[index].levels[number]
        areas = self._guides.areas_at((before.shape[-2], before.shape[-1]), Frame(0))
        self._picture = self._universal.level(before, level, areas, self.spec.alpha)
        self._place = (index, number + 1)
        change = (self._picture - before).square().mean()
        steps = len(self.passes[index].levels)
        return Step(index, number + 1, steps, {"change": change}, self.image)

    def _alpha(self) -> Any:
        alpha = self.inputs.photo.alpha
        if alpha is None:
            return None
        size = (self._current.shape[-2], self._current.shape[-1])
        return resize_map(torch.tensor(alpha)[None, None], size)[0, 0].numpy()


def instant(method: OnePass, photo: Tensor, paintings: Paintings, areas: Sequence[Area]) -> Tensor:
    """The picture of a method from a photo (1, 3, H, W), for others to begin with."""
    universal = Universal(Coders(load_backbone(method, photo.device)), paintings)
    size: Size = (photo.shape[-2], photo.shape[-1])
    picture = photo
    for index, part in enumerate(method.passes[method.quality]):
        smaller = pass_size(size, part)
        small = resize(photo, smaller).clamp(0, 1)
        picture = small if index == 0 else enlarged(picture, photo, small, part.detail)
        there = [
            a if a.where is None else Area(a.shares, a.parts, resize_map(a.where, smaller))
            for a in areas
        ]
        for level in part.levels:
            picture = universal.level(picture, level, there, 1.0)
    return picture


def enlarged(picture: Tensor, photo: Tensor, here: Tensor, detail: float) -> Tensor:
    """A smaller picture at the size of ``here``, the photo there, with the photo's detail."""
    size: Size = (here.shape[-2], here.shape[-1])
    small: Size = (picture.shape[-2], picture.shape[-1])
    grown = resize(picture, size)
    if detail and small != size:
        grown = grown + detail * (here - resize(resize(photo, small).clamp(0, 1), size))
    return grown.clamp(0, 1)


def smoothed(picture: Tensor, photo: Tensor, numbers: Smooth) -> Tensor:
    """The picture as a locally linear function of the photo's light."""
    weights = photo.new_tensor(LIGHT).view(1, 3, 1, 1)
    guide = (photo * weights).sum(1, keepdim=True)
    radius = max(1, round(numbers.radius * max(photo.shape[-2:])))
    return guided(picture, guide, radius, numbers.epsilon).clamp(0, 1)


def pass_size(size: Size, part: Pass) -> Size:
    """Height and width of a pass for a result of ``size``; never below 16 px."""
    height, width = (min(n, max(16, round(n * part.size))) for n in size)
    return height, width


def margin(coder: Coder) -> Frame:
    """A mirrored frame that is as wide as the encoder sees: the zeros around it stay outside."""
    return Frame(-(-coder.reach // 4) * 4)


def chosen_tile(spec: StylizeSpec, method: OnePass, size: Size) -> int | None:
    """Edge of the tiles, or None.

    Raises:
        UsageError: Tiles were asked for, and the method cannot work in them.
    """
    swaps = any(v.method == "swap" for p in method.passes[method.quality] for v in p.levels)
    if spec.tile not in ("auto", "off"):
        if swaps:
            raise UsageError(f"recipe {method.name} cannot be computed in tiles", hint="--tile off")
        return int(spec.tile)
    return TILE if spec.tile == "auto" and max(size) > WHOLE else None


def load_backbone(method: OnePass, device: torch.device) -> Backbone:
    """The encoder of a method, loaded once; nothing changes it."""
    return _load(method.backbone, method.pooling, str(device))


@cache
def _load(name: str, pooling: str, device: str) -> Backbone:
    return backbones.load(name, pooling=pooling).to(torch.device(device))


@torch.no_grad()
def _measured(coder: Coder, view: Tensor, where: Tensor | None) -> Gaussian:
    frame = margin(coder)
    features = coder.encode(frame.pad(view))
    if where is not None:
        where = frame.pad(where)
        where = resize_map(where, (features.shape[-2], features.shape[-1]))
    return Gaussian.of(features, where)
