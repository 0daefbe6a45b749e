"""The default objective in plain PyTorch, as textbooks write it: what impasto is compared with.

Nothing here uses impasto's kernels. The weights, the targets' pictures and the numbers are the
default recipe's, so that values and gradients are the same up to rounding.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto import images, samples
from impasto.backbones import Backbone
from impasto.engine.objective import Objective
from impasto.engine.pixels import Frame
from impasto.engine.tiled import TiledEyes, TiledObjective, Tiles
from impasto.images.resize import fit_size, resize
from impasto.losses import Wasserstein
from impasto.recipes import RECIPES
from impasto.styling.goals import Area, Paintings, goals_at

RECIPE = RECIPES.get("impasto")
STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT = "relu4_2"
WEIGHTS = {term.name: term.weight for term in RECIPE.terms}


@dataclass(frozen=True)
class Pair:
    """A photo with its margin and a painting, as one scale of a job sees them."""

    photo: Tensor
    painting: Tensor
    longest: int


def pair(longest: int, files: Sequence[str] = ()) -> Pair:
    """Two pictures by their files, or the samples, at ``longest`` px."""
    if files:
        photo, painting = (images.to_tensor(images.load(path)) for path in files)
    else:
        photo = images.to_tensor(images.load(samples.photo("harbour", (768, 1024))))
        painting = images.to_tensor(images.load(samples.painting("nocturne", (768, 1024))))
    frame = Frame(RECIPE.margin)
    photo, painting = (
        resize(p, fit_size(p.shape[-2], p.shape[-1], longest)) for p in (photo, painting)
    )
    return Pair(frame.pad(photo), painting, longest)


def ours(backbone: Backbone, pictures: Pair, tiles: Tiles | None = None) -> Objective:
    """impasto's objective of the default recipe, in one pass or in tiles."""
    goals = goals_at(
        RECIPE.terms,
        backbone if tiles is None else TiledEyes(backbone, tiles),
        pictures.photo,
        Paintings([pictures.painting]),
        [Area({0: 1.0})],
        pictures.longest,
    )
    return TiledObjective(backbone, goals, tiles) if tiles else Objective(backbone, goals)


class Textbook:
    """The same objective in plain PyTorch.

    Args:
        backbone: Whose weights are used, by themselves.
        pictures: The photo and the painting.
        layout: Of the activations; ``torch.contiguous_format`` is NCHW.
        anew: Whether every evaluation extracts the features of photo and painting again, as the
            program with hooks does.
        signs: By ReLU, where it lets pass, in place of where its input is positive.
    """

    def __init__(
        self,
        backbone: Backbone,
        pictures: Pair,
        layout: torch.memory_format,
        *,
        anew: bool = False,
        signs: dict[str, Tensor] | None = None,
    ) -> None:
        self.layout, self.anew, self.pictures = layout, anew, pictures
        self.signs: dict[str, Tensor] = {}
        self.mean, self.std = (
            torch.tensor(v).to(pictures.photo).view(3, 1, 1)
            for v in (backbone.preprocessing.mean, backbone.preprocessing.std)
        )
        self.convs = {
            stage.name: (
                stage.op.weight.detach().contiguous(memory_format=layout),
                stage.op.bias.detach(),
            )
            for stage in backbone.stages
            if stage.name.startswith("conv")
        }
        self.palette = Wasserstein("relative")
        with torch.no_grad():
            self.goals = self._goals()
        self.signs = signs or {}

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """ReLUs up to relu5_1; in place, and none but those that a term wants is kept by us."""
        x = ((x - self.mean) / self.std).contiguous(memory_format=self.layout)
        found = {}
        for name, (weight, bias) in self.convs.items():
            if name.endswith("_1") and name != "conv1_1":
                x = F.avg_pool2d(x, 2)
            relu = name.replace("conv", "relu")
            x = F.conv2d(x, weight, bias, padding=1)
            x = x * self.signs[relu] if relu in self.signs else F.relu(x, inplace=True)
            if relu in STYLE or relu == CONTENT:
                found[relu] = x
            if relu == "relu5_1":
                return found
        raise ValueError("the network ends before relu5_1")

    def _goals(self) -> tuple[Tensor, dict[str, Tensor], tuple[Tensor, ...]]:
        content = self.features(self.pictures.photo)[CONTENT]
        style = self.features(self.pictures.painting)
        return (
            content,
            {n: gram(style[n]) for n in STYLE},
            self.palette.target(self.pictures.painting),
        )

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """Weighted values, by name."""
        content, grams, palette = self._goals() if self.anew else self.goals
        found = self.features(image)
        style = [(gram(found[n]) - g).square().sum() / g.square().sum() for n, g in grams.items()]
        error = (found[CONTENT] - content).square().sum() / content.square().sum()
        rough = image.diff(dim=-1).square().mean() + image.diff(dim=-2).square().mean()
        return {
            "content": WEIGHTS["content"] * error,
            "style": WEIGHTS["style"] * torch.stack(style).mean(),
            "palette": WEIGHTS["palette"] * self.palette(image, palette),
            "tv": WEIGHTS["tv"] * rough,
        }


def gram(features: Tensor) -> Tensor:
    """``F F^T / (H W)``, (B, C, C)."""
    flat = features.flatten(2)
    return flat @ flat.mT / flat.shape[-1]


def evaluated(objective: Callable[[Tensor], dict[str, Tensor]], x: Tensor) -> tuple[Tensor, Tensor]:
    """The objective and its gradient."""
    leaf = x.detach().clone().requires_grad_(True)
    value = torch.stack(list(objective(leaf).values())).sum()
    (slope,) = torch.autograd.grad(value, leaf)
    return value.detach(), slope


def exactly(backbone: Backbone, pictures: Pair, x: Tensor, *, signs: bool = False) -> Tensor:
    """The gradient at ``x``, in float64.

    Args:
        backbone: The network.
        pictures: The photo and the painting.
        x: Where.
        signs: Whether ReLUs let pass what those of ``backbone`` do in its own precision. Without,
            the few in a million activations that rounding moves to the other side of 0 make a
            difference of about the root of their share, in any implementation.
    """
    wide = Pair(pictures.photo.double(), pictures.painting.double(), pictures.longest)
    chosen = None
    if signs:
        relus = [n for n in backbone.table if n.startswith("relu")]
        with torch.no_grad():
            chosen = {n: t > 0 for n, t in backbone.taps(x, relus).items()}
    exact = copy.deepcopy(backbone).double()
    objective = Textbook(exact, wide, torch.channels_last, signs=chosen)
    return evaluated(objective, x.double())[1]


@dataclass(frozen=True)
class Times:
    """Seconds of several rounds: the middle one, and the fastest, which other programs on the
    machine disturb least."""

    median: float
    fastest: float


def interleaved(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, Times]:
    """Seconds of each way, taken in turns; a first round does not count."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - begun)
    return {name: Times(median(found[1:]), min(found[1:])) for name, found in times.items()}


def distance(a: Tensor, b: Tensor) -> float:
    """``|a - b| / |b|``."""
    return float((a.double() - b.double()).norm() / b.double().norm())
