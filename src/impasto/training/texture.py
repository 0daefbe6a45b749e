"""The task ``texture``: a network that makes more of a texture, out of noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from impasto.engine.objective import Objective, goal_for
from impasto.errors import UsageError
from impasto.images.resize import fit_size, resize
from impasto.images.tensors import to_tensor
from impasto.networks.texture import TextureNet, noises, weave
from impasto.recipes import find_recipe
from impasto.training.photos import Crops
from impasto.training.style import eyes, made
from impasto.training.task import Asked, Plan, Task, channels_last
from impasto.training.variety import alike


class TextureTask(Task):
    """Noise in, a texture out, under the style terms of a recipe; no photos.

    Settings: ``recipe``; ``painting``, the longest side of the exemplar in px; ``diversity``, the
    weight of a term that pushes the pictures of a batch apart: minus the mean logarithm of the
    smallest mean squared difference of each to another one; ``seamless``, 1 for edges that meet.

    Source: Ulyanov et al. 2016; diversity after Ulyanov, Vedaldi & Lempitsky 2017, section 4.
    Deviations: differences are measured between pictures, not between features.

    Args:
        asked: The request.

    Raises:
        UsageError: There is not one exemplar, or a setting makes no sense.
    """

    kind = "texture"
    needs_photos = False

    def __init__(self, asked: Asked) -> None:
        if len(asked.styles) != 1:
            raise UsageError(f"the task texture needs 1 exemplar, not {len(asked.styles)}")
        self.asked = asked
        self.numbers = asked.read(
            {"recipe": "impasto-texture", "painting": 256, "diversity": 0.0, "seamless": 0}
        )
        own = f"seamless={int(bool(self.numbers['seamless']))}"
        self.architecture = ",".join(filter(None, (asked.architecture, own)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(asked.seed)
            self.weaver = TextureNet.of(self.architecture)
        self.network = channels_last(self.weaver.to(asked.device))
        self.plan = Plan(steps=2000, batch=4, crops=Crops(128), lr=1e-2, clip=5.0)
        recipe = find_recipe(self.numbers["recipe"])
        self.backbone, specs = eyes(recipe, asked.device)
        image = to_tensor(asked.styles[0], asked.device)
        size = fit_size(image.shape[-2], image.shape[-1], self.numbers["painting"])
        image = resize(image, size).clamp(0, 1)
        terms = [made(t) for t in specs if t.role != "content" and t.weight]
        self.goals = [goal_for(term, self.backbone, [image], (1.0,)) for term in terms]

    def settings(self) -> dict[str, Any]:
        """The settings of the class."""
        return dict(self.numbers)

    def objective(self, batch: Tensor, step: int) -> dict[str, Tensor]:
        """Mean over the batch of the recipe's terms; the noise is a function of seed and step."""
        edge, asked = self.plan.crops.size, self.asked
        edge = -(-edge // self.weaver.multiple) * self.weaver.multiple
        whole = len(batch) * asked.world
        draw = torch.Generator().manual_seed((asked.seed << 32) + step)
        noise = noises(self.weaver, whole, edge, edge, draw)
        mine = [n[asked.rank :: asked.world].to(asked.device) for n in noise]
        pictures = self.weaver(mine)
        found = [Objective(self.backbone, self.goals)(p) for p in torch.split(pictures, 1)]
        terms = {name: torch.stack([f[name] for f in found]).mean() for name in found[0]}
        if self.numbers["diversity"] and len(pictures) > 1:
            terms["diversity"] = self.numbers["diversity"] * alike(pictures)
        return terms

    def validate(self, photos: Sequence[Tensor]) -> dict[str, float]:
        """Nothing: there are no photos."""
        del photos
        return {}

    @torch.no_grad()
    def preview(self, photos: Sequence[Tensor]) -> Tensor:
        """Two textures beside each other."""
        del photos
        return torch.cat([weave(self.weaver, 256, 256, seed) for seed in (0, 1)], 3)
