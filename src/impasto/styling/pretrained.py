"""The main job with a network that was trained for its paintings: ``--recipe fast:NAME``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from impasto.engine import memory
from impasto.engine.at_once import AtOnce
from impasto.engine.devices import pick_device
from impasto.images.resize import fit_size, resize
from impasto.images.tensors import to_tensor
from impasto.networks.fast import paint
from impasto.networks.painter import Painter, rows_at_once
from impasto.specs import StylizeSpec
from impasto.specs.stylize import FAST
from impasto.styling.colours import finished
from impasto.styling.filtered import Filters
from impasto.styling.guides import Guides
from impasto.styling.inputs import Inputs

#: Longest side of the result unless the request says otherwise, as for other recipes.
LONGEST = 512


class Pretrained(AtOnce):
    """One job: checked on construction, run by :meth:`events`.

    The paintings of the request name those that the network knows: by name, by number, or by a
    file that is called so.

    Args:
        spec: The request, one of :func:`impasto.styling.fast.trained`.
        inputs: The photo, and what is kept of it.

    Raises:
        InputError: There is no such model.
        UnknownName: No model, or no painting of it, has this name.
        UsageError: The model does not paint, or the proportions do not fit.
        WeightsError: The model is damaged.
        ResourceError: It would not fit in memory.
    """

    verb = "stylize"

    def __init__(self, spec: StylizeSpec, inputs: Inputs) -> None:
        photo = inputs.photo
        super().__init__(
            {"image": photo}, fit_size(photo.height, photo.width, spec.size or LONGEST)
        )
        self.spec, self.inputs = spec, inputs
        self.painter = Painter.load(spec.recipe.removeprefix(FAST))
        wanted = [n if n in self.painter.paintings else Path(n).stem for n in spec.style]
        self.shares = self.painter.shares(wanted, spec.style_blend)
        self.device = pick_device(spec.device)
        self._filters = Filters.of(spec, inputs, self.device)
        free = memory.available(self.device)
        network = self.painter.network
        self.strip, need = rows_at_once(network, self.size, spec.tile, free, memory.BASE)
        memory.check_fits(need, free, self.size[0] * self.size[1], max(self.size))

    def settings(self) -> dict[str, Any]:
        """All numbers, explicit."""
        return {
            "model": self.painter.model.kind,
            "architecture": self.painter.model.architecture,
            "styles": self.painter.mixture(self.shares),
            "size": [self.size[1], self.size[0]],
            **({"seed": self.spec.seed} if self.painter.network.noisy else {}),
        } | self._filters.settings()

    def described(self) -> dict[str, Any]:
        """The inputs: role to name, sha256, size."""
        return self.inputs.described()

    def notes(self) -> tuple[str, ...]:
        """What reading the pictures did that a person might want to know."""
        return self.inputs.notes()

    @torch.inference_mode()
    def make(self) -> Tensor:
        """(1, 3, H, W) in [0, 1]."""
        photo = self._filters.prepared(to_tensor(self.picture, self.device), self.size)
        photo = resize(photo, self.size).clamp(0, 1)
        shares = torch.tensor([self.shares], device=self.device)
        network = self.painter.network.to(self.device)
        painted = paint(network, photo, shares, self.strip, self.spec.seed)
        kept = Guides.of(self.inputs, self.spec, self.size, self.device).kept
        return self._filters.completed(finished(painted, photo, self.spec, kept))
