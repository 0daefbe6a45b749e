"""The job: one pass of a network over a photo."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from impasto.engine import memory
from impasto.engine.at_once import AtOnce
from impasto.engine.devices import pick_device
from impasto.images import Picture
from impasto.images.colour import keep_colours
from impasto.images.resize import fit_size, resize
from impasto.images.tensors import to_tensor
from impasto.networks.fast import paint
from impasto.networks.painter import Painter, rows_at_once
from impasto.specs import ApplySpec


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
        self.painter = Painter.load(spec.model)
        self.shares = self.painter.shares(spec.style, spec.style_blend)
        self.device = pick_device(spec.device)
        self.strip = self._strip()

    def settings(self) -> dict[str, Any]:
        """All numbers, explicit."""
        return {
            "model": self.painter.model.kind,
            "architecture": self.painter.model.architecture,
            "styles": self.painter.mixture(self.shares),
            "size": [self.size[1], self.size[0]],
            "alpha": self.spec.alpha,
            "colors": self.spec.colors,
            **({"seed": self.spec.seed} if self.painter.network.noisy else {}),
        }

    def _strip(self) -> int:
        """Rows per strip; 0 is all at once."""
        free = memory.available(self.device)
        network = self.painter.network
        strip, need = rows_at_once(network, self.size, self.spec.tile, free, memory.BASE)
        memory.check_fits(need, free, self.size[0] * self.size[1], max(self.size))
        return strip

    @torch.inference_mode()
    def make(self) -> Tensor:
        """(1, 3, H, W) in [0, 1]."""
        photo = to_tensor(self.picture, self.device)
        if self.size != self.picture.size:
            photo = resize(photo, self.size).clamp(0, 1)
        shares = torch.tensor([self.shares], device=self.device)
        network = self.painter.network.to(self.device)
        made = paint(network, photo, shares, self.strip, self.spec.seed)
        if self.spec.colors == "content":
            made = keep_colours(made, photo)
        return made if self.spec.alpha == 1 else photo.lerp(made, self.spec.alpha)
