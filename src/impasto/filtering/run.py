"""The job: filters applied to a picture, in one go."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from impasto.engine import memory
from impasto.engine.at_once import AtOnce
from impasto.errors import UsageError
from impasto.filters import Filter, adjusted, apply, draws, numbers, parse, seeded, unparse
from impasto.images import Picture
from impasto.images.resize import fit_size, resize
from impasto.images.tensors import to_tensor
from impasto.specs import FilterSpec

#: Bytes per pixel at the peak of the most demanding filter (cartoon; the others take 100 to 210).
PER_PIXEL = 250


class Filtering(AtOnce):
    """One job: checked on construction, run by :meth:`events`.

    Args:
        spec: The request.
        image: What is filtered.
        reference: What the filters that need a second picture take from.

    Raises:
        UnknownName: No such filter, or no such parameter of it.
        UsageError: A parameter is out of range, or a filter needs a reference and has none.
        ResourceError: It would not fit in memory.
    """

    verb = "filter"

    def __init__(self, spec: FilterSpec, image: Picture, reference: Picture | None = None) -> None:
        inputs = {"image": image} | ({"reference": reference} if reference else {})
        super().__init__(inputs, fit_size(image.height, image.width, spec.size or max(image.size)))
        self.spec = spec
        self.chain = chain_of(spec)
        needy = [step.name for step in self.chain if step.needs_reference]
        if needy and reference is None:
            raise UsageError(
                f"{', '.join(needy)} needs a second picture to take from",
                hint="name a painting with --reference",
            )
        pixels = self.size[0] * self.size[1]
        need = memory.BASE + PER_PIXEL * pixels
        memory.check_fits(need, memory.available(torch.device("cpu")), pixels, max(self.size))

    def settings(self) -> dict[str, Any]:
        """All numbers, explicit."""
        return {
            "name": unparse(self.chain),
            "filters": numbers(self.chain),
            "size": [self.size[1], self.size[0]],
            "alpha": self.spec.alpha,
        }

    def notes(self) -> tuple[str, ...]:
        """What a person should know: of the pictures, and what the filters do not look at."""
        found = list(super().notes())
        names = " + ".join(step.name for step in self.chain)
        if "reference" in self.pictures and not any(s.needs_reference for s in self.chain):
            found.append(f"{names} does not look at the reference")
        if self.spec.seed is not None and not any(map(draws, self.chain)):
            found.append(f"{names} draws nothing at random: the seed changes nothing")
        return tuple(found)

    def make(self) -> Tensor:
        """(1, 3, H, W) in [0, 1]."""
        photo = to_tensor(self.pictures["image"])
        if self.size != self.pictures["image"].size:
            photo = resize(photo, self.size).clamp(0, 1)
        reference = self.pictures.get("reference")
        done = apply(self.chain, photo, None if reference is None else to_tensor(reference))
        return done if self.spec.alpha == 1 else photo.lerp(done, self.spec.alpha)


def chain_of(spec: FilterSpec) -> list[Filter]:
    """The filters that ``spec`` asks for, with its settings and its seed.

    Raises:
        UnknownName: No such filter, or no such parameter of it.
        UsageError: A parameter is out of range.
    """
    chain = adjusted(parse(spec.name), spec.set)
    return chain if spec.seed is None else seeded(chain, spec.seed)
