"""The job: a network and its units in, a picture of each out."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from impasto.backbones import CLASSIFIER, DEFAULT, Backbone
from impasto.backbones import load as load_backbone
from impasto.backbones.module import ModuleTaps
from impasto.engine import memory
from impasto.engine.cppn import CPPNPixels
from impasto.engine.devices import pick_device, placed
from impasto.engine.excite import Excitement
from impasto.engine.fourier import FourierPixels
from impasto.engine.optimise import Optimisation
from impasto.engine.pixels import LaplacianPixels, Pixels, PlainPixels
from impasto.engine.regularised import RegularisedPixels
from impasto.engine.wishes import Wanted
from impasto.errors import UsageError
from impasto.events import Event, Finished, ScaleStarted, Started, Step
from impasto.images import Picture
from impasto.images.resize import fit_size, resize
from impasto.images.tensors import from_tensor, to_tensor
from impasto.specs import VisualizeSpec
from impasto.specs.base import FULL
from impasto.visualizing import report
from impasto.visualizing.looks import resolved
from impasto.visualizing.sheet import Pixels as Bytes
from impasto.visualizing.sheet import sheet
from impasto.visualizing.units import Network, titles, wanted


@dataclass(frozen=True)
class Stage:
    """A stretch of the way to one picture: which unit, at which size, how many steps."""

    unit: int
    height: int
    width: int
    steps: int
    first: bool


class Visualization:
    """One job: checked on construction, run by :meth:`events`, saved by :meth:`state`.

    Args:
        spec: The request.
        start: A picture to start from, or None for noise.
        example: The picture whose mean activation is the direction, or None.
        network: A network to use in place of the request's: a backbone, or any module.

    Raises:
        UnknownName: A network, layer, class or recipe does not exist.
        UsageError: A channel or device is not there, or the network has no classes.
        InputError: The size is too small for the layer.
        ResourceError: It would not fit in memory.
        WeightsError: Weights are missing or damaged.
    """

    def __init__(
        self,
        spec: VisualizeSpec,
        start: Picture | None = None,
        example: Picture | None = None,
        network: nn.Module | ModuleTaps | None = None,
    ) -> None:
        self.spec, self.look = spec, resolved(spec)
        self.device = pick_device(spec.device)
        self._pictures = {"init": start, "direction": example}
        self.network = self._network(network)
        self.size = (spec.size, spec.size)
        if start is not None:
            self.size = fit_size(start.height, start.width, spec.size)
        self._start = None if start is None else to_tensor(start, self.device)
        self.units = wanted(spec, self.network, self.look.rivals, self._example(example))
        self._check_memory()
        self._probe()
        self.stages = list(self._stages())
        self._done: list[Bytes] = []
        self._values: list[float] = []
        self._value = torch.tensor(float("nan"))
        self._run: Optimisation | None = None
        self._index = 0
        self._resumed: dict[str, Any] | None = None

    def others(self) -> tuple[str, ...]:
        """What is added to the output's name for the picture of each unit alone."""
        if not self.spec.singles:
            return ()
        return tuple("-" + re.sub(r"[^\w.]+", "-", str(unit)) for unit in self.units)

    def settings(self) -> dict[str, Any]:
        """All numbers, explicit."""
        return self.look.settings() | {
            "backbone": self.network.name,
            "units": [str(unit) for unit in self.units],
            "size": [self.size[1], self.size[0]],
            "diversity": self.spec.diversity,
        }

    def described(self) -> dict[str, Any]:
        """The inputs: role to name, sha256, size; a module of the user's by its weights."""
        found: dict[str, Any] = {}
        for role, picture in self._pictures.items():
            if picture is not None:
                source, size = picture.source, [picture.width, picture.height]
                found[role] = {"name": source.name, "sha256": source.sha256, "size": size}
        if isinstance(self.network, ModuleTaps):
            digest = report.digest(self.network.module)
            found["backbone"] = {"name": self.spec.backbone, "sha256": digest, "size": []}
        return found

    def events(self) -> Iterator[Event]:
        """Run; the last event is :class:`impasto.events.Finished`, not saved yet."""
        begun = time.monotonic()
        shape = tuple((s.height, s.width, s.steps) for s in self.stages)
        notes = [
            f"{p.source.name}: {n}" for p in self._pictures.values() if p for n in p.source.notes
        ]
        yield Started("visualize", shape, self.settings(), tuple(notes))
        for index in range(self._index, len(self.stages)):
            stage = self.stages[index]
            run = self._begin(index)
            yield ScaleStarted(index, len(self.stages), stage.height, stage.width, stage.steps)
            for step in run.steps():
                self._value = step.terms["excitation"]
                yield Step(index, step.index, stage.steps, step.terms, self.image)
        self._keep()
        yield self.finished(time.monotonic() - begun)

    def image(self) -> Tensor:
        """The pictures of the unit at hand, (1, 3, H, B W) in [0, 1], side by side."""
        pictures = self._optimisation.image().clamp(0, 1)
        return torch.cat(list(pictures), -1)[None]

    def finished(self, seconds: float, *, complete: bool = True) -> Finished:
        """The result so far: the picture, or a sheet of all that there are."""
        done, values = self._so_far()
        count = self.spec.diversity
        names = titles(self.units)[: len(values)]
        if len(self.units) == 1 and count == 1:
            image = from_tensor(self.image())
        else:
            below = [n if i == 0 else "" for n in names for i in range(count)]
            columns = count if count > 1 else None
            image = np.asarray(sheet(done, below, columns), np.float32) / np.float32(255)
        singles = zip(self.others(), done[::count], strict=False)
        found = report.findings(self.network, self.units, values, done, count)
        return Finished(
            *(image, None, self.settings(), seconds),
            complete=complete,
            others={name: np.asarray(one, np.float32) / np.float32(255) for name, one in singles},
            report=found,
            tables=report.tables(found),
        )

    @property
    def begun(self) -> bool:
        """Whether there is anything to save."""
        return self._run is not None

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`load` needs; finished pictures are kept as they are shown."""
        return {
            "stage": self._index,
            "done": [torch.from_numpy(p.copy()) for p in self._done],
            "values": list(self._values),
            "value": self._value,
            "run": self._optimisation.state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state when :meth:`events` is called."""
        self._index, self._resumed = state["stage"], state["run"]
        self._done = [picture.numpy() for picture in state["done"]]
        self._values, self._value = list(state["values"]), state["value"]

    @property
    def _optimisation(self) -> Optimisation:
        if self._run is None:
            raise UsageError("the job has not begun")
        return self._run

    def _network(self, given: nn.Module | ModuleTaps | None) -> Network:
        spec = self.spec
        if isinstance(given, Backbone):
            return placed(given, self.device, spec.precision)
        if given is not None:
            if spec.precision != FULL:
                raise UsageError(
                    "precision is for networks of impasto's", hint="change the module itself"
                )
            return given if isinstance(given, ModuleTaps) else ModuleTaps(given)
        classes = spec.class_ or any("class:" in text for text in spec.objective)
        name = spec.backbone or (CLASSIFIER if classes else DEFAULT)
        return placed(load_backbone(name), self.device, spec.precision)

    def _example(self, picture: Picture | None) -> Tensor | None:
        """Features of the picture that gives a direction."""
        if picture is None:
            return None
        size = fit_size(picture.height, picture.width, self.spec.size)
        photo = resize(to_tensor(picture, self._where), size).clamp(0, 1)
        layer = str(self.spec.layer)
        with torch.no_grad():
            return self.network.taps(photo, [layer])[layer]

    @property
    def _where(self) -> torch.device:
        """A module of the user's stays where it is."""
        return self.network.device if isinstance(self.network, ModuleTaps) else self.device

    def _stages(self) -> Iterator[Stage]:
        shares = self.look.stages
        need = self.network.min_size(n for unit in self.units for n in unit.layers())
        sizes = [tuple(max(1, round(f * n)) for n in self.size) for f, _ in shares]
        large = [i for i, size in enumerate(sizes) if min(size) >= need] or [len(sizes) - 1]
        ends = [round(sum(s for _, s in shares[: i + 1]) * self.look.steps) for i in large]
        for unit in range(len(self.units)):
            for begin, end, i in zip([0, *ends], ends, large, strict=False):
                height, width = sizes[i]
                yield Stage(unit, height, width, max(1, end - begin), i == large[0])

    def _begin(self, index: int) -> Optimisation:
        stage = self.stages[index]
        if stage.first and self._run is not None and self._resumed is None:
            self._keep()
        if self._resumed is not None or stage.first or self._run is None:
            pixels = self._first(stage)
        else:
            pixels = self._run.pixels.resized(stage.height, stage.width)
        manner = self.look.manner
        if not stage.first:
            manner = replace(manner, redirect=0)
        unit = self.units[stage.unit]
        wish = Excitement(self.network, unit, manner, self._apart(unit))
        run = Optimisation(pixels, wish, self.look.optimiser, stage.steps)
        if self._resumed is not None:
            run.load(self._resumed)
            self._resumed = None
            if isinstance(pixels, RegularisedPixels):
                pixels.taken = run.done
        self._run, self._index = run, index
        return run

    def _first(self, stage: Stage) -> Pixels:
        """Pixels of a picture that begins: the given one, or noise."""
        look, size = self.look, (stage.height, stage.width)
        generator = torch.Generator().manual_seed(self.spec.seed)
        count = self.spec.diversity
        if look.pixels == "cppn":
            return CPPNPixels(count, *size, generator).to(self._where)
        image = self._blank(size, generator)
        if look.pixels == "fourier":
            pixels = FourierPixels(image, decay=look.decay, chroma=look.chroma)
            if self._start is None or count > 1:
                pixels.disturb(look.noise, generator)
            return pixels
        if look.pixels == "laplacian":
            return LaplacianPixels(image, clamp=True)
        if look.regulariser is not None:
            return RegularisedPixels(image, look.regulariser, look.mean)
        return PlainPixels(image)

    def _blank(self, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        """(B, 3, H, W): the start, or the mean colour with noise unless noise comes later."""
        shape = (self.spec.diversity, 3, *size)
        if self._start is not None:
            image = resize(self._start, size).clamp(0, 1).to(self._where).expand(shape)
        else:
            image = torch.tensor(self.look.mean, device=self._where).view(3, 1, 1).expand(shape)
        if self.look.pixels == "fourier" or (self._start is not None and shape[0] == 1):
            return image
        noise = torch.randn(shape, generator=generator).to(self._where)
        return (image + self.look.noise * noise).clamp(0, 1)

    def _apart(self, unit: Wanted) -> str | None:
        """Where pictures of one unit shall differ: at its layer, or the deepest with positions."""
        if self.spec.diversity == 1:
            return None
        return report.spatial(self.network, unit.layers())

    def _keep(self) -> None:
        """The unit at hand is finished."""
        if self._run is not None and len(self._values) < len(self.units):
            self._done += report.as_bytes(self._optimisation.image())
            self._values.append(-float(self._value))

    def _so_far(self) -> tuple[list[Bytes], list[float]]:
        """Finished pictures and, after a stop, the one at hand."""
        done, values = list(self._done), list(self._values)
        if self._run is not None and len(values) <= self.stages[self._index].unit:
            image = self._optimisation.image()
            if image.shape[-2:] != self.size:
                image = resize(image, self.size)
            done += report.as_bytes(image)
            values.append(-float(self._value))
        return done, values

    def _check_memory(self) -> None:
        if not isinstance(self.network, Backbone):
            return
        look, (height, width) = self.look, self.size
        count = self.spec.diversity * look.manner.views.count
        pixels = (height + 2 * look.manner.views.pad) * (width + 2 * look.manner.views.pad) * count
        layers = list(dict.fromkeys(n for unit in self.units for n in unit.layers()))
        need = memory.estimate(self.network, layers, look.optimiser, pixels)
        least = memory.fixed(self.network, layers)
        memory.check_fits(need, memory.available(self.device), pixels, max(self.size), least)

    @torch.no_grad()
    def _probe(self) -> None:
        """Ask for every unit once, so that what does not exist is refused before any work."""
        pad = 2 * self.look.manner.views.pad
        shape = (1, 3, self.size[0] + pad, self.size[1] + pad)
        grey = torch.full(shape, 0.5, device=self._where)
        layers = dict.fromkeys(n for unit in self.units for n in unit.layers())
        features = self.network.taps(grey, layers)
        for unit in self.units:
            for _, part in unit.terms():
                part.value(features)
