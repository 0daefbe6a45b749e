"""The job: a texture out of noise."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from torch import Tensor

from impasto import networks
from impasto.engine import memory
from impasto.engine.at_once import AtOnce
from impasto.engine.devices import pick_device
from impasto.errors import UsageError
from impasto.images import load
from impasto.networks.shelf import locate
from impasto.networks.texture import TextureNet, weave
from impasto.specs import ApplySpec

#: Bytes per pixel at the peak.
BYTES = 700
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")


def size_in(text: str) -> tuple[int, int] | None:
    """Height and width of ``640x480``, width first; None where it is something else."""
    found = _SIZE.fullmatch(text)
    return (int(found[2]), int(found[1])) if found else None


class Weaving(AtOnce):
    """One job: checked on construction, run by :meth:`events`.

    Args:
        spec: The request, with a size in place of the photo.

    Raises:
        UsageError: The model makes no textures, or the size makes no sense.
        ResourceError: It would not fit in memory.
    """

    verb = "apply"

    def __init__(self, spec: ApplySpec) -> None:
        size = size_in(spec.image)
        if size is None or not 8 <= min(size) <= max(size) <= 32768:
            raise UsageError(f"{spec.image} is no size", hint="sides are 8 to 32768")
        super().__init__({"image": load(np.zeros((1, 1, 3), np.uint8))}, size)
        self.spec, self.device = spec, pick_device(spec.device)
        self.model = networks.load(locate(spec.model))
        if not isinstance(self.model.network, TextureNet):
            raise UsageError(f"{spec.model} makes no textures", hint="name a photo")
        pixels = size[0] * size[1]
        need = memory.BASE + BYTES * pixels
        memory.check_fits(need, memory.available(self.device), pixels, max(size))

    def settings(self) -> dict[str, Any]:
        """All numbers, explicit."""
        return {
            "model": self.model.kind,
            "architecture": self.model.architecture,
            "size": [self.size[1], self.size[0]],
            "seed": self.spec.seed,
        }

    def described(self) -> dict[str, Any]:
        """No inputs."""
        return {}

    def notes(self) -> tuple[str, ...]:
        """Whether the edges of a seamless texture meet."""
        assert isinstance(self.model.network, TextureNet)
        step = self.model.network.multiple
        cut = "seamless=1" in self.model.architecture and any(n % step for n in self.size)
        return (f"its edges do not meet: sides are no multiples of {step}",) if cut else ()

    def make(self) -> Tensor:
        """(1, 3, H, W) in [0, 1]."""
        assert isinstance(self.model.network, TextureNet)
        with torch.inference_mode():
            return weave(self.model.network.to(self.device), *self.size, self.spec.seed)
