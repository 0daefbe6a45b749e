"""The classical texture job: patches of the exemplar, without a network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch

from impasto.engine import memory
from impasto.errors import InputError, UsageError
from impasto.events import Event, Finished, Started
from impasto.filters.quilting import quilted
from impasto.images.resize import resize
from impasto.images.tensors import from_tensor, to_tensor
from impasto.specs import TextureSpec
from impasto.specs.texture import QUILTING
from impasto.styling.exemplar import Exemplar

#: Fields of the request that quilting knows; the others are refused where they were set.
KNOWN = {
    "exemplar",
    "seamless",
    "recipe",
    "size",
    "exemplar_size",
    "block",
    "seed",
    "device",
    "tile",
}
#: Bytes per pixel of the result at the peak.
PER_PIXEL = 100
#: Patches along the shorter side of the exemplar, unless the request says otherwise.
PATCHES = 4
#: Smallest patch, px.
SMALLEST = 12


class Quilt:
    """One job: checked on construction, run by :meth:`events`.

    Args:
        spec: The request.
        inputs: The exemplar.

    Raises:
        UsageError: The request has a field that means nothing here.
        InputError: The exemplar is smaller than a patch.
        ResourceError: It would not fit in memory.
    """

    def __init__(self, spec: TextureSpec, inputs: Exemplar) -> None:
        self.spec = spec
        self.inputs = inputs
        for name in sorted(spec.model_fields_set - KNOWN):
            if getattr(spec, name) != TextureSpec.model_fields[name].default:
                raise UsageError(f"quilting takes no {name.replace('_', '-')}")
        shown = inputs.looked_at(spec.exemplar_size)
        if min(shown) < SMALLEST:
            raise InputError(f"the exemplar is smaller than a patch of {SMALLEST} px")
        self.size = inputs.result_size(spec)
        self.block = min(spec.block or max(SMALLEST, round(min(shown) / PATCHES)), min(shown))
        self._exemplar = resize(to_tensor(inputs.picture), shown).clamp(0, 1)
        pixels = self.size[0] * self.size[1]
        free = memory.available(torch.device("cpu"))
        memory.check_fits(memory.BASE + PER_PIXEL * pixels, free, pixels, max(self.size))

    def settings(self) -> dict[str, Any]:
        """All numbers, for the record."""
        return {"name": QUILTING, "block": self.block, "seed": self.spec.seed}

    def described(self) -> dict[str, Any]:
        """The input: name, sha256, size."""
        return self.inputs.described()

    def events(self) -> Iterator[Event]:
        """Run; the last event is :class:`impasto.events.Finished`, not saved yet."""
        begun = time.monotonic()
        yield Started("texture", (), self.settings(), self.inputs.notes())
        yield self.finished(time.monotonic() - begun)

    def finished(self, seconds: float, *, complete: bool = True) -> Finished:
        """The result as an event."""
        begun = time.monotonic()
        spec = self.spec
        image = from_tensor(
            quilted(self._exemplar, self.size, self.block, seed=spec.seed, periodic=spec.seamless)
        )
        seconds += time.monotonic() - begun
        return Finished(image, None, self.settings(), seconds, None, complete)

    @property
    def begun(self) -> bool:
        """Whether there is anything to save: it is done in one go, so there never is."""
        return False

    def state(self) -> dict[str, Any]:
        """Nothing to go on from."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Nothing was saved; start anew."""
        del state
