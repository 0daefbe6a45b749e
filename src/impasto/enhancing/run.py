"""The job: a picture enlarged by a network, then perhaps given the texture of a painting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from impasto.engine import memory
from impasto.engine.at_once import AtOnce
from impasto.engine.devices import pick_device
from impasto.enhancing.texture import Texture
from impasto.errors import UsageError
from impasto.events import Event, ScaleStarted, Started, Step
from impasto.images import Picture
from impasto.images.tensors import to_tensor
from impasto.networks import Enhancer, Model
from impasto.networks.enhance import enlarge
from impasto.networks.shelf import loaded
from impasto.specs import EnhanceSpec

#: Factor and variant where a request names neither, nor a model.
SCALE, VARIANT = 2, "perceptual"
#: Bytes per pixel of the result at the peak: of a pass over a part, and of the whole picture.
PASS, PLANES = 260, 60
#: Edge of tiles where they are chosen by themselves, px of the result.
EDGE = 1024


class Enhancing(AtOnce):
    """One job: checked on construction, run by :meth:`events`.

    Args:
        spec: The request.
        image: What is enlarged.
        painting: Whose texture it takes on, or None.

    Raises:
        InputError: There is no such model.
        UnknownName: No model has this name.
        UsageError: The model does not enlarge, or not by that factor.
        WeightsError: The model, or the network that looks at the painting, is damaged.
        ResourceError: It would not fit in memory.
    """

    verb = "enhance"

    def __init__(self, spec: EnhanceSpec, image: Picture, painting: Picture | None = None) -> None:
        self.spec = spec
        self.name, self.model, self.network = chosen(spec)
        scale = self.network.scale
        inputs = {"image": image} | ({"painting": painting} if painting else {})
        super().__init__(inputs, (image.height * scale, image.width * scale))
        self.device = pick_device(spec.device)
        self.tile = self._tile()
        self.texture = None if painting is None else self._texture(painting)

    def settings(self) -> dict[str, Any]:
        """All numbers, explicit."""
        found = {
            "model": self.name,
            "architecture": self.model.architecture,
            "scale": self.network.scale,
            "size": [self.size[1], self.size[0]],
            "alpha": self.spec.alpha,
        }
        return found | ({"texture": self.texture.settings()} if self.texture else {})

    def notes(self) -> tuple[str, ...]:
        """What a person should know: of the pictures, and what changes nothing."""
        idle = sorted({"steps", "strength"} & self.spec.model_fields_set)
        if self.texture is not None or not idle:
            return super().notes()
        return (*super().notes(), f"without --from-style, {' and '.join(idle)} changes nothing")

    @torch.no_grad()
    def make(self) -> Tensor:
        """The enlargement, (1, 3, H, W) in [0, 1]."""
        photo = to_tensor(self.picture, self.device)
        network = self.network.to(self.device)
        made = enlarge(network, photo, self.tile)
        if self.spec.alpha == 1:
            return made
        return network.plain(photo).clamp_(0, 1).lerp_(made, self.spec.alpha)

    def events(self) -> Iterator[Event]:
        """Run; a step is one of the work on the texture. The last event is Finished."""
        if self.texture is None:
            yield from super().events()
            return
        begun = time.monotonic()
        yield Started(self.verb, self.texture.shape(), self.settings(), self.notes())
        self._result = self.make().clone()
        stages, last = self.texture.shape(), -1
        for stage, step, made in self.texture.work(self._result):
            if stage != last:
                yield ScaleStarted(stage, len(stages), *stages[stage])
            last, self._result = stage, made
            image = partial(Tensor.clone, made)
            yield Step(stage, step.index, stages[stage][2], step.terms, image, note=step.note)
        yield self.finished(time.monotonic() - begun)

    def _tile(self) -> int:
        """Edge of the tiles in px of the picture; 0 is all at once."""
        pixels, scale = self.size[0] * self.size[1], self.network.scale
        if self.spec.tile == "off":
            tile = 0
        elif self.spec.tile == "auto":
            tile = EDGE // scale if max(self.size) > EDGE else 0
        else:
            tile = int(self.spec.tile)
        part = min(pixels, (scale * (tile + 2 * self.network.reach())) ** 2) if tile else pixels
        need = memory.BASE + PASS * part + PLANES * pixels
        memory.check_fits(need, memory.available(self.device), pixels, max(self.size))
        return tile

    def _texture(self, painting: Picture) -> Texture:
        return Texture(to_tensor(painting, self.device), self.size, self.network.scale, self.spec)


def chosen(spec: EnhanceSpec) -> tuple[str, Model, Enhancer]:
    """The name of the model, the model, its network.

    Raises:
        UsageError: It does not enlarge, or not by that factor; a variant of a model was asked for.
    """
    if spec.model is not None and spec.variant is not None:
        raise UsageError("model and variant exclude each other", hint="name one of them")
    name = spec.model or f"enhance-x{spec.scale or SCALE}-{spec.variant or VARIANT}"
    model = loaded(name)
    if not isinstance(model.network, Enhancer):
        raise UsageError(
            f"{name} is a model of the kind {model.kind}, which enlarges nothing",
            hint="see `impasto models`",
        )
    if spec.scale not in (None, model.network.scale):
        raise UsageError(
            f"{name} enlarges {model.network.scale} times, not {spec.scale}",
            hint="leave out --scale, or choose another model",
        )
    return name, model, model.network
