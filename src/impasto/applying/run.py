"""The job: one pass of a network over a photo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from impasto.engine import memory
from impasto.engine.at_once import AtOnce
from impasto.engine.devices import pick_device
from impasto.errors import UnknownName, UsageError
from impasto.images import Picture
from impasto.images.colour import keep_colours
from impasto.images.resize import fit_size, resize
from impasto.images.tensors import to_tensor
from impasto.networks import Card, FastNet
from impasto.networks.fast import FOLD, paint
from impasto.networks.shelf import loaded
from impasto.specs import ApplySpec

#: Bytes per pixel at the peak, in one go and by strips, of which a strip takes the difference.
WHOLE, STRIPS = 270, 120
#: Rows of a strip where strips are chosen by themselves.
ROWS = 256
#: Pictures above this many pixels go by strips even where they would fit.
MANY = 16_000_000


class Applying(AtOnce):
    """One job: checked on construction, run by :meth:`events`.

    Args:
        spec: The request.
        image: The photo.

    Raises:
        InputError: There is no such model.
        UnknownName: No model, or no painting of it, has this name.
        UsageError: The proportions do not fit, or the model does not paint.
        WeightsError: The model is damaged.
        ResourceError: It would not fit in memory.
    """

    verb = "apply"

    def __init__(self, spec: ApplySpec, image: Picture) -> None:
        size = fit_size(image.height, image.width, spec.size or max(image.size))
        super().__init__({"image": image}, size)
        self.spec = spec
        self.model = loaded(spec.model)
        if not isinstance(self.model.network, FastNet):
            raise UsageError(
                f"{spec.model} is a model of the kind {self.model.kind}, which paints no photos",
                hint="see `impasto models`",
            )
        self.network = self.model.network
        self.paintings = paintings_of(self.model.card, self.network.styles)
        self.shares = shares_of(self.paintings, spec.style, spec.style_blend)
        self.device = pick_device(spec.device)
        self.strip = self._strip()

    def settings(self) -> dict[str, Any]:
        """All numbers, explicit."""
        return {
            "model": self.model.kind,
            "architecture": self.model.architecture,
            "styles": {n: s for n, s in zip(self.paintings, self.shares, strict=True) if s},
            "size": [self.size[1], self.size[0]],
            "alpha": self.spec.alpha,
            "colors": self.spec.colors,
        }

    def _strip(self) -> int:
        """Rows per strip; 0 is all at once."""
        pixels = self.size[0] * self.size[1]
        free = memory.available(self.device)
        whole = memory.BASE + WHOLE * pixels
        if self.spec.tile == "off":
            strip = 0
        elif self.spec.tile == "auto":
            strip = ROWS if pixels > MANY or (free is not None and whole > free) else 0
        else:
            strip = max(FOLD, int(self.spec.tile) // FOLD * FOLD)
        part = min(1.0, strip / self.size[0]) if strip else 1.0
        need = memory.BASE + round((STRIPS + (WHOLE - STRIPS) * part) * pixels)
        memory.check_fits(need, free, pixels, max(self.size))
        return strip

    @torch.inference_mode()
    def make(self) -> Tensor:
        """(1, 3, H, W) in [0, 1]."""
        photo = to_tensor(self.picture, self.device)
        if self.size != self.picture.size:
            photo = resize(photo, self.size).clamp(0, 1)
        shares = torch.tensor([self.shares], device=self.device)
        made = paint(self.network.to(self.device), photo, shares, self.strip)
        if self.spec.colors == "content":
            made = keep_colours(made, photo)
        return made if self.spec.alpha == 1 else photo.lerp(made, self.spec.alpha)


def paintings_of(card: Card, count: int) -> list[str]:
    """Names of the paintings that a model knows, in its order; numbers where it has none."""
    found = card.data.rpartition("; ")[2].split(", ") if card.data else []
    return found if len(found) == count else [str(i + 1) for i in range(count)]


def shares_of(
    paintings: Sequence[str], wanted: Sequence[str], blend: Sequence[float] | None
) -> list[float]:
    """The weight of each painting; they sum to 1.

    Args:
        paintings: What there is.
        wanted: Names or numbers from 1; the first painting where empty.
        blend: Proportions of those wanted; equal without.

    Raises:
        UnknownName: There is no such painting.
        UsageError: There are not as many proportions as paintings.
    """
    chosen = [_place(paintings, name) for name in wanted] or [0]
    parts = list(blend) if blend is not None else [1.0] * len(chosen)
    if len(parts) != len(chosen):
        raise UsageError(f"style-blend has {len(parts)} numbers for {len(chosen)} paintings")
    shares = [0.0] * len(paintings)
    for place, part in zip(chosen, parts, strict=True):
        shares[place] += part / sum(parts)
    return shares


def _place(paintings: Sequence[str], name: str) -> int:
    if name in paintings:
        return paintings.index(name)
    if name.isdecimal() and 1 <= int(name) <= len(paintings):
        return int(name) - 1
    raise UnknownName("painting of the model", name, paintings)
