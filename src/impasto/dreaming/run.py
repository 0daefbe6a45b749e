"""The job: a picture and a network in, a dream or a journey of dreams out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from impasto.backbones import CLASSIFIER, Backbone
from impasto.backbones import load as load_backbone
from impasto.dreaming.frames import Bytes, Frames, as_bytes, nearer
from impasto.engine import memory
from impasto.engine.devices import pick_device, placed
from impasto.engine.dreams import LOOSE_HALO, Dream, Guided, Loudness, Score, tiling
from impasto.engine.optimise import Optimisation, Optimiser
from impasto.engine.pixels import PlainPixels
from impasto.engine.scales import Scale, pyramid
from impasto.errors import UsageError
from impasto.events import Event, Finished, ScaleStarted, Started, Step
from impasto.images import Picture
from impasto.images.resize import fit_size, resize, resize_map
from impasto.images.tensors import from_tensor, to_tensor
from impasto.specs import DreamSpec

#: Longest side of a dream of a large picture, px, where no size was asked for.
LONGEST = 1024
#: What dreams where no network was asked for, and at which layer.
NETWORK, LAYER = CLASSIFIER, "relu4_4"
#: Edge of a tile where the whole does not fit, px.
TILE = 512


@dataclass(frozen=True)
class Octave:
    """A stretch of the way: which frame, at which size, how many steps."""

    frame: int
    height: int
    width: int
    steps: int
    first: bool


class Dreaming:
    """One job: checked on construction, run by :meth:`events`, saved by :meth:`state`.

    In each octave the picture is what the octave before made of it: the photo at the new size
    plus, enlarged, the difference that the dream has made.

    Args:
        spec: The request.
        photo: What is dreamt of.
        guide: What shall grow, or None.
        backbone: The network to use in place of the request's, already loaded.

    Raises:
        UnknownName: A network or layer does not exist.
        UsageError: A channel or device is not there, or a layer has no positions.
        InputError: The picture or guide is too small for the layer.
        ResourceError: It would not fit in memory.
        WeightsError: Weights are missing or damaged.
    """

    def __init__(
        self,
        spec: DreamSpec,
        photo: Picture,
        guide: Picture | None = None,
        backbone: Backbone | None = None,
    ) -> None:
        self.spec, self.photo, self.guide = spec, photo, guide
        self.device = pick_device(spec.device)
        network = backbone or load_backbone(spec.backbone or NETWORK)
        self.backbone = placed(network, self.device, spec.precision)
        self.layers = self._layers()
        longest = spec.size or min(LONGEST, max(photo.height, photo.width))
        self.size = fit_size(photo.height, photo.width, longest)
        self.octaves = list(self._octaves())
        self.tile = self._tile()
        self.scores = self._scores()
        self._base = resize(to_tensor(photo, self.device), self.size).clamp(0, 1)
        self._check_channels()
        self._frames: list[Bytes] = []
        self._run: Optimisation | None = None
        self._index = 0
        self._resumed: dict[str, Any] | None = None

    def settings(self) -> dict[str, Any]:
        """All numbers, explicit."""
        names = (
            "octave_scale",
            "iterations",
            "learning_rate",
            "jitter",
            "smooth",
            "chroma",
            "zoom",
        )
        journey = ("zoom_scale", "zoom_rotate", "zoom_octaves", "fps") if self.spec.zoom else ()
        return {
            "name": "dream",
            "backbone": self.backbone.name,
            "layers": list(self.layers),
            "channels": list(self.spec.channel),
            "size": [self.size[1], self.size[0]],
            "octaves": [[o.width, o.height, o.steps] for o in self.octaves if o.frame == 0],
            **{name: getattr(self.spec, name) for name in (*names, *journey)},
        }

    def described(self) -> dict[str, Any]:
        """The inputs: role to name, sha256, size."""
        found = {}
        for role, picture in (("image", self.photo), ("guide", self.guide)):
            if picture is not None:
                source, size = picture.source, [picture.width, picture.height]
                found[role] = {"name": source.name, "sha256": source.sha256, "size": size}
        return found

    def events(self) -> Iterator[Event]:
        """Run; the last event is :class:`impasto.events.Finished`, not saved yet."""
        begun = time.monotonic()
        shape = tuple((o.height, o.width, o.steps) for o in self.octaves)
        notes = [
            f"{p.source.name}: {n}" for p in (self.photo, self.guide) if p for n in p.source.notes
        ]
        if self.tile < max(self.size):
            notes.append(f"in tiles of {self.tile} px")
        yield Started("dream", shape, self.settings(), tuple(notes))
        for index in range(self._index, len(self.octaves)):
            octave = self.octaves[index]
            run = self._begin(index)
            yield ScaleStarted(index, len(self.octaves), octave.height, octave.width, octave.steps)
            for step in run.steps():
                yield Step(index, step.index, octave.steps, step.terms, self.image)
        yield self.finished(time.monotonic() - begun)

    def image(self) -> Tensor:
        """The picture so far at the size of the octave, (1, 3, H, W) in [0, 1]."""
        return self._optimisation.image().clamp(0, 1)

    def finished(self, seconds: float, *, complete: bool = True) -> Finished:
        """The result so far, with all frames of a journey."""
        frames = Frames([*self._frames, as_bytes(self.image())]) if self.spec.zoom else {}
        return Finished(
            *(from_tensor(self.image()), self._alpha(), self.settings(), seconds),
            complete=complete,
            others=frames,
            frame_ms=1000 / self.spec.fps if self.spec.zoom else 0.0,
        )

    @property
    def begun(self) -> bool:
        """Whether there is anything to save."""
        return self._run is not None

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`load` needs to go on exactly here."""
        return {
            "octave": self._index,
            "base": self._base,
            "frames": [torch.from_numpy(frame.copy()) for frame in self._frames],
            "run": self._optimisation.state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state when :meth:`events` is called."""
        self._index, self._resumed = state["octave"], state["run"]
        self._base = state["base"].to(self.device)
        self._frames = [frame.numpy() for frame in state["frames"]]

    @property
    def _optimisation(self) -> Optimisation:
        if self._run is None:
            raise UsageError("the job has not begun")
        return self._run

    def _layers(self) -> tuple[str, ...]:
        asked = self.spec.layer or (self.backbone.nearest(LAYER),)
        layers = tuple(dict.fromkeys(self.backbone.resolve(n) for n in asked))
        for layer in layers:
            if not self.backbone.table[layer].stride:
                raise UsageError(
                    f"{layer} of {self.backbone.name} has no positions",
                    hint="dream of a layer before it; impasto visualize shows classes",
                )
        return layers

    def _octaves(self) -> Iterator[Octave]:
        spec, need = self.spec, self.backbone.min_size(self.layers)
        if min(self.size) < need:
            self.backbone.taps(torch.zeros(1, 3, *self.size), self.layers)  # raises, with the name
        for frame in range(max(1, spec.zoom)):
            count = spec.octaves if frame == 0 else min(spec.octaves, spec.zoom_octaves)
            scales: list[Scale] = pyramid(
                *self.size, [spec.iterations], ratio=spec.octave_scale, smallest=1, count=count
            )
            large = [s for s in scales if min(s.height, s.width) >= need]
            for place, s in enumerate(large):
                yield Octave(frame, s.height, s.width, s.steps, place == 0)

    def _tile(self) -> int:
        """Edge of a tile; the whole picture where that is allowed and fits."""
        height, width = self.size
        longest, pixels = max(self.size), height * width
        if self.spec.tile not in ("auto", "off"):
            return min(longest, int(self.spec.tile))
        free = memory.available(self.device)
        rate = Optimiser("sgd")
        need = memory.estimate(self.backbone, self.layers, rate, pixels)
        if self.spec.tile == "off" or free is None or need <= memory.SHARE * free:
            memory.check_fits(need, free, pixels, longest, memory.fixed(self.backbone, self.layers))
            return longest
        tile = min(TILE, longest)
        halo = tiling(self.backbone, tile, self.layers).halo
        edge = tile + 2 * max(halo, LOOSE_HALO)
        held = memory.activation_bytes(self.backbone, self.layers) * edge**2
        memory.check_fits(
            memory.BASE + held + 3 * memory.optimiser_bytes(rate) * pixels, free, pixels, longest
        )
        return tile

    @torch.no_grad()
    def _scores(self) -> list[Score]:
        if self.guide is None:
            return [Loudness(layer, self.spec.channel) for layer in self.layers]
        size = fit_size(self.guide.height, self.guide.width, self.spec.guide_size)
        picture = resize(to_tensor(self.guide, self.device), size).clamp(0, 1)
        taps = self.backbone.taps(picture, self.layers)
        return [Guided(layer, taps[layer][0].flatten(1).T.contiguous()) for layer in self.layers]

    def _check_channels(self) -> None:
        for score in self.scores:
            if isinstance(score, Loudness):
                count = self.backbone.table[score.layer].channels
                score.at(torch.zeros(1, count, 1, 1))

    def _begin(self, index: int) -> Optimisation:
        octave = self.octaves[index]
        size = (octave.height, octave.width)
        start = resize(self._base, size).clamp(0, 1)
        if self._resumed is None and self._run is not None:
            dreamt = self.image()
            if octave.first:
                self._frames.append(as_bytes(dreamt))
                self._base = nearer(dreamt, self.spec.zoom_scale, self.spec.zoom_rotate)
                start = resize(self._base, size).clamp(0, 1)
            else:
                small = (dreamt.shape[-2], dreamt.shape[-1])
                change = resize(dreamt - resize(self._base, small).clamp(0, 1), size)
                start = (start + change).clamp(0, 1)
        dream = Dream(
            self.backbone,
            self.scores,
            tile=self.tile,
            jitter=self.spec.jitter,
            levels=self.spec.smooth,
            chroma=self.spec.chroma,
            seed=self.spec.seed + index,
        )
        rate = Optimiser("sgd", lr=self.spec.learning_rate, scaled=True)
        run = Optimisation(PlainPixels(start), dream, rate, octave.steps)
        if self._resumed is not None:
            run.load(self._resumed)
            self._resumed = None
        self._run, self._index = run, index
        return run

    def _alpha(self) -> Any:
        if self.photo.alpha is None or self.spec.zoom:
            return None
        octave = self.octaves[self._index]
        alpha = torch.tensor(self.photo.alpha)[None, None]
        return resize_map(alpha, (octave.height, octave.width))[0, 0].numpy()
